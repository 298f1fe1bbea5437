//! Ten providers restart one after the other under load: nobody who calls them notices.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use dubhe::ServiceKey;
use support::load::{Calls, Load};
use support::process::{self, ProviderCommand, ProviderProcess};
use support::shop::{ShopClient, read_ledger};
use support::until_is;

#[test]
fn becomes_a_provider() {
    process::become_provider();
}

fn ledger(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}

async fn start(url: &str, folder: &Path, name: &str, port: &str) -> ProviderProcess {
    let command = ProviderCommand::new(name, url).ledger(&ledger(folder, name));
    command.set("DUBHE_PROVIDER__PORT", port).start().await
}

/// Each in its place, as a machine does that gets a new version: same address, another process.
#[tokio::test]
async fn a_rolling_restart_of_ten_with_retries_off_loses_no_call_and_runs_none_twice() {
    let ((_registry, url), folder) = (support::registry(0).await, tempfile::tempdir().unwrap());
    let names: Vec<String> = (0..10).map(|number| format!("old-{number}")).collect();
    let mut providers = Vec::new();
    for name in &names {
        providers.push(start(&url, folder.path(), name, "0").await);
    }
    let consumer = support::consumer(&url, "consumer.retries = 0");
    let shop: ShopClient = consumer.client().await.unwrap();
    let listed = || consumer.directory_state(&ServiceKey::new("test.Shop")).unwrap().endpoints;
    until_is("all are listed", || listed() == 10).await;
    let load = Load::start(&shop, Calls::Changing(3), 32);
    for name in &names {
        load.answered_by(name).await;
    }
    for (number, old) in providers.iter_mut().enumerate() {
        old.terminate();
        assert!(old.ended().await.success());
        assert_eq!(old.said("ended with ").await, "0 calls cut");
        let (_, port) = old.address().rsplit_once(':').unwrap();
        let name = format!("new-{number}");
        let new = start(&url, folder.path(), &name, port).await;
        load.answered_by(&name).await;
        *old = new;
    }
    load.answered(300).await;
    let seen = load.stop().await;
    seen.assert_none_failed();
    assert_eq!(seen.by_provider().len(), 20, "{:?}", seen.by_provider());
    assert_eq!(listed(), 10);
    let all = (0..10).flat_map(|n| [format!("old-{n}"), format!("new-{n}")]);
    let executed: Vec<u64> =
        all.flat_map(|name| read_ledger(&ledger(folder.path(), &name))).collect();
    assert_eq!(executed.len(), seen.answered.len(), "a call ran twice, or for nobody");
    assert_eq!(executed.iter().collect::<HashSet<_>>().len(), executed.len());
}
