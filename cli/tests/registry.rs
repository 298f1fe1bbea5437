//! `dubhe registry`: what it prints, what it asks for, how it ends, what it keeps.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use support::{PATIENCE, Registry, command, dubhe, provider, run_with, shop};

#[tokio::test]
async fn it_prints_its_address_and_ends_cleanly_when_told_to() {
    for signal in ["TERM", "INT"] {
        let mut registry = Registry::start(&[]).await;
        assert_eq!(registry.said, format!("registry at {}", registry.url));
        registry.signal(signal).await;
        let ended = tokio::time::timeout(PATIENCE, registry.child.wait()).await.unwrap().unwrap();
        assert_eq!(ended.code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_told_with_the_remedy() {
    let registry = Registry::start(&[]).await;
    let address = registry.url.strip_prefix("dubhe://").unwrap();
    let run = dubhe(&["registry", "--listen", address]).await.code(1);
    run.says(address).says("in use").says("choose another address");
}

#[tokio::test]
async fn a_token_is_asked_for_and_a_wrong_one_refused() {
    let registry = Registry::start(&["--token", "secret"]).await;
    let _provider = provider(&registry.url, "secret").await;
    registry.dubhe(&["ls", "--token", "secret"]).await.code(0).prints("test.Stock");
    for wrong in [&["ls"][..], &["ls", "--token", "guess"], &["call", "test.Stock/caller"]] {
        let run = registry.dubhe(wrong).await.code(1).says("token");
        assert!(!run.err.contains("secret"), "{}", run.err);
    }
}

#[tokio::test]
async fn an_empty_token_is_refused_rather_than_taken_for_none() {
    let command = command(&["registry", "--listen", "127.0.0.1:0", "--token", ""]);
    run_with(command, "").await.code(2).says("the token is empty");
}

#[tokio::test]
async fn a_token_from_the_environment_is_asked_for_too() {
    let mut server = command(&["registry", "--listen", "127.0.0.1:0"]);
    let registry = Registry::of(server.env("DUBHE_REGISTRY__TOKEN", "secret")).await;
    registry.dubhe(&["ls"]).await.code(1).says("token");
    let mut client = command(&["ls", "--registry", &registry.url]);
    client.env("DUBHE_REGISTRY__TOKEN", "secret");
    run_with(client, "").await.code(0).prints("no services");
}

#[tokio::test]
async fn what_is_registered_survives_a_kill_in_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data", folder.path().to_str().unwrap()];
    let mut registry = Registry::start(&data).await;
    let address = registry.url.strip_prefix("dubhe://").unwrap().to_owned();
    let _provider = provider(&registry.url, "").await;
    registry.child.kill().await.unwrap();
    let again = Registry::start_at(&address, &data).await;
    assert!(again.said.ends_with("1 instances restored"), "{}", again.said);
    again.dubhe(&["ls"]).await.code(0).prints("test.Stock");
}

#[tokio::test]
async fn two_servers_do_not_share_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let _registry = Registry::start(&["--data", data]).await;
    let run = dubhe(&["registry", "--listen", "127.0.0.1:0", "--data", data]).await;
    assert!(run.code != 0 && run.err.contains(data), "{}", run.err);
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_told_with_its_address() {
    let (mut registry, _provider) = shop().await;
    registry.child.kill().await.unwrap();
    let address = registry.url.strip_prefix("dubhe://").unwrap();
    for args in [&["ls"][..], &["call", "test.Stock/caller"], &["explain", "test.Stock/caller"]] {
        registry.dubhe(args).await.code(1).says(address).says("is it running?");
    }
}
