//! A provider that is stopped for a moment: what was sent to it meanwhile, and given up, does not run.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use dubhe::prelude::*;
use support::process::{self, ProviderCommand};
use support::shop::{Shop, ShopClient, read_ledger};
use support::until;
use tokio::task::JoinSet;

#[test]
fn becomes_a_provider() {
    process::become_provider();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_callers_gave_up_while_a_provider_was_stopped_does_not_run_when_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let (_registry, url) = support::registry(0).await;
    let provider = ProviderCommand::new("stopped", &url).ledger(&ledger).start().await;
    let consumer = support::consumer(&url, "consumer.timeout = \"400ms\"\nconsumer.retries = 0");
    let shop: ShopClient = consumer.client().await.unwrap();
    // Some go well, so that its handler is known to be quick.
    for id in 0..50 {
        until("it is there", async || shop.buy(id).await.ok()).await;
    }
    provider.suspend();
    let mut given_up = JoinSet::new();
    for id in 1000..1100 {
        let shop = shop.clone();
        given_up.spawn(async move { shop.buy(id).await.unwrap_err() });
    }
    for status in given_up.join_all().await {
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    }
    provider.resume();
    until("it goes on", async || shop.buy(2000).await.ok()).await;
    let late = read_ledger(&ledger).into_iter().filter(|id| (1000..1100).contains(id)).count();
    assert_eq!(late, 0, "writes ran that their callers had given up");
}
