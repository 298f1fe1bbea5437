//! What `call`, `explain` and `bench` tell of a call: wrong arguments, business errors, answers
//! that stand in for failures, deadlines, settings that do not fit.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use serde_json::json;
use support::{command, dubhe, provider, run_with, shop};

#[tokio::test]
async fn arguments_that_cannot_be_are_told_with_their_place_and_nothing_is_called() {
    let (registry, one) = shop().await;
    for (args, says) in [
        (
            ["left", "[\"a\", -1]"],
            "`reserve`: -1 does not fit uint32: 0 to 4294967295 are possible",
        ),
        (["left", "[null, 1]"], "`sku`: expected string, got null"),
        (
            ["left", "{\"sku\": \"a\",\n \"sku\": \"b\", \"reserve\": 1}"],
            "\"sku\" occurs twice at line 2",
        ),
        (
            ["count", "[{\"1\": {\"sku\": \"a\", \"amount\": 2}, \"300\": {}}]"],
            "`shelves[\"300\"]`: the key is wrong: 300 does not fit uint8: 0 to 255 are possible",
        ),
        (
            ["count", "[{\"1\": {\"sku\": \"a\", \"amount\": \"2.5\"}}]"],
            "`shelves[\"1\"].amount`: 2.5 is not a whole number, as uint32 is",
        ),
        (["count", "[{\"1\": {\"sku\": \"a\"}}]"], "`shelves[\"1\"].amount` (uint32) is missing"),
    ] {
        let [method, arguments] = args;
        let target = format!("test.Stock/{method}");
        registry.dubhe(&["call", &target, arguments]).await.code(2).says(says);
    }
    let sent = one.metrics().render();
    assert!(!sent.contains("method=\"left\",code") && !sent.contains("method=\"count\",code"));
}

#[tokio::test]
async fn arguments_too_large_to_send_are_wrong_usage_and_name_the_limit() {
    let (registry, _one) = shop().await;
    let args = ["--registry", &registry.url, "call", "test.Stock/left", "-", "--timeout", "30s"];
    let large = format!("[\"{}\", 1]", "x".repeat(9 << 20));
    let run = run_with(command(&args), &large).await.code(2);
    run.says("`consumer.limits.payload`").says("not sent");
}

#[tokio::test]
async fn a_mark_of_the_byte_order_before_the_arguments_is_no_part_of_them() {
    let (registry, _one) = shop().await;
    let args = ["--registry", &registry.url, "call", "test.Stock/left", "-"];
    let run = run_with(command(&args), "\u{feff}[\"nut\", 1]\r\n").await.code(0);
    assert_eq!(run.json(), json!({ "value": 99 }));
}

#[tokio::test]
async fn a_time_that_is_too_short_is_shown_as_it_was_typed() {
    let (registry, _one) = shop().await;
    let run = registry.dubhe(&["call", "test.Stock/left", "[\"a\", 1]", "--timeout", "1us"]).await;
    let run = run.code(1).says("--timeout 1us");
    assert!(!run.err.contains("0s"), "{}", run.err);
}

#[tokio::test]
async fn a_typed_business_error_shows_its_name_and_its_fields() {
    let (registry, one) = shop().await;
    let run = registry.dubhe(&["call", "test.Stock/refuse"]).await.code(1);
    let run = run.says("error: not_found in test.Stock/refuse: 3 are left\n");
    run.says("  Refusal {\"outOfStock\":{\"left\":3}}\n").says(one.address());
    let details = json!([{ "type": "Refusal", "value": { "outOfStock": { "left": 3 } } }]);
    let shown = registry.dubhe(&["call", "test.Stock/refuse", "--json"]).await.code(1).json();
    assert_eq!(shown["error"]["details"], details);
    let explained = registry.dubhe(&["explain", "test.Stock/refuse", "[]"]).await.code(1);
    explained.prints("failed: not_found: 3 are left\n  Refusal {\"outOfStock\":{\"left\":3}}\n");
    let shown = registry.dubhe(&["explain", "test.Stock/refuse", "[]", "--json"]).await.json();
    assert_eq!(shown["error"]["details"], details);
}

