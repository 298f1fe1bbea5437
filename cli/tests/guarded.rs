//! Providers whose layers let nobody in who does not show something, also who asks what they serve.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use support::{Registry, dubhe, guarded};

const TOKEN: [&str; 2] = ["--metadata", "token=sesame"];

/// Every subcommand that asks a provider what it serves.
const ASKING: [&[&str]; 6] = [
    &["ls", "test.Stock"],
    &["ls", "test.Stock/left"],
    &["idl", "test.Stock"],
    &["call", "test.Stock/left", "[\"a\", 1]"],
    &["explain", "test.Stock/left", "[\"a\", 1]"],
    &["bench", "test.Stock/left", "[\"a\", 1]", "--duration", "100ms"],
];

#[tokio::test]
async fn metadata_goes_along_wherever_a_provider_is_asked() {
    let registry = Registry::start(&[]).await;
    let provider = guarded(&registry.url).await;
    let fixed = format!("static://{}", provider.address());
    for asking in ASKING {
        for registry in [&registry.url, &fixed] {
            let args = [&["--registry", registry], asking, &TOKEN].concat();
            dubhe(&args).await.code(0);
        }
        // Without it, what is missing is said, and what would help.
        let run = dubhe(&[&["--registry", &registry.url], asking].concat()).await;
        let told = format!("{}{}", run.out, run.err);
        assert!(told.contains("show the token"), "{asking:?}: {told}");
        assert!(told.contains("by --metadata KEY=VALUE"), "{asking:?}: {told}");
    }
    let run = dubhe(&[&["--registry", &fixed, "ls"], &TOKEN[..]].concat()).await.code(0);
    run.prints("test.Stock");
    let run = dubhe(&["--registry", &fixed, "ls"]).await.code(1);
    run.says("show the token; what its layers ask for goes along by --metadata KEY=VALUE");
}

#[tokio::test]
async fn what_comes_beside_a_reply_is_told() {
    let (registry, _provider) = support::shop().await;
    let args = ["call", "test.Stock/caller", "--metadata", "caller=me"];
    let run = registry.dubhe(&args).await.code(0);
    assert_eq!(run.err, "metadata: seen=once\nmetadata: seen=tw ice\n");
    let told = registry.dubhe(&[&args[..], &["--json"]].concat()).await.code(0).json();
    assert_eq!(told["metadata"], serde_json::json!({ "seen": ["once", "tw\u{1b}ice"] }));
}

#[tokio::test]
async fn an_instance_that_answers_and_does_not_describe_itself_is_no_one_that_was_not_asked() {
    let registry = Registry::start(&[]).await;
    let _provider = guarded(&registry.url).await;
    let run = registry.dubhe(&["doctor", "test.Stock"]).await.code(0);
    let run =
        run.prints("speaks dubbo,json; answers, and does not describe itself: show the token");
    run.prints("give what its layers ask for by --metadata KEY=VALUE").prints("1 warnings");
}
