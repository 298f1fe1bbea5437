//! `ls`, `call` and `explain` against running providers.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use support::{Registry, command, dubhe, provider, provider_of, run_with, shop};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpSocket, TcpStream};

#[tokio::test]
async fn ls_counts_the_instances_of_every_service() {
    let (registry, _one) = shop().await;
    let _two = provider(&registry.url, "").await;
    let run = registry.dubhe(&["ls"]).await.code(0);
    assert_eq!(run.out, "SERVICE     INSTANCES  APPLICATIONS\ntest.Stock  2          shelf\n");
    let services = registry.dubhe(&["ls", "--json"]).await.code(0).json();
    let expected = json!({ "service": "test.Stock", "instances": 2, "applications": ["shelf"] });
    assert_eq!(services["services"], json!([expected]));
}

#[tokio::test]
async fn ls_without_any_service_says_so() {
    let registry = Registry::start(&[]).await;
    assert_eq!(registry.dubhe(&["ls"]).await.code(0).out, "no services\n");
    registry.dubhe(&["ls", "x.Y"]).await.code(1).says("the registry lists no service at all");
}

#[tokio::test]
async fn ls_of_a_service_shows_instances_and_methods() {
    let (registry, one) = shop().await;
    let run = registry.dubhe(&["ls", "test.Stock"]).await.code(0);
    let run = run.prints(one.address()).prints("up").prints("protobuf").prints("shelf");
    let run = run.prints("left(sku: string, reserve: uint32) -> (value: uint32)  [idempotent]");
    let run = run.prints("    How many are left.").prints("take(sku: string, amount: uint32)");
    let shown = registry.dubhe(&["ls", "test.Stock", "--json"]).await.code(0).json();
    assert_eq!(shown["instances"][0]["address"], one.address());
    assert_eq!(shown["instances"][0]["state"], "up");
    // Nor does the text speak of them.
    assert_eq!(shown["consumers"], json!(null));
    assert!(!run.out.to_lowercase().contains("consumer"), "{}", run.out);
    assert_eq!(shown["methods"][0]["arguments"][1], json!({ "name": "reserve", "type": "uint32" }));
    assert_eq!(shown["methods"][1]["idempotent"], false);
}

#[tokio::test]
async fn ls_shows_one_method_the_types_it_uses_and_how_it_fails() {
    let (registry, one) = shop().await;
    let run = registry.dubhe(&["ls", "test.Stock/count"]).await.code(0);
    let run = run.prints(one.address());
    let method = "count(shelves: map<uint32, Item>) -> (value: uint32)  [idempotent]\n";
    let types = "message Item\n    sku: string\n    amount: uint32\n";
    let (_, methods) = run.out.split_once("\n\n").unwrap();
    let doc = "    How many of each shelf, by its number.\n";
    assert_eq!(methods.replace("uint8", "uint32"), format!("{method}{doc}\n{types}"));
    let run = registry.dubhe(&["ls", "test.Stock/refuse"]).await.code(0);
    let run = run.prints("refuse() -> (value: uint32)  [idempotent, fails with Refusal]\n");
    run.prints("one of Refusal\n    outOfStock: ").prints("\n    left: uint32\n");
    let shown = registry.dubhe(&["ls", "test.Stock/refuse", "--json"]).await.code(0).json();
    assert_eq!(shown["methods"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&shown["types"][0]["name"], &shown["types"][0]["kind"]),
        (&json!("Refusal"), &json!("oneof"))
    );
    let run = registry.dubhe(&["ls", "test.Stock/lift"]).await.code(2);
    run.says("unknown method of test.Stock `lift` (did you mean `left`?)");
    registry.dubhe(&["ls", "test.Stok/left"]).await.code(1).says("available: test.Stock");
    let url = format!("static://{}", one.address());
    dubhe(&["--registry", &url, "ls", "test.Stock/left"]).await.code(0).prints("left(sku: string");
}

