//! What `explain` tells of policies, balancers and instances that nobody reaches.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use serde_json::{Value, json};
use support::{command, dubhe, provider, run_with, shop};
use tokio::net::TcpSocket;

/// Runs `explain … --json` with a setting of the environment.
async fn explained(registry: &str, setting: (&str, &str), args: &[&str]) -> Value {
    let mut run = command(&[&["--registry", registry, "explain", "--json"], args].concat());
    run.env(setting.0, setting.1);
    run_with(run, "").await.code(0).json()
}

#[tokio::test]
async fn instances_that_nobody_reaches_are_shown_with_the_reason() {
    // Connections wait in its queue, as at a process that was stopped.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = silent.listen(64).unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    for (address, why) in [("127.0.0.1:1", "cannot connect: "), (&*silent, "within")] {
        let url = format!("static://{address}");
        let args = ["--registry", &url, "explain", "test.Stock/left", "[\"a\", 1]", "--json"];
        let shown = dubhe(&args).await.code(1).json();
        assert_eq!(shown["idempotent"], json!(null));
        let endpoint = &shown["endpoints"][0];
        assert_eq!((&endpoint["address"], &endpoint["state"]), (&json!(address), &json!("down")));
        assert!(endpoint["unreached"].as_str().unwrap().contains(why), "{shown}");
        assert!(shown["error"]["message"].is_string() && shown["attempts"].is_null(), "{shown}");
    }
    let args = ["--registry", "static://127.0.0.1:1", "explain", "test.Stock/left", "[\"a\", 1]"];
    let run = dubhe(&args).await.code(1).prints("consumer.timeout").prints("list: live");
    let run = run.prints("test.Stock/left (no instance says what it is").prints("  down  ");
    let run = run.prints("yes, but cannot connect: ");
    run.prints("\nnothing was called: ").prints("no instance of test.Stock describes it");
    // Policies that refuse a method for what it is do not refuse one that is not known.
    for cluster in ["broadcast", "failsafe", "failback"] {
        let mut run =
            command(&["--registry", "static://127.0.0.1:1", "explain", "test.Stock/take"]);
        run.env("DUBHE_CONSUMER__CLUSTER", cluster);
        run_with(run, "").await.code(1).prints("cannot connect").prints(cluster);
    }
}

#[tokio::test]
async fn a_policy_that_calls_everyone_leaves_out_nobody() {
    let (registry, _one) = shop().await;
    let other = provider(&registry.url, "").await;
    let gone = other.address().to_owned();
    // Its lease outlives its port for a moment.
    drop(other);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    let text = "[consumer.services.\"test.Stock\".methods.left]\ncluster = \"broadcast\"\n";
    std::fs::write(&file, text).unwrap();
    let broadcast = ("DUBHE_CONFIG", file.to_str().unwrap());
    let shown = explained(&registry.url, broadcast, &["test.Stock/left"]).await;
    assert_eq!(shown["choice"], "everyone");
    for endpoint in shown["endpoints"].as_array().unwrap() {
        assert_eq!((&endpoint["candidate"], &endpoint["score"]), (&json!(true), &json!(null)));
        assert_eq!(endpoint["unreached"].is_string(), endpoint["address"] == *gone, "{shown}");
    }
    let mut run = command(&["--registry", &registry.url, "explain", "test.Stock/left"]);
    run.env(broadcast.0, broadcast.1);
    let run = run_with(run, "").await.code(0);
    run.prints("policy: calls every candidate, whatever its state")
        .prints("yes, but cannot connect");
}

#[tokio::test]
async fn a_policy_that_takes_the_first_shows_no_score() {
    let (registry, _one) = shop().await;
    let available = ("DUBHE_CONSUMER__CLUSTER", "available");
    let shown = explained(&registry.url, available, &["test.Stock/left"]).await;
    assert_eq!(
        (&shown["choice"], &shown["endpoints"][0]["score"]),
        (&json!("first"), &json!(null))
    );
    let balanced =
        explained(&registry.url, ("DUBHE_CONSUMER__RETRIES", "1"), &["test.Stock/left"]).await;
    assert_eq!(balanced["choice"], "balanced");
}

