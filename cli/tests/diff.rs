//! Two versions of a contract: saved, and as they run.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::path::{Path, PathBuf};

use dubhe::describe::{Contract, ServiceDescription};
use dubhe::prelude::*;
use serde_json::Value;
use support::{
    Registry, Shelf, StockClient, StockServer, builder, command, dubhe, run_with, shop, started,
};
use tempfile::TempDir;

#[dubhe::service(name = "test.Till")]
trait Till {
    #[rpc(idempotent)]
    async fn sum(&self, of: u32) -> Result<u64>;
}

struct Drawer;

impl Till for Drawer {
    async fn sum(&self, of: u32) -> Result<u64> {
        Ok(of.into())
    }
}

/// The contract of the stock.
fn stock() -> Contract {
    Contract::new([ServiceDescription::of::<StockClient>()])
}

/// The stock when its first argument was called `article`, which is a rename since.
fn renamed() -> Contract {
    let mut old = stock();
    old.services[0].messages[0].fields[0].name = "article".to_owned();
    old.services[0].messages[0].fields[0].json_name = "article".to_owned();
    old
}

/// The stock when it had another note on its time, which concerns new callers alone.
fn slower() -> Contract {
    let mut old = stock();
    old.services[0].methods[0].timeout_ms = Some(7000);
    old
}

/// The stock when what is left could be counted twice and may no longer.
fn repeatable() -> Contract {
    let mut old = stock();
    old.services[0].methods[1].is_idempotent = true;
    old
}

fn saved(folder: &TempDir, name: &str, contract: &Contract) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, contract.to_json()).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn what_runs_is_saved_and_compared_with_what_runs_later() {
    let (registry, provider) = shop().await;
    let folder = tempfile::tempdir().unwrap();
    let run = registry.dubhe(&["idl", "--contract", "test.Stock"]).await.code(0);
    // The provider knows the answers in place of failures, too.
    let told = Contract::parse(&run.out).unwrap();
    assert_eq!(told.difference(&stock()).findings, []);
    let path = folder.path().join("stock.json");
    std::fs::write(&path, &run.out).unwrap();
    for new in [&["test.Stock"][..], &[]] {
        let args = [&["diff", text(&path)], new].concat();
        assert_eq!(registry.dubhe(&args).await.code(0).out, "no changes\n");
        // An address will do.
        let fixed = format!("static://{}", provider.address());
        let args = [&["--registry", &fixed], &args[..]].concat();
        assert_eq!(dubhe(&args).await.code(0).out, "no changes\n");
    }
    let old = saved(&folder, "renamed.json", &renamed());
    let run = registry.dubhe(&["diff", text(&old)]).await.code(3);
    assert_eq!(
        run.out,
        "breaking: test.Stock/left argument article is called sku, was article\n  \
         old callers of new providers: arguments lost in json, msgpack\n  \
         new callers of old providers: arguments lost in json, msgpack\n  \
         remedy: keep the name in the trait, an implementation may have another; if it is another \
         argument, add it at the end\n\
         1 breaking\n"
    );
    assert_eq!(run.err, "");
    // The other way round, and as a stream.
    let args = ["--registry", &registry.url, "diff", "test.Stock", "-"];
    run_with(command(&args), &renamed().to_json())
        .await
        .code(3)
        .prints("is called article, was sku");
}

#[tokio::test]
async fn the_exit_code_tells_what_breaks_from_what_is_risky() {
    let folder = tempfile::tempdir().unwrap();
    let now = saved(&folder, "now.json", &stock());
    let diff = async |old: &Contract, more: &[&str]| {
        let old = saved(&folder, "old.json", old);
        dubhe(&[&["diff", text(&old), text(&now)], more].concat()).await
    };
    diff(&stock(), &["--strict"]).await.code(0).prints("no changes\n");
    diff(&slower(), &["--strict"])
        .await
        .code(0)
        .prints("timeout is none, was 7000ms")
        .prints("1 compatible\n");
    let risky = diff(&repeatable(), &[]).await.code(0);
    risky
        .prints("risky: test.Stock/take may no longer run twice")
        .prints("  rollout: update callers first\n");
    diff(&repeatable(), &["--strict"]).await.code(3);
    diff(&renamed(), &[]).await.code(3);
    // Who speaks protobuf alone finds arguments by number.
    diff(&renamed(), &["--codec", "protobuf", "--strict"]).await.code(0).prints("1 compatible\n");
    diff(&renamed(), &["--codec", "protobuf", "--codec", "json"])
        .await
        .code(3)
        .prints("lost in json\n");
}