#[tokio::test]
async fn an_instance_that_has_died_is_shown_as_unreachable() {
    let (registry, one) = shop().await;
    let other = provider(&registry.url, "").await;
    let gone = other.address().to_owned();
    // Its lease outlives its port for a moment.
    drop(other);
    let shown = registry.dubhe(&["ls", "test.Stock", "--json"]).await.code(0).json();
    for instance in shown["instances"].as_array().unwrap() {
        let expected = if instance["address"] == one.address() { "up" } else { "unreachable" };
        assert_eq!(instance["state"], expected, "{instance} {gone}");
        assert_eq!(instance["error"].is_null(), expected == "up", "{instance}");
    }
    let run = registry.dubhe(&["ls", "test.Stock"]).await.code(0);
    run.says(&format!("note: {gone} is unreachable: cannot connect: "));
}

#[tokio::test]
async fn instances_that_no_consumer_can_call_are_listed_all_the_same() {
    let registry = Registry::start(&[]).await;
    let one = provider_of(&registry.url, "", &["json"]).await;
    let run = registry.dubhe(&["ls", "test.Stock"]).await.code(0);
    run.prints(one.address()).prints("not asked  ").prints("\nnot asked: ");
    let shown = registry.dubhe(&["ls", "test.Stock", "--json"]).await.code(0).json();
    assert_eq!(shown["instances"][0]["address"], one.address());
    assert_eq!(shown["instances"][0]["state"], "not_asked");
    assert_eq!(shown["methods"], json!(null));
}

#[tokio::test]
async fn call_prints_the_result_as_json() {
    let (registry, one) = shop().await;
    let left = registry.dubhe(&["call", "test.Stock/left", "[\"nut\", 30]"]).await.code(0);
    assert_eq!(left.json(), json!({ "value": 70 }));
    let by_name = "{\"sku\": \"nut\", \"amount\": 2}";
    let taken = registry.dubhe(&["call", "test.Stock/take", by_name]).await.code(0);
    assert_eq!(taken.json(), json!({ "sku": "nut", "amount": 2 }));
    let args = ["call", "test.Stock/caller", "--metadata", "caller=me", "--json"];
    let whole = registry.dubhe(&args).await.code(0).json();
    assert_eq!(whole["result"], json!({ "value": "me" }));
    assert_eq!(whole["attempts"][0]["address"], one.address());
    assert_eq!(whole["attempts"][0]["outcome"], "replied");
}

#[tokio::test]
async fn a_one_way_call_has_arrived_when_the_command_ends() {
    let registry = Registry::start(&[]).await;
    let one = provider(&registry.url, "").await;
    let slow = slowly(one.address().to_owned()).await;
    // More than the sockets between here and there hold.
    let note = format!("[\"{}\"]", "x".repeat(7 << 20));
    let url = format!("static://{slow}");
    let args = ["--registry", &url, "call", "test.Stock/note", "-", "--timeout", "5s"];
    run_with(command(&args), &note).await.code(0);
    let arrived = async {
        while support::NOTED.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), arrived).await.expect("the call was lost");
}

/// An address in front of `address` whose readers take their time and hold little.
async fn slowly(address: String) -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let local = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(&address).await.unwrap();
            let (mut from_near, mut to_near) = near.into_split();
            let (mut from_far, mut to_far) = far.into_split();
            tokio::spawn(async move { copy(&mut from_far, &mut to_near).await });
            tokio::spawn(async move {
                let mut some = vec![0; 64 << 10];
                while let Ok(count @ 1..) = from_near.read(&mut some).await {
                    to_far.write_all(&some[..count]).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
        }
    });
    local
}

#[tokio::test]
async fn call_reads_arguments_from_standard_input() {
    let (registry, _one) = shop().await;
    let args = ["--registry", &registry.url, "call", "test.Stock/left", "-"];
    let run = run_with(command(&args), "[\"nut\",\n 1]\n").await.code(0);
    assert_eq!(run.json(), json!({ "value": 99 }));
}

