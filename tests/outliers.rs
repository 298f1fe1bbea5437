//! Providers that hang or fail are left out, come back, and are called all the same when there is
//! nobody better.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use dubhe::embedded::EmbeddedServer;
use dubhe::prelude::*;
use dubhe::{DirectoryState, ServiceKey};
use support::load::{Calls, Load};
use support::process::{self, ProviderCommand, ProviderProcess};
use support::shop::{ShopClient, read_ledger};
use support::until_is;
use tokio::time::{Instant, sleep};

const CALLERS: usize = 16;

/// What is usual, but quicker.
const QUICK: &str = "
    [consumer]
    timeout = \"500ms\"
    [consumer.ejection]
    base = \"400ms\"
    max = \"800ms\"
";

#[test]
fn becomes_a_provider() {
    process::become_provider();
}

/// A registry, providers with ledgers, and a file that says which of them are broken.
struct Fleet {
    _registry: EmbeddedServer,
    providers: Vec<ProviderProcess>,
    ledgers: Vec<PathBuf>,
    fire: PathBuf,
    consumer: Consumer,
    shop: ShopClient,
    _folder: tempfile::TempDir,
}

impl Fleet {
    /// The first `breakable` of `names` are broken while there is the file `fire`.
    async fn start(names: &[&str], breakable: usize, settings: &str) -> Self {
        let ((_registry, url), folder) = (support::registry(0).await, tempfile::tempdir().unwrap());
        let fire = folder.path().join("fire");
        let ledgers: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
        let mut providers = Vec::new();
        for (index, (name, ledger)) in names.iter().zip(&ledgers).enumerate() {
            let mut command = ProviderCommand::new(name, &url).ledger(ledger);
            if index < breakable {
                command = command.broken_while(&fire);
            }
            providers.push(command.start().await);
        }
        let consumer = support::consumer(&url, settings);
        let shop = consumer.client().await.unwrap();
        until_is("all are listed", || state(&consumer).endpoints == names.len()).await;
        Self { _registry, providers, ledgers, fire, consumer, shop, _folder: folder }
    }

    fn state(&self) -> DirectoryState {
        state(&self.consumer)
    }

    /// How many calls each provider has executed.
    fn executed(&self) -> Vec<usize> {
        self.ledgers.iter().map(|path| read_ledger(path).len()).collect()
    }
}

fn state(consumer: &Consumer) -> DirectoryState {
    consumer.directory_state(&ServiceKey::new("test.Shop")).unwrap()
}

#[tokio::test]
async fn a_stopped_provider_is_left_out_and_comes_back_to_its_share() {
    // p2c follows what little it has measured since; turns are even at once.
    for (balancer, fair) in [("p2c", 0.4..2.0), ("roundrobin", 0.8..1.2)] {
        let settings =
            format!("{QUICK}\n[consumer.services.\"test.Shop\"]\nloadbalance = \"{balancer}\"");
        let fleet = Fleet::start(&["a", "b", "c"], 0, &settings).await;
        let load = Load::start(&fleet.shop, Calls::Idempotent(3), CALLERS);
        load.answered_by("a").await;
        fleet.providers[0].suspend();
        until_is("it is out", || fleet.state().ejected == 1).await;
        load.answered(2000).await;
        assert_eq!(fleet.state().candidates, 2, "{balancer}");
        fleet.providers[0].resume();
        until_is("it is back", || fleet.state().ejected == 0).await;
        let before = fleet.executed();
        load.answered(3000).await;
        let after = fleet.executed();
        let seen = load.stop().await;
        // Those that hung on it were answered by others halfway.
        seen.assert_none_failed();
        let calls: Vec<usize> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
        let share = calls[0] as f64 * 3.0 / calls.iter().sum::<usize>() as f64;
        assert!(fair.contains(&share), "{balancer}: {calls:?}");
        let text = fleet.consumer.metrics().render();
        let counted = format!(
            "dubhe_consumer_ejections_total{{service=\"test.Shop\"}} {}",
            fleet.state().ejections
        );
        assert!(fleet.state().ejections > 0 && text.contains(&counted), "{text}");
    }
}

#[tokio::test]
async fn calls_that_change_something_fail_on_a_stopped_provider_only_as_long_as_it_is_not_known() {
    let fleet = Fleet::start(&["a", "b", "c"], 0, QUICK).await;
    let load = Load::start(&fleet.shop, Calls::Changing(3), CALLERS);
    load.answered_by("a").await;
    fleet.providers[0].suspend();
    let stopped = Instant::now();
    until_is("it is out", || fleet.state().ejected == 1).await;
    // The first timeout comes after half a second.
    assert!(stopped.elapsed() < Duration::from_millis(500 + 1000), "{:?}", stopped.elapsed());
    sleep(Duration::from_secs(3)).await;
    fleet.providers[0].resume();
    until_is("it is back", || fleet.state().ejected == 0).await;
    load.answered(100).await;
    let seen = load.stop().await;
    // Without a call that may run twice, some have to find out: one in a backoff and a second.
    let probes = 3;
    assert!(seen.failed.len() <= CALLERS + 5 + probes, "{} failed", seen.failed.len());
    let executed: Vec<u64> = fleet.ledgers.iter().flat_map(|path| read_ledger(path)).collect();
    let distinct: HashSet<u64> = executed.iter().copied().collect();
    assert_eq!(executed.len(), distinct.len(), "a call was executed twice");
}

#[tokio::test]
async fn a_provider_that_fails_at_once_swallows_no_calls() {
    let fleet = Fleet::start(&["a", "b", "c"], 1, "").await;
    let load = Load::start(&fleet.shop, Calls::Idempotent(3), CALLERS);
    load.answered_by("a").await;
    std::fs::write(&fleet.fire, "").unwrap();
    sleep(Duration::from_secs(1)).await;
    let before = fleet.executed();
    sleep(Duration::from_secs(2)).await;
    let calls: Vec<usize> = fleet.executed().iter().zip(&before).map(|(a, b)| a - b).collect();
    assert!(calls[0] * 100 <= calls.iter().sum(), "more than 1 %: {calls:?}");
    load.stop().await.assert_none_failed();
}

#[tokio::test]
async fn with_three_of_four_out_all_four_are_called_until_they_are_back() {
    let fleet = Fleet::start(&["a", "b", "c", "d"], 3, QUICK).await;
    let load = Load::start(&fleet.shop, Calls::Idempotent(3), 4);
    load.answered_by("d").await;
    std::fs::write(&fleet.fire, "").unwrap();
    until_is("three are out", || fleet.state().ejected == 3).await;
    assert_eq!(fleet.state().candidates, 4);
    let before = fleet.executed();
    load.answered(100).await;
    let after = fleet.executed();
    assert!(before.iter().zip(&after).all(|(b, a)| b < a), "{before:?}, {after:?}");
    std::fs::remove_file(&fleet.fire).unwrap();
    until_is("all are back", || fleet.state().ejected == 0).await;
    let made = load.next_id();
    load.answered(200).await;
    let seen = load.stop().await;
    assert!(seen.failed.iter().all(|(id, _)| *id < made), "{:?}", seen.failed.last());
    let on_fire = |status: &Status| status.message() == "the shop is on fire";
    assert!(seen.failed.iter().all(|(_, status)| on_fire(status)), "{:?}", seen.failed.last());
}
