//! Services that describe themselves, and calls without a stub.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dubhe::describe::{FieldLabel, TypeKind};
use dubhe::prelude::*;
use dubhe::{AttemptLog, Delivery, DynamicClient, ServiceKey};
use protocols::{Server, TcpListen};
use rpc_core::server::{Dispatcher, ServerConfig};
use rpc_core::{Codecs, Metrics, Params};
use serde_json::{Value, json};
use support::memory;

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
enum Size {
    Small,
    VeryLarge,
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct Line {
    /// What.
    sku: String,
    amount: u32,
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct Order {
    /// One for each article.
    lines: Vec<Line>,
    size: Size,
    note: Option<String>,
    sub_order: Option<Line>,
}

/// A shop.
#[dubhe::service(name = "test.Orders", version = "2")]
trait Orders {
    /// Takes an order.
    async fn place(&self, order: Order) -> Result<Order>;

    #[rpc(idempotent, timeout = "700ms", cluster = "failsafe", fallback = "7")]
    async fn count(&self, sku: String, at_least: u64, tags: HashMap<String, Line>) -> Result<u64>;

    #[rpc(idempotent)]
    async fn nothing(&self) -> Result<()>;

    #[rpc(idempotent)]
    async fn maybe(&self, sku: String, limit: Option<u32>) -> Result<Option<u32>>;

    #[rpc(oneway)]
    async fn log(&self, text: String) -> Result<()>;

    #[rpc(idempotent)]
    async fn fail(&self, code: u32) -> Result<()>;
}

struct Clerk;

impl Orders for Clerk {
    async fn place(&self, order: Order) -> Result<Order> {
        Ok(order)
    }

    async fn count(&self, _: String, at_least: u64, tags: HashMap<String, Line>) -> Result<u64> {
        match at_least {
            0 => Err(Status::not_found("none")),
            least => Ok(least + tags.len() as u64),
        }
    }

    async fn nothing(&self) -> Result<()> {
        Ok(())
    }

    async fn maybe(&self, _: String, limit: Option<u32>) -> Result<Option<u32>> {
        Ok(limit)
    }

    async fn log(&self, _: String) -> Result<()> {
        Ok(())
    }

    async fn fail(&self, code: u32) -> Result<()> {
        Err(Status::new(Code::from_number(code.try_into().unwrap()), "as you asked"))
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

fn orders() -> ServiceKey {
    "test.Orders:2".parse().unwrap()
}

/// A client of a running provider, which the value holds.
async fn dynamic(toml: &str) -> (DynamicClient, dubhe::RunningProvider) {
    let registry = memory();
    let provider = support::provider(&registry, "").serve(OrdersServer::new(Clerk));
    let running = provider.start().await.unwrap();
    let client = support::consumer(&registry, toml).dynamic(&orders()).await.unwrap();
    (client, running)
}

async fn refusal(client: &DynamicClient, method: &str, arguments: Value) -> String {
    let status = client.call(method, arguments).await.unwrap_err();
    assert_eq!(status.delivery(), Delivery::NotSent, "{status}");
    status.message().to_owned()
}

#[tokio::test]
async fn a_description_says_what_the_trait_says() {
    let (client, _running) = dynamic("").await;
    let described = client.description();
    assert_eq!((&*described.service, &*described.doc), ("test.Orders:2", "A shop."));
    let names: Vec<&str> = described.methods.iter().map(|method| &*method.name).collect();
    assert_eq!(names, ["place", "count", "nothing", "maybe", "log", "fail"]);
    let count = described.method("count").unwrap();
    assert!(count.is_idempotent && count.kind() == Some(dubhe::MethodKind::Unary));
    assert_eq!((count.timeout_ms, count.retries), (Some(700), None));
    assert_eq!(count.cluster.as_deref(), Some("failsafe"));
    assert_eq!(count.fallback.as_deref(), Some("{\"value\":\"7\"}"));
    assert!(described.method("log").unwrap().kind() == Some(dubhe::MethodKind::OneWay));
    assert_eq!(described.method("place").unwrap().doc, "Takes an order.");
    let signature = described.signature(count);
    let expected =
        "count(sku: string, atLeast: uint64, tags: map<string, Line>) -> (value: uint64)";
    assert_eq!(signature, expected);
}

/// The registry takes connections and says nothing.
#[tokio::test(start_paused = true)]
async fn the_time_for_a_description_holds_for_the_registry_too() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("dubhe://{}", silent.local_addr().unwrap());
    let (limit, begun) = (Duration::from_millis(300), tokio::time::Instant::now());
    let [one, other] = [0, 1].map(|_| support::consumer(&address, ""));
    let status = one.dynamic_within(&orders(), limit).await.unwrap_err();
    assert_eq!(status.delivery(), Delivery::NotSent);
    other.describe(&orders(), limit).await.unwrap_err();
    assert!(begun.elapsed() < limit * 3, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_description_is_told_whatever_is_chosen_for_all_services() {
    let registry = memory();
    let provider = support::provider(&registry, "").serve(OrdersServer::new(Clerk));
    let _running = provider.start().await.unwrap();
    for policy in ["failsafe", "failback", "broadcast", "failfast", "forking"] {
        let toml = format!(
            "[consumer]\ncluster = \"{policy}\"\nloadbalance = \"consistenthash\"\n\
             [consumer.services.\"test.Orders\"]\ncluster = \"failover\""
        );
        let consumer = support::consumer(&registry, &toml);
        let described = consumer.describe(&orders(), PATIENCE).await.unwrap();
        assert_eq!(&*described.service, "test.Orders:2", "{policy}");
        let client = consumer.dynamic(&orders()).await.unwrap();
        client.call("nothing", json!([])).await.unwrap();
    }
}

#[tokio::test]
async fn a_description_holds_every_type_with_its_fields_and_numbers() {
    let (client, _running) = dynamic("").await;
    let described = client.description();
    let order = described.message("Order").unwrap();
    let fields: Vec<_> = order
        .fields
        .iter()
        .map(|field| (&*field.json_name, field.tag, field.type_text()))
        .collect();
    let expected = [
        ("lines", 1, "repeated Line"),
        ("size", 2, "Size"),
        ("note", 3, "optional string"),
        ("subOrder", 4, "optional Line"),
    ];
    assert_eq!(fields, expected.map(|(name, tag, text)| (name, tag, text.to_owned())));
    assert_eq!(order.fields[0].doc, "One for each article.");
    assert_eq!(order.fields[0].label, FieldLabel::Repeated);
    assert_eq!(order.fields[0].value.kind, TypeKind::Message);
    let values = &described.enumeration("Size").unwrap().values;
    let values: Vec<_> = values.iter().map(|value| (&*value.name, value.number)).collect();
    assert_eq!(values, [("SMALL", 0), ("VERY_LARGE", 1)]);
    let whole = |method| described.method(method).unwrap().takes_message;
    assert_eq!(["place", "nothing", "log"].map(whole), [Some(true), Some(false), Some(false)]);
}

#[tokio::test]
async fn chosen_addresses_are_asked_and_no_others() {
    let registry = memory();
    let start = || support::provider(&registry, "").serve(OrdersServer::new(Clerk)).start();
    let (_one, other) = (start().await.unwrap(), start().await.unwrap());
    let consumer = support::consumer(&registry, "");
    assert_eq!(consumer.describe_each(&orders(), PATIENCE).await.unwrap().len(), 2);
    let chosen = [other.address().into(), "127.0.0.1:1".into()];
    let told = consumer.describe_at(&orders(), &chosen, PATIENCE).await.unwrap();
    let addresses: Vec<&str> = told.iter().map(|(address, _)| &**address).collect();
    assert_eq!(addresses, [other.address()]);
}

#[tokio::test]
async fn the_description_is_served_at_every_address_and_listed_nowhere() {
    let registry = memory();
    let provider = support::provider(&registry, "").serve(OrdersServer::new(Clerk));
    let running = provider.start().await.unwrap();
    let consumer = support::consumer(&registry, "");
    assert_eq!(consumer.services().await.unwrap(), [orders()]);
    let each = consumer.describe_each(&orders(), PATIENCE).await.unwrap();
    assert_eq!(each.len(), 1);
    assert_eq!(&*each[0].0, running.address());
    assert_eq!(each[0].1.as_ref().unwrap().methods.len(), 6);
    let status = consumer.describe(&"test.Other".parse().unwrap(), PATIENCE).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn arguments_go_as_a_list_or_by_name_and_a_message_as_itself() {
    let (client, _running) = dynamic("").await;
    for arguments in [json!(["a", 5, {}]), json!({ "sku": "a", "atLeast": "5" }), json!(["a", 5])] {
        assert_eq!(client.call("count", arguments).await.unwrap(), json!({ "value": "5" }));
    }
    let order = json!({ "lines": [{ "sku": "a", "amount": 1 }], "size": "VERY_LARGE" });
    for arguments in [json!([order]), order.clone()] {
        let reply = client.call("place", arguments).await.unwrap();
        assert_eq!(reply["lines"], order["lines"]);
        assert_eq!(reply["size"], "VERY_LARGE");
    }
    assert_eq!(client.call("nothing", Value::Null).await.unwrap(), json!({}));
    assert_eq!(client.call("maybe", json!(["a"])).await.unwrap(), json!({}));
    assert_eq!(client.call("maybe", json!(["a", 3])).await.unwrap(), json!({ "value": 3 }));
    assert_eq!(client.call("log", json!(["x"])).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn arguments_by_name_are_put_in_the_order_that_a_stub_sends() {
    let (client, _running) = dynamic("").await;
    let order = json!({ "lines": [], "size": "SMALL" });
    for (method, given, sent) in [
        ("count", json!({ "atLeast": 5, "sku": "a" }), json!(["a", 5])),
        ("count", json!({ "tags": {}, "at_least": 5, "sku": "a" }), json!(["a", 5, {}])),
        ("maybe", json!({ "sku": "a" }), json!(["a"])),
        ("log", json!({ "text": "x" }), json!(["x"])),
        ("log", json!(["x"]), json!(["x"])),
        ("nothing", Value::Null, json!([])),
        ("place", order.clone(), order.clone()),
        ("place", json!([order]), json!([order])),
    ] {
        assert_eq!(client.arguments(method, given).unwrap(), sent, "{method}");
    }
}

#[tokio::test]
async fn a_position_that_no_method_has_is_pointed_at_without_a_stub_too() {
    let registry = memory();
    let provider = support::provider(&registry, "").serve(OrdersServer::new(Clerk));
    let _running = provider.start().await.unwrap();
    let toml = "consumer.loadbalance = { name = \"consistenthash\", hash_arguments = [3] }";
    let status = support::consumer(&registry, toml).dynamic(&orders()).await.unwrap_err();
    let told = "dubhe.toml:1:69: consumer.loadbalance.hash_arguments[0]: no method has an argument 3: \
                test.Orders:2/count has the most, 3, write 0 to 2";
    assert!(status.message().contains(told), "{status}");
}

#[tokio::test]
async fn an_unknown_method_is_not_sent_and_lists_the_known_ones() {
    let (client, _running) = dynamic("").await;
    let message = refusal(&client, "plaice", json!([])).await;
    let expected = "unknown method of test.Orders:2 `plaice` (did you mean `place`?), available: \
                    place, count, nothing, maybe, log, fail";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_not_sent_and_say_what_is_expected() {
    let (client, _running) = dynamic("").await;
    let line = json!({ "sku": "a", "amount": 1 });
    for (method, arguments, expected) in [
        (
            "count",
            json!(["a"]),
            "takes 3 arguments (sku: string, atLeast: uint64, tags: map<string, Line>), got 1",
        ),
        ("count", json!([1, 2]), "`sku`: expected string, got the number 1"),
        ("count", json!("a"), "write a list such as [\"a\"], or an object"),
        ("count", json!({ "sku": "a" }), "`atLeast` is missing"),
        (
            "count",
            json!({ "sku": "a", "at_leest": 1 }),
            "unknown argument of test.Orders:2/count `at_leest`",
        ),
        (
            "count",
            json!(["a", 1, { "x": { "skuu": "b" } }]),
            "unknown field of `tags[\"x\"]` (Line) `skuu` (did you mean `sku`?), available: sku, amount",
        ),
        ("nothing", json!([1]), "takes no arguments, got 1"),
        (
            "place",
            json!({ "lines": line, "size": "SMALL" }),
            "`lines`: expected repeated Line, got an object",
        ),
        (
            "place",
            json!({ "lines": [], "size": "TINY" }),
            "unknown Size in `size` `TINY`, available: SMALL, VERY_LARGE",
        ),
        (
            "place",
            json!({ "size": "SMALL", "subOrder": 3 }),
            "`subOrder`: expected Line, got the number 3",
        ),
    ] {
        let message = refusal(&client, method, arguments).await;
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn settings_options_and_the_log_of_attempts_hold_for_dynamic_calls() {
    let toml = "[consumer.services.\"test.Orders\".methods.fail]\ncluster = \"failsafe\"\n";
    let (client, running) = dynamic(toml).await;
    // The method's policy answers in place of the failure, by what the description says.
    assert_eq!(client.call("fail", json!([14])).await.unwrap(), json!({}));
    // The attribute's policy is known from the description alone.
    let log = AttemptLog::new();
    let client = client.with(CallOptions::new().attempts(&log).metadata("k", "v"));
    assert_eq!(client.call("count", json!(["a", 2])).await.unwrap(), json!({ "value": "2" }));
    assert_eq!(&*log.records()[0].address, running.address());
}

#[tokio::test]
async fn a_method_that_is_configured_but_does_not_exist_is_pointed_at() {
    let registry = memory();
    let provider = support::provider(&registry, "").serve(OrdersServer::new(Clerk));
    let _running = provider.start().await.unwrap();
    let toml = "[consumer.services.\"test.Orders\".methods.plase]\ntimeout = \"1s\"\n";
    let consumer = support::consumer(&registry, toml);
    let status = consumer.dynamic(&orders()).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::FailedPrecondition, Delivery::NotSent));
    assert!(status.message().contains("(did you mean `place`?)"), "{status}");
}

#[tokio::test]
async fn an_explanation_has_settings_endpoints_and_what_calls_have_left() {
    let registry = memory();
    let provider = support::provider(&registry, "").serve(OrdersServer::new(Clerk));
    let running = provider.start().await.unwrap();
    let toml = "[consumer.services.\"test.Orders\"]\ntimeout = \"4s\"\n";
    let consumer = support::consumer(&registry, toml);
    let client = consumer.dynamic(&orders()).await.unwrap();
    // The first may wait for the connection, which says nothing of the provider.
    for _ in 0..2 {
        client.call("nothing", Value::Null).await.unwrap();
    }
    let method = client.method("nothing").unwrap();
    let explained = consumer.explain(&orders(), method, Value::Null, PATIENCE).await.unwrap();
    assert_eq!(explained.settings.timeout.value, Duration::from_secs(4));
    assert_eq!(explained.settings.timeout.origin.to_string(), "dubhe.toml:2:11");
    let [endpoint] = &explained.call.endpoints[..] else { panic!("one instance") };
    assert_eq!(&*endpoint.instance.address, running.address());
    assert_eq!((endpoint.state, endpoint.in_flight), (dubhe::ChannelState::Ready, 0));
    assert_eq!((endpoint.latency.is_some(), &endpoint.dropped), (true, &None));
}

#[tokio::test]
async fn a_provider_that_does_not_describe_itself_is_named_and_not_blamed() {
    // As an older one: the service alone, without the one that describes it.
    let codec = |name| codecs::builtin().build(name, Params::new()).unwrap();
    let codecs = Codecs::new(codec("protobuf"), [codec("json")]);
    let mut dispatcher = Dispatcher::new(codecs, Metrics::new("provider"));
    dispatcher.add(orders(), Arc::new(OrdersServer::new(Clerk)), |_, inner| inner).unwrap();
    let config = ServerConfig::default();
    let listener = TcpListen::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let registry = format!("static://{}", listener.socket_addr());
    let protocols = protocols::table().unwrap();
    let _server = Server::new(vec![Box::new(listener)], Arc::new(dispatcher), protocols, config);
    let consumer = support::consumer(&registry, "");
    let client: OrdersClient = consumer.client().await.unwrap();
    client.nothing().await.unwrap();
    let status = consumer.dynamic(&orders()).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Unimplemented, Delivery::NotSent));
    assert!(status.message().contains("no instance of test.Orders:2 describes itself"), "{status}");
    let attempts = status.attempts();
    assert!(!attempts.is_empty() && attempts.iter().all(|a| a.delivery == Delivery::Refused));
    let state = consumer.directory_state(&orders()).unwrap();
    assert_eq!((state.endpoints, state.candidates), (1, 1));
    client.nothing().await.unwrap();
}