#[tokio::test]
async fn a_call_that_fails_tells_status_and_attempts_and_exits_with_1() {
    let (registry, one) = shop().await;
    let two = provider(&registry.url, "").await;
    let run = registry.dubhe(&["call", "test.Stock/flee"]).await.code(1);
    let run = run.says("error: unavailable in test.Stock/flee").says("gone");
    run.says(one.address()).says(two.address()).says("not sent again: ");
    let error = registry.dubhe(&["call", "test.Stock/flee", "--json"]).await.code(1).json();
    assert_eq!(error["error"]["code"], "unavailable");
    assert!(error["error"]["attempts"].as_array().unwrap().len() >= 2);
    let slow = ["call", "test.Stock/ponder", "[5000]", "--timeout", "50ms"];
    registry.dubhe(&slow).await.code(1).says("deadline_exceeded");
}

#[tokio::test]
async fn what_a_provider_says_does_not_control_the_terminal() {
    let (registry, _one) = shop().await;
    for args in [
        &["call", "test.Stock/flee"][..],
        &["call", "test.Stock/flee", "--json"],
        &["explain", "test.Stock/flee", "[]"],
        &["bench", "test.Stock/flee", "--duration", "100ms"],
    ] {
        let run = registry.dubhe(args).await.code(1);
        let all = run.out + &run.err;
        assert!(all.contains("gone") && all.contains("[2J"), "{all:?}");
        assert!(!all.contains(|c: char| c.is_control() && c != '\n'), "{all:?}");
    }
    let args = ["call", "test.Stock/caller", "--metadata", "caller=a\u{9b}b"];
    let run = registry.dubhe(&args).await.code(0);
    assert!(!run.out.contains('\u{9b}'), "{}", run.out);
    assert_eq!(run.json(), json!({ "value": "a\u{9b}b" }));
}

#[tokio::test]
async fn a_service_of_which_no_instance_can_be_reached_is_named() {
    let (registry, one) = shop().await;
    let gone = one.address().to_owned();
    drop(one);
    let run = registry.dubhe(&["call", "test.Stock/caller"]).await.code(1);
    run.says("no instance of test.Stock describes it").says(&gone).says("not sent");
}

#[tokio::test]
async fn what_a_person_mistypes_is_told_before_anything_is_called() {
    let (registry, _one) = shop().await;
    for (args, code, says) in [
        (&["call", "test.Stok/left", "[]"][..], 1, "(did you mean `test.Stock`?)"),
        (&["ls", "test.Stok"], 1, "(did you mean `test.Stock`?)"),
        (&["explain", "test.Stok/left"], 1, "(did you mean `test.Stock`?)"),
        (
            &["call", "test.Stock/lift", "[]"],
            2,
            "unknown method of test.Stock `lift` (did you mean `left`?)",
        ),
        (
            &["call", "test.Stock/left", "[\"nut\"]"],
            2,
            "takes 2 arguments (sku: string, reserve: uint32), got 1",
        ),
        (
            &["call", "test.Stock/left", "{\"sku\": \"a\", \"reserv\": 1}"],
            2,
            "(did you mean `reserve`?)",
        ),
        (
            &["call", "test.Stock/left", "[\"nut\" 1]"],
            2,
            "line 1, column 8\n  [\"nut\" 1]\n         ^",
        ),
        (&["call", "test.Stock/left", "[nut]"], 2, "texts stand in double quotes"),
        (&["call", "test.Stock/left", "nut"], 2, "mind the shell's quotes"),
        (&["call", "test.Stock", "[]"], 2, "write SERVICE/METHOD"),
        (
            &["call", "test.Stock/left", "[]", "--timeout", "5"],
            2,
            "write a whole number and a unit",
        ),
        (&["call", "test.Stock/left", "[]", "--metadata", "x"], 2, "write KEY=VALUE"),
        (&["bench", "test.Stock/take", "{\"sku\": \"a\", \"amount\": 1}"], 2, "add --yes"),
        (&["explain", "test.Stock/take", "{\"sku\": \"a\", \"amount\": 1}"], 2, "add --yes"),
        (&["frobnicate"], 2, "unrecognized subcommand"),
    ] {
        registry.dubhe(args).await.code(code).says(says);
    }
}

