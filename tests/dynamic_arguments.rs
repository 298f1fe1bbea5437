//! What a call without a stub refuses before anything is sent: every value that its type has no
//! room for, with the place where it stands.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::{BTreeMap, HashMap};

use dubhe::prelude::*;
use dubhe::{AttemptLog, Delivery, DynamicClient, RunningProvider};
use serde_json::{Value, json};
use support::{consumer, memory, provider};

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
enum Colour {
    Red = 0,
    Green = 5,
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
enum Paint {
    Red,
    DarkGreen,
    #[rpc(name = "CODE_7")]
    HTTPCode,
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct Item {
    amount: u8,
    sku_code: String,
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct Order {
    items: Vec<Item>,
    note: Option<String>,
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct Numbers {
    a: Option<i8>,
    b: Option<u16>,
    c: Option<i32>,
    d: Option<u64>,
    e: Option<f32>,
    f: Option<f64>,
    g: Option<Vec<u8>>,
    h: Option<Colour>,
    i: BTreeMap<i16, bool>,
    j: HashMap<bool, u8>,
    k: Option<i64>,
}

/// Why nothing was done.
#[dubhe::error]
#[derive(Debug, PartialEq)]
enum Refusal {
    #[rpc(message = "{left} are left")]
    OutOfStock { left: u64 },
    #[rpc(status)]
    Status(Status),
}

#[dubhe::service(name = "test.Typed")]
trait Typed {
    #[rpc(idempotent)]
    async fn place(&self, urgent: bool, order: Order) -> Result<u32>;

    #[rpc(idempotent)]
    async fn numbers(&self, numbers: Numbers) -> Result<Numbers>;

    #[rpc(idempotent)]
    async fn refuse(&self) -> Result<(), Refusal>;

    #[rpc(idempotent, cluster = "failsafe", fallback = "7")]
    async fn guess(&self, is_there: bool) -> Result<u32>;

    #[rpc(idempotent)]
    async fn wait(&self) -> Result<()>;

    #[rpc(idempotent)]
    async fn paint(&self, paint: Paint) -> Result<Paint>;

    #[rpc(idempotent)]
    async fn opt(&self, x: Option<Item>, y: Option<u8>) -> Result<bool>;

    #[rpc(idempotent)]
    async fn map(&self, x: BTreeMap<String, u8>) -> Result<u32>;

    #[rpc(idempotent)]
    async fn one(&self, x: u64) -> Result<u64>;

    #[rpc(idempotent)]
    async fn whole(&self, item: Item) -> Result<u8>;
}

struct Clerk;

impl Typed for Clerk {
    async fn place(&self, _: bool, order: Order) -> Result<u32> {
        Ok(order.items.iter().map(|item| u32::from(item.amount)).sum())
    }

    async fn numbers(&self, numbers: Numbers) -> Result<Numbers> {
        Ok(numbers)
    }

    async fn refuse(&self) -> Result<(), Refusal> {
        Err(Refusal::OutOfStock { left: 3 })
    }

    async fn guess(&self, is_there: bool) -> Result<u32> {
        if is_there { Ok(1) } else { Err(Status::unavailable("gone")) }
    }

    async fn wait(&self) -> Result<()> {
        std::future::pending().await
    }

    async fn paint(&self, paint: Paint) -> Result<Paint> {
        Ok(paint)
    }

    async fn opt(&self, x: Option<Item>, y: Option<u8>) -> Result<bool> {
        Ok(x.is_some() && y.is_some())
    }

    async fn map(&self, x: BTreeMap<String, u8>) -> Result<u32> {
        Ok(x.into_values().map(u32::from).sum())
    }

    async fn one(&self, x: u64) -> Result<u64> {
        Ok(x)
    }

    async fn whole(&self, item: Item) -> Result<u8> {
        Ok(item.amount)
    }
}

async fn clerk(toml: &str) -> (DynamicClient, RunningProvider) {
    let registry = memory();
    let running = provider(&registry, "").serve(TypedServer::new(Clerk)).start().await.unwrap();
    let client = consumer(&registry, toml).dynamic(&"test.Typed".parse().unwrap()).await.unwrap();
    (client, running)
}

#[tokio::test]
async fn a_value_that_its_type_has_no_room_for_is_not_sent_and_its_place_is_told() {
    let (client, _running) = clerk("").await;
    for (arguments, expected) in [
        (json!({ "a": 128 }), "`a`: 128 does not fit int8: -128 to 127 are possible"),
        (json!({ "b": -1 }), "`b`: -1 does not fit uint16: 0 to 65535 are possible"),
        (json!({ "b": "65536" }), "`b`: 65536 does not fit uint16"),
        (json!({ "c": 2_147_483_648_u64 }), "`c`: 2147483648 does not fit int32"),
        (json!({ "c": 1.5 }), "`c`: 1.5 is not a whole number, as int32 is"),
        (json!({ "c": "x" }), "`c`: expected int32, got the text \"x\""),
        (json!({ "d": "18446744073709551616" }), "`d`: 18446744073709551616 does not fit uint64"),
        (json!({ "d": 18_446_744_073_709_551_616.0 }), "e+19 does not fit uint64: 0 to 184467"),
        (json!({ "d": 1e19 }), "`d`: 1e+19 is not exact: write uint64 with digits alone"),
        (json!({ "k": "9223372036854775808" }), "does not fit int64: -9223372036854775808 to"),
        // What the parser of JSON makes of -9223372036854775809.
        (
            json!({ "k": -9_223_372_036_854_775_809.0 }),
            "does not fit int64: -9223372036854775808 to",
        ),
        (json!({ "k": 9_007_199_254_740_993.0 }), "is not exact: write int64 with digits alone"),
        (json!({ "k": "1e400" }), "`k`: 1e400 does not fit int64"),
        (json!({ "k": "1e-1" }), "`k`: 1e-1 is not a whole number, as int64 is"),
        (json!({ "k": "9007199254740993.5" }), "9007199254740993.5 is not a whole number"),
        (json!({ "k": "+1" }), "`k`: expected int64, got the text \"+1\""),
        (json!({ "d": "01" }), "`d`: expected uint64, got the text \"01\""),
        (json!({ "f": "+1" }), "`f`: expected double, got the text \"+1\""),
        (json!({ "i": { "01": true } }), "the key is wrong: expected int16, got the text \"01\""),
        (
            json!({ "i": { "1": true, "1.0": true } }),
            "`i[\"1.0\"]`: another entry has the same key",
        ),
        (json!({ "i": { "1e0": true, "1.0": true } }), "another entry has the same key"),
        (json!({ "e": 1e39 }), "does not fit float: 3.4028235e38 is the most"),
        (json!({ "e": "nan" }), "`e`: expected float, got the text \"nan\""),
        (json!({ "f": "1e999" }), "`f`: 1e999 does not fit double"),
        (json!({ "g": "no base64!" }), "`g`: the text \"no base64!\" is not base64"),
        (json!({ "g": [1] }), "`g`: expected bytes, got a list"),
        (json!({ "h": 4 }), "unknown Colour in `h` `4`, available: 0 RED, 5 GREEN"),
        (json!({ "h": "GREY" }), "unknown Colour in `h` `GREY`"),
        (json!({ "h": true }), "`h`: expected Colour, got true"),
        (json!({ "i": { "x": true } }), "`i[\"x\"]`: the key is wrong: expected int16"),
        (json!({ "i": { "40000": true } }), "the key is wrong: 40000 does not fit int16"),
        (json!({ "i": { "1": 1 } }), "`i[\"1\"]`: expected bool, got the number 1"),
        (json!({ "j": { "yes": 1 } }), "`j[\"yes\"]`: the key is neither \"true\" nor \"false\""),
        (json!({ "j": { "true": 256 } }), "`j[\"true\"]`: 256 does not fit uint8"),
        (json!({ "j": { "true": null } }), "`j[\"true\"]`: expected uint8, got null"),
    ] {
        let status = client.call("numbers", arguments.clone()).await.unwrap_err();
        assert_eq!((status.code(), status.delivery()), (Code::InvalidArgument, Delivery::NotSent));
        assert!(status.message().contains(expected), "{arguments}: {status}");
    }
}

#[tokio::test]
async fn what_protobufs_json_mapping_allows_is_sent_and_arrives() {
    let (client, _running) = clerk("").await;
    let same = json!({
        "a": -128, "b": 65535, "c": -1, "d": u64::MAX.to_string(), "e": "NaN", "f": "-Infinity",
        "g": "+/8=", "h": "GREEN", "i": { "-1": true }, "j": { "false": 255 },
        "k": i64::MIN.to_string(),
    });
    let other = json!({
        "a": "-128", "b": 65535.0, "c": "-1", "d": u64::MAX, "e": "NaN", "f": "-Infinity",
        "g": "-_8", "h": 5, "i": { "-1": true }, "j": { "false": "255" }, "k": i64::MIN,
    });
    for given in [&same, &other] {
        assert_eq!(client.call("numbers", given.clone()).await.unwrap(), same);
    }
    for (given, arrives) in [
        (json!("1e2"), "100"),
        (json!("1.0"), "1"),
        (json!("1e18"), "1000000000000000000"),
        (json!("9007199254740993.0"), "9007199254740993"),
        (json!(1e2), "100"),
        (json!("-0"), "0"),
        (json!(-0.0), "0"),
    ] {
        let arrived = client.call("numbers", json!({ "d": given })).await.unwrap();
        assert_eq!(arrived["d"], arrives, "{given}");
        let arrived = client.call("numbers", json!({ "k": given })).await.unwrap();
        assert_eq!(arrived["k"], arrives, "{given}");
    }
    let keys = client.call("numbers", json!({ "i": { "1e2": true } })).await.unwrap();
    assert_eq!(keys["i"], json!({ "100": true }));
    let lists = client.call("numbers", json!({ "a": null, "i": null, "j": null })).await.unwrap();
    assert_eq!(lists, json!({ "i": {}, "j": {} }));
}

#[tokio::test]
async fn what_must_be_there_is_missed_at_every_depth_and_null_does_not_stand_for_it() {
    let (client, _running) = clerk("").await;
    let item = json!({ "amount": 1, "skuCode": "a" });
    for (arguments, expected) in [
        (json!([null, { "items": [] }]), "`urgent`: expected bool, got null"),
        (json!([true, null]), "`order`: expected Order, got null"),
        (json!([true, { "items": [item, null] }]), "`order.items[1]`: expected Item, got null"),
        (
            json!([true, { "items": [item, item, { "amount": 300, "skuCode": "a" }] }]),
            "`order.items[2].amount`: 300 does not fit uint8: 0 to 255 are possible",
        ),
        (
            json!([true, { "items": [{ "amount": 3 }] }]),
            "`order.items[0].skuCode` (string) is missing",
        ),
        (
            json!([true, { "items": [{ "amount": 3, "skuCode": "a", "sku_code": "b" }] }]),
            "`sku_code` and `skuCode` are the same field",
        ),
    ] {
        let status = client.call("place", arguments).await.unwrap_err();
        assert!(status.message().contains(expected), "{expected}: {status}");
        assert_eq!(status.delivery(), Delivery::NotSent);
    }
    let placed = client.call("place", json!([true, { "items": [item] }])).await.unwrap();
    assert_eq!(placed, json!({ "value": 1 }));
}

#[tokio::test]
async fn a_variant_is_taken_in_the_spellings_that_providers_read_and_in_no_other() {
    let (client, _running) = clerk("").await;
    for (given, arrives) in [
        (json!("DARK_GREEN"), "DARK_GREEN"),
        (json!("DarkGreen"), "DARK_GREEN"),
        (json!(1), "DARK_GREEN"),
        (json!("CODE_7"), "CODE_7"),
        (json!("HTTPCode"), "CODE_7"),
    ] {
        let painted = client.call("paint", json!([given])).await.unwrap();
        assert_eq!(painted, json!({ "value": arrives }), "{given}");
    }
    for wrong in ["dark_green", "darkGreen", "darkgreen", "Dark_Green", "red", "HTTP_CODE"] {
        let status = client.call("paint", json!([wrong])).await.unwrap_err();
        assert_eq!(status.delivery(), Delivery::NotSent, "{wrong}: {status}");
        let expected = format!("unknown Paint in `paint` `{wrong}`");
        assert!(status.message().contains(&expected), "{status}");
    }
}

#[tokio::test]
async fn an_object_alone_in_a_list_is_the_whole_only_where_the_provider_reads_it_so() {
    let (client, _running) = clerk("").await;
    let item = json!({ "amount": 7, "skuCode": "a" });
    for (method, arguments, expected) in [
        ("opt", json!([item]), json!(false)),
        ("opt", json!([item, 1]), json!(true)),
        ("opt", json!({ "x": item, "y": 1 }), json!(true)),
        ("map", json!([{ "x": 1, "z": 2 }]), json!(3)),
        ("map", json!([{ "x": 1 }]), json!(1)),
        ("map", json!({ "x": { "x": 4 } }), json!(4)),
        ("one", json!({ "x": 1 }), json!("1")),
        ("whole", json!([item]), json!(7)),
        ("whole", item.clone(), json!(7)),
    ] {
        let result = client.call(method, arguments.clone()).await.unwrap();
        assert_eq!(result, json!({ "value": expected }), "{method} {arguments}");
    }
    for (method, arguments, expected) in [
        ("opt", json!([{ "x": item, "y": 1 }]), "unknown field of `x` (Item) `x`"),
        ("map", json!([{ "x": { "x": 4 } }]), "`x[\"x\"]`: expected uint8, got an object"),
        ("one", json!([{ "x": 1 }]), "`x`: expected uint64, got an object"),
        ("whole", json!([7, "a"]), "takes one Item, alone or in a list, got 2 arguments"),
        ("whole", json!([[7, "a"]]), "takes one Item, alone or in a list, got a list"),
        ("whole", json!([]), "`amount` is missing"),
    ] {
        let status = client.call(method, arguments.clone()).await.unwrap_err();
        assert_eq!(status.delivery(), Delivery::NotSent, "{method} {arguments}: {status}");
        assert!(status.message().contains(expected), "{method} {arguments}: {status}");
    }
}

#[tokio::test]
async fn a_narrow_integer_is_described_by_its_own_width() {
    let (client, _running) = clerk("").await;
    let described = client.description();
    let fields = &described.message("Numbers").unwrap().fields;
    let types: Vec<String> = fields[..3].iter().map(|field| field.type_text()).collect();
    assert_eq!(types, ["optional int8", "optional uint16", "optional int32"]);
    assert_eq!(fields[8].type_text(), "map<int16, bool>");
    assert_eq!((fields[0].value.bits, fields[2].value.bits), (8, 0));
}

#[tokio::test]
async fn a_typed_business_error_is_readable_without_its_type() {
    let (client, _running) = clerk("").await;
    let status = client.call("refuse", Value::Null).await.unwrap_err();
    assert_eq!(status.message(), "3 are left");
    let details = DynamicClient::details(&status);
    assert_eq!(details, Some(json!({ "outOfStock": { "left": "3" } })));
    assert_eq!(DynamicClient::details(&Status::not_found("nothing")), None);
}

#[tokio::test]
async fn an_answer_that_stands_in_for_a_failure_says_so_to_whoever_logs_attempts() {
    for policy in ["failsafe", "failback"] {
        let toml =
            format!("[consumer.services.\"test.Typed\".methods.guess]\ncluster = \"{policy}\"");
        let (client, running) = clerk(&toml).await;
        let log = AttemptLog::new();
        let logged = client.with(CallOptions::new().attempts(&log));
        assert_eq!(logged.call("guess", json!([true])).await.unwrap(), json!({ "value": 1 }));
        assert!(log.fell_back_from().is_none(), "{policy}");
        assert_eq!(logged.call("guess", json!([false])).await.unwrap(), json!({ "value": 7 }));
        let failure = log.fell_back_from().unwrap();
        assert_eq!((failure.code(), failure.message()), (Code::Unavailable, "gone"), "{policy}");
        assert_eq!(failure.address(), Some(running.address()));
    }
}

#[tokio::test]
async fn a_deadline_that_ended_a_call_is_named_with_who_set_it() {
    let toml = "[consumer.services.\"test.Typed\".methods.wait]\ntimeout = \"50ms\"\n";
    let (client, _running) = clerk(toml).await;
    let status = client.call("wait", Value::Null).await.unwrap_err();
    let key = "consumer.services.\"test.Typed\".methods.wait.timeout";
    let expected = format!("deadline: {key} = 50ms (dubhe.toml:2:11)");
    assert_eq!((status.code(), status.hint()), (Code::DeadlineExceeded, Some(&*expected)));
    let brief = client.with(CallOptions::new().timeout(std::time::Duration::from_millis(20)));
    let status = brief.call("wait", Value::Null).await.unwrap_err();
    assert_eq!(status.hint(), Some("deadline: 20ms, set for this call"));
    let brief = client.with(CallOptions::new().timeout(std::time::Duration::from_micros(1500)));
    let status = brief.call("wait", Value::Null).await.unwrap_err();
    assert_eq!(status.hint(), Some("deadline: 1500us, set for this call"));
}

#[tokio::test]
async fn addresses_given_by_hand_are_asked_what_is_there() {
    let registry = memory();
    let running = provider(&registry, "").serve(TypedServer::new(Clerk)).start().await.unwrap();
    let fixed = consumer(&format!("static://{},127.0.0.1:1", running.address()), "");
    let told = fixed.served(support::PATIENCE).await.unwrap();
    let (served, silent): (Vec<_>, Vec<_>) = told.iter().partition(|(_, told)| told.is_ok());
    assert_eq!(&*served[0].0, running.address());
    assert_eq!(served[0].1.as_ref().unwrap(), &["test.Typed".parse().unwrap()]);
    assert_eq!(&*silent[0].0, "127.0.0.1:1");
    // However many there are, the last one too.
    let others: Vec<String> = (1..=130).map(|host| format!("127.0.1.{host}:1")).collect();
    let url = format!("static://{},{}", others.join(","), running.address());
    let told = consumer(&url, "").served(support::PATIENCE).await.unwrap();
    assert_eq!(told.len(), 131);
    assert_eq!(told.iter().filter(|(_, told)| told.is_ok()).count(), 1);
    // A registry that lists services needs no such question.
    assert_eq!(consumer(&registry, "").served(support::PATIENCE).await.unwrap().len(), 0);
}