#[tokio::test]
async fn an_answer_that_stands_in_for_a_failure_is_not_taken_for_a_providers() {
    let (registry, one) = shop().await;
    let run = registry.dubhe(&["call", "test.Stock/guess"]).await.code(0);
    assert_eq!(run.json(), json!({ "value": 7 }));
    let note = "no provider's answer, but the fallback for a failure: unavailable";
    run.says(&format!("note: {note}")).says("nobody knows").says(one.address());
    let shown = registry.dubhe(&["call", "test.Stock/guess", "--json"]).await.code(0).json();
    assert_eq!(shown["result"], json!({ "value": 7 }));
    assert_eq!(shown["fell_back_from"]["message"], "nobody knows");
    assert_eq!(shown["fell_back_from"]["code"], "unavailable");
    let run = registry.dubhe(&["explain", "test.Stock/guess", "[]"]).await.code(0);
    run.prints("result: {\"value\":7}\nnote: ").prints(note);
    let shown = registry.dubhe(&["explain", "test.Stock/guess", "[]", "--json"]).await.json();
    assert_eq!(shown["fell_back_from"]["message"], "nobody knows");
    let args = ["bench", "test.Stock/guess", "--concurrency", "1", "--duration", "100ms", "--json"];
    let shown = registry.dubhe(&args).await.code(1).json();
    assert_eq!(shown["succeeded"], 0);
    assert_eq!(shown["failures"][0]["first_message"], "nobody knows");
    let real = registry.dubhe(&["call", "test.Stock/left", "[\"a\", 1]", "--json"]).await.json();
    assert_eq!((&real["fell_back_from"], &real["one_way"]), (&json!(null), &json!(false)));
}

#[tokio::test]
async fn a_one_way_call_says_that_it_was_sent() {
    let (registry, _one) = shop().await;
    let run = registry.dubhe(&["call", "test.Stock/note", "[\"x\"]"]).await.code(0);
    assert_eq!(run.out, "sent\n");
    let shown =
        registry.dubhe(&["call", "test.Stock/note", "[\"x\"]", "--json"]).await.code(0).json();
    assert_eq!((&shown["result"], &shown["one_way"]), (&json!(null), &json!(true)));
    let run = registry.dubhe(&["explain", "test.Stock/note", "[\"x\"]", "--yes"]).await.code(0);
    run.prints("replied\n\nsent\n");
}

#[tokio::test]
async fn a_call_that_is_late_names_the_deadline_and_who_set_it() {
    let (registry, _one) = shop().await;
    let mut late = command(&["--registry", &registry.url, "call", "test.Stock/ponder", "[60000]"]);
    late.env("DUBHE_CONSUMER__TIMEOUT", "80ms");
    let run = run_with(late, "").await.code(1);
    run.says("ended by the deadline: consumer.timeout = 80ms (DUBHE_CONSUMER__TIMEOUT)");
    let own = ["call", "test.Stock/ponder", "[60000]", "--timeout", "900ms", "--json"];
    let shown = registry.dubhe(&own).await.code(1).json();
    assert_eq!(shown["error"]["decided_by"], "deadline: 900ms, set for this call");
}

#[tokio::test]
async fn the_timeout_is_that_of_the_asking_before_the_call_too() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("static://{}", silent.local_addr().unwrap());
    for (timeout, least, most) in [("300ms", 300, 2900), ("3500ms", 3200, 30_000)] {
        let started = tokio::time::Instant::now();
        let args = ["call", "test.Stock/left", "[\"a\", 1]", "--timeout", timeout];
        dubhe(&[&["--registry", &url], &args[..]].concat()).await.code(1);
        let elapsed = started.elapsed().as_millis();
        assert!((least..most).contains(&elapsed), "{elapsed} ms of {timeout}");
    }
}

#[tokio::test]
async fn settings_for_a_service_of_nearly_the_same_name_are_told_without_being_asked() {
    let (registry, _one) = shop().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    std::fs::write(&file, "[consumer.services.\"test.Stok\"]\ntimeout = \"3s\"\n").unwrap();
    let file = file.to_str().unwrap();
    let args = ["call", "test.Stock/left", "[\"a\", 1]", "--file", file];
    let run = registry.dubhe(&args).await.code(0);
    assert_eq!(run.json(), json!({ "value": 99 }));
    run.says("WARN settings for a service of nearly this name").says("test.Stok").says(file);
    let mut quiet = command(&[&["--registry", &registry.url], &args[..]].concat());
    quiet.env("DUBHE_LOG", "off");
    assert_eq!(run_with(quiet, "").await.code(0).err, "");
}