#[tokio::test]
async fn findings_are_told_to_programs() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (saved(&folder, "old.json", &renamed()), saved(&folder, "new.json", &stock()));
    let told = dubhe(&["--json", "diff", text(&old), text(&new)]).await.code(3).json();
    assert_eq!(told["severity"], "breaking");
    let finding = &told["findings"][0];
    for (member, value) in [
        ("service", "test.Stock"),
        ("place", "test.Stock/left argument article"),
        ("kind", "field_renamed"),
        ("change", "is called sku, was article"),
        ("severity", "breaking"),
    ] {
        assert_eq!(finding[member], value, "{member}");
    }
    assert_eq!(finding["methods"], serde_json::json!(["left"]));
    assert_eq!(finding["rollout"], Value::Null);
    let effects = finding["effects"].as_array().unwrap();
    assert_eq!(effects.len(), 4, "{effects:?}");
    assert_eq!(
        effects[0],
        serde_json::json!({
            "peers": "old_callers",
            "part": "arguments",
            "codec": "msgpack",
            "outcome": "lost",
            "only_new": false,
        })
    );
    let same = dubhe(&["--json", "diff", text(&new), text(&new)]).await.code(0).json();
    assert_eq!(same, serde_json::json!({ "severity": "compatible", "findings": [] }));
}

#[tokio::test]
async fn a_contract_of_several_services_is_saved_and_compared_whole() {
    let (registry, _stock) = shop().await;
    let till = builder(&registry.url, "", &["dubbo"]).serve(TillServer::new(Drawer));
    let till = started(till).await;
    let folder = tempfile::tempdir().unwrap();
    let run = registry.dubhe(&["idl", "--contract"]).await.code(0);
    let path = folder.path().join("all.json");
    std::fs::write(&path, &run.out).unwrap();
    assert_eq!(Contract::parse(&run.out).unwrap().services.len(), 2);
    registry.dubhe(&["diff", text(&path)]).await.code(0).prints("no changes\n");
    registry.dubhe(&["diff", text(&path), "test.Till"]).await.code(0).prints("no changes\n");
    registry
        .dubhe(&["diff", text(&path), "test.Tell"])
        .await
        .code(2)
        .says("did you mean `test.Till`?");
    // One that is not there now.
    let alone = saved(&folder, "alone.json", &stock());
    let run = dubhe(&["diff", text(&path), text(&alone)]).await.code(3);
    run.prints("breaking: test.Till is gone: callers of the old version find no provider");
    // Nobody who could be asked is no verdict.
    till.shutdown().await;
    registry.dubhe(&["diff", text(&path)]).await.code(1).says("unknown service `test.Till`");
    registry.dubhe(&["idl", "--contract", "--out", "x"]).await.code(2);
}

#[tokio::test]
async fn what_a_person_mistypes_is_told_apart_from_what_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let now = saved(&folder, "now.json", &stock());
    let broken = folder.path().join("broken.json");
    std::fs::write(&broken, "{\"contract\": 1,\n \"services\": [}").unwrap();
    let missing = folder.path().join("missing.json");
    let proto = folder.path().join("stock.json");
    std::fs::write(&proto, "syntax = \"proto3\";\n").unwrap();
    for (args, says) in [
        (vec!["diff"], "Usage: dubhe diff"),
        (vec!["diff", text(&missing), text(&now)], "missing.json: No such file or directory"),
        (vec!["diff", text(&broken), text(&now)], "broken.json is not a contract: "),
        (vec!["diff", text(&broken), text(&now)], "at line 2 column 15"),
        (
            vec!["diff", text(&proto), text(&now)],
            "stock.json is a `.proto`, which does not tell enough",
        ),
        (vec!["diff", "test.Stock"], "nothing to compare with"),
        (vec!["diff", "-", "-"], "only one of both can come from standard input"),
        (vec!["diff", "a b", text(&now)], "and there is no file of that name"),
        (
            vec!["diff", text(&now), text(&now), "--codec", "xml"],
            "unknown codec, available: protobuf, msgpack, json",
        ),
    ] {
        dubhe(&args).await.code(2).says(says);
    }
    // Who does not answer breaks nothing.
    let nobody = ["--registry", "static://127.0.0.1:1", "diff", text(&now)];
    dubhe(&nobody).await.code(1).says("no instance of test.Stock describes it");
    let registry = Registry::start(&[]).await;
    registry
        .dubhe(&["diff", text(&now)])
        .await
        .code(1)
        .says("the registry lists no service at all");
    drop(StockServer::new(Shelf));
}