#[tokio::test]
async fn explain_shows_settings_endpoints_and_who_answered() {
    let (registry, one) = shop().await;
    let run = registry.dubhe(&["explain", "test.Stock/left"]).await.code(0);
    let run = run.prints("test.Stock/left (idempotent)").prints("consumer.loadbalance");
    let run = run.prints(one.address()).prints("ready").prints("healthy").prints("list: live");
    assert!(!run.out.contains("ATTEMPT"), "{}", run.out);
    let called = registry.dubhe(&["explain", "test.Stock/left", "[\"a\", 1]"]).await.code(0);
    called.prints("ATTEMPT").prints("replied").prints("result: {\"value\":99}");
}

#[tokio::test]
async fn explain_for_programs_has_every_endpoint_and_every_attempt() {
    let (registry, _one) = shop().await;
    let _two = provider(&registry.url, "").await;
    let args = ["explain", "test.Stock/flee", "[]", "--json"];
    let shown = registry.dubhe(&args).await.code(1).json();
    assert_eq!(shown["method"], "test.Stock/flee");
    assert_eq!(shown["endpoints"].as_array().unwrap().len(), 2);
    assert_eq!(shown["endpoints"][0]["state"], "ready");
    for endpoint in shown["endpoints"].as_array().unwrap() {
        let (state, left) = (&endpoint["health"]["state"], &endpoint["health"]["left_ms"]);
        assert!(["healthy", "ejected", "probation"].contains(&state.as_str().unwrap()), "{shown}");
        assert_eq!(left.is_number(), state == "ejected", "{shown}");
    }
    assert_eq!(shown["directory"]["source"], "live");
    assert_eq!(shown["directory"]["trouble"], json!(null));
    assert!(shown["attempts"].as_array().unwrap().len() >= 2, "{shown}");
    let keys = |attempt: &serde_json::Value| -> Vec<String> {
        attempt.as_object().unwrap().keys().cloned().collect()
    };
    let worked = registry.dubhe(&["explain", "test.Stock/caller", "[]", "--json"]).await.json();
    for attempt in [&shown["attempts"][0], &shown["error"]["attempts"][0]] {
        assert_eq!(keys(attempt), keys(&worked["attempts"][0]));
        assert_eq!(
            (&attempt["outcome"], &attempt["code"]),
            (&json!("failed"), &json!("unavailable"))
        );
    }
    assert_eq!(shown["error"]["code"], "unavailable");
    let settings = shown["settings"].as_array().unwrap();
    let timeout = settings.iter().find(|s| s["key"] == "consumer.timeout").unwrap();
    assert_eq!((&timeout["value"], &timeout["origin"]), (&json!("1s"), &json!("default")));
}

#[tokio::test]
async fn an_address_that_accepts_and_says_nothing_is_told_with_how_long_it_was_waited_for() {
    // Connections wait in its queue, as at a process that was stopped.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = silent.listen(64).unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let url = format!("static://{address}");
    let args = ["--registry", &url, "ls", "test.Stock"];
    let run = run_with(command(&args), "").await.code(0);
    let (_, told) = run.err.split_once(&format!("note: {address} is unreachable: ")).unwrap();
    assert!(told.contains("within 1s") || told.contains("within 2s"), "{told}");
}

#[tokio::test]
async fn of_two_registries_the_one_that_is_away_is_named() {
    let (registry, one) = shop().await;
    let both = format!("{},dubhe://127.0.0.1:1", registry.url);
    let away = "registry dubhe://127.0.0.1:1: cannot connect to";
    dubhe(&["--registry", &both, "ls"]).await.code(0).prints("test.Stock").says(away);
    let run = dubhe(&["--registry", &both, "ls", "test.Stock"]).await.code(0);
    run.prints(one.address()).says(away);
    for args in [&["ls", "test.Nobody"][..], &["call", "test.Nobody/left"]] {
        dubhe(&[&["--registry", &both], args].concat()).await.code(1).says(away);
    }
}