#[tokio::test]
async fn addresses_given_by_hand_are_listed_by_what_they_serve() {
    let (_registry, one) = shop().await;
    let url = format!("static://{},127.0.0.1:1", one.address());
    let run = dubhe(&["--registry", &url, "ls"]).await.code(0);
    assert_eq!(run.out, "SERVICE     INSTANCES  APPLICATIONS\ntest.Stock  1          -\n");
    run.says("note: 127.0.0.1:1 does not tell what it serves: cannot connect");
    let shown = dubhe(&["--registry", &url, "ls", "--json"]).await.code(0).json();
    assert_eq!(shown["silent"][0]["address"], "127.0.0.1:1");
    assert_eq!(shown["silent"][0]["error"]["code"], "unavailable");
    let url = format!("static://{}", one.address());
    for args in [&["ls", "test.Stok"][..], &["call", "test.Stok/left", "[]"]] {
        let run = dubhe(&[&["--registry", &url], args].concat()).await.code(1);
        run.says("unknown service `test.Stok` (did you mean `test.Stock`?), available: test.Stock");
    }
    for args in [&["ls"][..], &["call", "test.Stock/left", "[]"]] {
        let run = dubhe(&[&["--registry", "static://127.0.0.1:1"], args].concat()).await.code(1);
        run.says("cannot connect: ").says("127.0.0.1:1");
    }
}

#[tokio::test]
async fn explain_says_why_an_instance_is_left_out_and_what_scores_count() {
    let (registry, _one) = shop().await;
    let other = provider(&registry.url, "").await;
    let gone = other.address().to_owned();
    // Its lease outlives its port for a moment.
    drop(other);
    let mut hashed =
        command(&["--registry", &registry.url, "explain", "test.Stock/left", "--json"]);
    hashed.env("DUBHE_CONSUMER__LOADBALANCE", "consistenthash");
    let shown = run_with(hashed, "").await.code(0).json();
    assert!(shown["score_unit"].as_str().unwrap().starts_with("share of the circle"), "{shown}");
    let endpoints = shown["endpoints"].as_array().unwrap();
    let lost = endpoints.iter().find(|endpoint| endpoint["address"] == *gone).unwrap();
    assert_eq!(lost["dropped"]["reason"], "unfit");
    let why = lost["dropped"]["why"].as_str().unwrap();
    assert!(why.contains("cannot connect: "), "{why}");
    let run = registry.dubhe(&["explain", "test.Stock/left"]).await.code(0);
    run.prints(&format!("no: {why}")).prints("score: ns to wait").prints("lower is better");
}

#[tokio::test]
async fn a_call_by_the_list_on_disk_says_that_the_registry_is_away() {
    let (mut registry, _one) = shop().await;
    let folder = tempfile::tempdir().unwrap();
    let url = registry.url.clone();
    let calling = |json: bool| {
        let args = ["--registry", &url, "call", "test.Stock/left", "[\"a\", 1]", "--json"];
        let mut call = command(&args[..if json { 6 } else { 5 }]);
        call.env("DUBHE_REGISTRY__CACHE", "true").env("DUBHE_REGISTRY__CACHE_DIR", folder.path());
        run_with(call, "")
    };
    assert_eq!(calling(false).await.code(0).err, "");
    registry.child.kill().await.unwrap();
    let run = calling(false).await.code(0);
    assert_eq!(run.json(), json!({ "value": 99 }));
    run.says("note: list of providers: from cache").says("cannot connect to");
    let args = ["--registry", &url, "bench", "test.Stock/left", "[\"a\", 1]", "--duration", "50ms"];
    let mut bench = command(&[&args[..], &["--yes"]].concat());
    bench.env("DUBHE_REGISTRY__CACHE", "true").env("DUBHE_REGISTRY__CACHE_DIR", folder.path());
    run_with(bench, "").await.code(0).says("note: list of providers: from cache");
    let shown = calling(true).await.code(0).json();
    assert_eq!(shown["directory"]["source"], "cache");
    assert!(shown["directory"]["trouble"]["error"].is_string(), "{shown}");
}