#[tokio::test]
async fn arguments_by_name_are_hashed_as_those_in_a_list() {
    let (registry, _one) = shop().await;
    let (_two, _three) = (provider(&registry.url, "").await, provider(&registry.url, "").await);
    let hashed = ("DUBHE_CONSUMER__LOADBALANCE", "consistenthash");
    for sku in ["nut", "bolt", "screw"] {
        let (list, named) = (json!([sku, 1]), json!({ "reserve": 1, "sku": sku }));
        let mut seen = Vec::new();
        for arguments in [list, named] {
            let arguments = arguments.to_string();
            let shown = explained(&registry.url, hashed, &["test.Stock/left", &arguments]).await;
            let scores =
                shown["endpoints"].as_array().unwrap().iter().map(|it| it["score"].clone());
            seen.push((scores.collect::<Vec<_>>(), shown["attempts"][0]["address"].clone()));
        }
        assert_eq!(seen[0], seen[1]);
    }
}

#[tokio::test]
async fn gates_and_instances_that_are_disabled_are_shown() {
    let (registry, one) = shop().await;
    let other = provider(&registry.url, "").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    let key = format!("consumer.instances.\"{}\"", other.address());
    std::fs::write(&file, format!("[{key}]\ndisabled = true\n")).unwrap();
    let settings = ("DUBHE_CONFIG", file.to_str().unwrap());
    let shown = explained(&registry.url, settings, &["test.Stock/left"]).await;
    let endpoint = &shown["endpoints"][0];
    assert_eq!(endpoint["address"], *one.address());
    assert_eq!(endpoint["gate"], json!({ "state": "off", "limit": null }));
    assert_eq!(endpoint["full_ms"], Value::Null);
    let disabled = &shown["disabled"];
    assert_eq!((disabled.as_array().unwrap().len(), shown["endpoints"][1].is_null()), (1, true));
    assert_eq!(disabled[0]["address"], *other.address());
    assert_eq!(disabled[0]["by"]["key"], format!("{key}.disabled"));
    let why = format!("disabled by {key}.disabled ({}:2:12)", file.display());
    assert_eq!(disabled[0]["why"], *why);
    let mut run = command(&["--registry", &registry.url, "explain", "test.Stock/note"]);
    run.env(settings.0, settings.1);
    let run = run_with(run, "").await.code(0);
    run.prints(&format!("no: {why}")).prints("  disabled  ").prints("  none  ");
}

#[tokio::test]
async fn a_codec_that_the_command_does_not_use_is_told() {
    let (registry, _one) = shop().await;
    let mut run = command(&["--registry", &registry.url, "explain", "test.Stock/left"]);
    run.env("DUBHE_CONSUMER__CODEC", "msgpack");
    let run = run_with(run, "").await.code(0);
    run.prints("calls of this command go out as json, whatever the codec is");
    let shown =
        explained(&registry.url, ("DUBHE_CONSUMER__CODEC", "msgpack"), &["test.Stock/left"]);
    assert_eq!(shown.await["codec"], "json");
}

#[tokio::test]
async fn the_fields_of_a_result_stand_in_the_order_of_declaration() {
    let (registry, _one) = shop().await;
    let args = ["test.Stock/take", "{\"amount\": 1, \"sku\": \"a\"}"];
    let run = registry.dubhe(&[&["call"], &args[..]].concat()).await.code(0);
    assert_eq!(run.out, "{\n  \"sku\": \"a\",\n  \"amount\": 1\n}\n");
    let run = registry.dubhe(&[&["explain", "--yes"], &args[..]].concat()).await.code(0);
    run.prints("result: {\"sku\":\"a\",\"amount\":1}\n");
}
