//! The command in the folder of a program that has extensions of its own, which the command lacks.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use serde_json::json;
use support::shop;

const SETTINGS: &str = "[consumer]
loadbalance = { name = \"nth\", n = 2 }
codec = \"pretty\"
routers = [\"own\"]
cluster = \"mine\"

[consumer.services.\"test.Stock\".methods.left]
loadbalance = \"leastactve\"
routers = [\"mine\"]
";

/// A folder with a file of these settings, and the file's name.
fn settings(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    std::fs::write(&file, text).unwrap();
    (folder, file.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_program_with_extensions_of_its_own_is_listed_called_explained_and_measured() {
    let (registry, _one) = shop().await;
    let (_folder, file) = settings(SETTINGS);
    let listed = registry.dubhe(&["ls", "test.Stock", "--file", &file]).await.code(0);
    assert_eq!(listed.err, "");
    let calls: [&[&str]; 3] = [
        &["call", "test.Stock/left", "[\"a\", 1]"],
        &["explain", "test.Stock/left", "[\"a\", 1]"],
        &["bench", "test.Stock/left", "[\"a\", 1]", "--duration", "100ms"],
    ];
    for args in calls {
        let run = registry.dubhe(&[args, &["--file", &file]].concat()).await.code(0);
        let places = [
            ":2:24: consumer.loadbalance: unknown loadbalance `nth`",
            ":3:9: consumer.codec: unknown codec `pretty`",
            ":4:12: consumer.routers[0]: unknown router `own`",
            ":5:11: consumer.cluster: unknown cluster `mine`",
            ":8:15: consumer.services.\"test.Stock\".methods.left.loadbalance: unknown loadbalance \
             `leastactve` (did you mean `leastactive`?)",
            ":9:12: consumer.services.\"test.Stock\".methods.left.routers[0]: unknown router `mine`",
        ];
        let run =
            places.into_iter().fold(run, |run, place| run.says(&format!("warning: {file}{place}")));
        assert_eq!(run.err.lines().count(), places.len(), "{}", run.err);
    }
    let shown = registry.dubhe(&["explain", "test.Stock/left", "--json", "--file", &file]).await;
    let shown = shown.code(0).json();
    for (key, value) in [
        ("consumer.loadbalance", json!("p2c")),
        ("consumer.codec", json!("protobuf")),
        ("consumer.cluster", json!("failover")),
    ] {
        let setting = json!({ "key": key, "value": value, "origin": "default" });
        assert!(shown["settings"].as_array().unwrap().contains(&setting), "{shown}");
    }
}

#[tokio::test]
async fn config_shows_what_only_the_program_knows_and_says_so() {
    let (registry, _one) = shop().await;
    let (_folder, file) = settings(SETTINGS);
    let run = registry.dubhe(&["config", "--set", "--file", &file]).await.code(0);
    let run = run.prints("\"nth\" (`nth` is not known to this command)");
    let run = run.prints("\"pretty\" (`pretty` is not known to this command)");
    run.prints("[\"own\"] (`own` is not known to this command)").prints(&format!("{file}:3:9"));
    let shown =
        registry.dubhe(&["config", "--set", "--json", "--file", &file]).await.code(0).json();
    let codec = json!({
        "key": "consumer.codec",
        "value": "pretty",
        "origin": format!("{file}:3:9"),
        "unknown": "pretty",
    });
    assert!(shown["settings"].as_array().unwrap().contains(&codec), "{shown}");
}

#[tokio::test]
async fn what_the_command_knows_has_to_be_right_all_the_same() {
    let (registry, _one) = shop().await;
    for (text, says) in [
        (
            "consumer.loadbalance = { name = \"consistenthash\", hash_node = 5 }",
            "(did you mean `hash_nodes`?)",
        ),
        ("consumer.codek = \"own\"", "(did you mean `codec`?)"),
        (
            "consumer.loadbalance = { name = \"consistenthash\", hash_arguments = [7] }",
            "no method has an argument 7",
        ),
    ] {
        let (_folder, file) = settings(text);
        let args = ["call", "test.Stock/left", "[\"a\", 1]", "--file", &file];
        registry.dubhe(&args).await.code(2).says(says);
    }
}
