//! `dubhe registry`: what it prints, what it asks for, how it ends, what it keeps.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::net::TcpListener;

use support::{PATIENCE, Registry, command, dubhe, hearing_hangups, provider, run_with, shop};
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn it_prints_its_address_and_ends_cleanly_when_told_to() {
    for signal in ["TERM", "INT", "HUP"] {
        let args = ["registry", "--listen", "127.0.0.1:0"];
        let mut registry = Registry::of(&mut hearing_hangups(&args)).await;
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
    let run = dubhe(&["registry", "--listen", address]).await.code(1);
    run.says(&format!("a registry runs there already: use it by --registry {}", registry.url));
    let closed = Registry::start(&["--token", "secret"]).await;
    let address = closed.url.strip_prefix("dubhe://").unwrap();
    dubhe(&["registry", "--listen", address]).await.code(1).says("a registry runs there already");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let run = dubhe(&["registry", "--listen", &address]).await.code(1).says("in use");
    assert!(!run.err.contains("a registry runs"), "{}", run.err);
}

#[tokio::test]
async fn what_is_no_address_is_wrong_usage() {
    for wrong in ["nonsense", "127.0.0.1", "127.0.0.1:99999", ":0"] {
        dubhe(&["registry", "--listen", wrong]).await.code(2).says("write HOST:PORT");
    }
}

#[tokio::test]
async fn the_address_of_another_registry_is_wrong_usage() {
    for args in [
        ["registry", "--registry", "etcd://127.0.0.1"],
        ["--registry", "dubhe://127.0.0.1:1", "registry"],
    ] {
        dubhe(&args).await.code(2).says("leave out --registry").says("by --listen HOST:PORT");
    }
}

#[tokio::test]
async fn damaged_data_is_set_aside_and_told_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("registry.redb"), "no database").unwrap();
    let data = ["--data", folder.path().to_str().unwrap()];
    let mut registry = Registry::start(&data).await;
    registry.signal("TERM").await;
    let mut said = String::new();
    let mut errors = registry.child.stderr.take().unwrap();
    tokio::time::timeout(PATIENCE, errors.read_to_string(&mut said)).await.unwrap().unwrap();
    assert!(said.contains("ERROR registry data is damaged, set aside, continuing"), "{said}");
    let kept = folder.path().join("registry.damaged");
    assert!(said.contains(kept.to_str().unwrap()), "{said}");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "no database");
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_is_wrong_usage() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let run = dubhe(&["registry", "--listen", "127.0.0.1:0", "--data", path]).await.code(2);
    run.says(path).says("choose a folder that this user may write");
}

#[tokio::test]
async fn a_token_is_asked_for_and_a_wrong_one_refused() {
    let registry = Registry::start(&["--token", "secret"]).await;
    let _provider = provider(&registry.url, "secret").await;
    registry.dubhe(&["ls", "--token", "secret"]).await.code(0).prints("test.Stock");
    for wrong in [&["ls"][..], &["ls", "--token", "guess"], &["call", "test.Stock/caller"]] {
        let run = registry.dubhe(wrong).await.code(1).says("--token or registry.token");
        assert!(!run.err.contains("secret"), "{}", run.err);
    }
}

#[tokio::test]
async fn an_empty_token_is_refused_rather_than_taken_for_none() {
    for wanted in [&["registry", "--listen", "127.0.0.1:0"][..], &["ls"], &["config"]] {
        let mut run = command(wanted);
        run.args(["--token", ""]);
        let told = run_with(run, "").await.code(2);
        told.says("--token: registry.token: the token is empty: write one, or leave it away");
    }
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
    let registry = Registry::start(&["--data", data]).await;
    let run = dubhe(&["registry", "--listen", "127.0.0.1:0", "--data", data]).await.code(2);
    let holder = format!("another registry (process {}) uses it", registry.child.id().unwrap());
    run.says(data).says(&holder);
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
