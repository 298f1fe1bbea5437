//! Every policy over providers in processes of their own, which are killed, which hang and which
//! are slow; their ledgers tell what ran where and how often.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dubhe::embedded::EmbeddedServer;
use dubhe::prelude::*;
use dubhe::{Consumer, Delivery, NodeResult};
use support::load::{Calls, Load};
use support::process::{self, ProviderCommand, ProviderProcess};
use support::shop::{Shop, ShopClient, read_ledger};
use support::until_is;
use tokio::time::Instant;

const CALLERS: usize = 8;

#[test]
fn becomes_a_provider() {
    process::become_provider();
}

/// A registry and three providers, each with a ledger of what it executed.
struct Fleet {
    _registry: EmbeddedServer,
    url: String,
    /// In the order of their addresses.
    providers: Vec<ProviderProcess>,
    ledgers: BTreeMap<String, PathBuf>,
    _folder: tempfile::TempDir,
}

impl Fleet {
    async fn start() -> Self {
        let ((_registry, url), folder) = (support::registry(0).await, tempfile::tempdir().unwrap());
        let (mut providers, mut ledgers) = (Vec::new(), BTreeMap::new());
        for name in ["a", "b", "c"] {
            let path = folder.path().join(name);
            let slow = slow_file(folder.path(), name);
            let provider = ProviderCommand::new(name, &url).ledger(&path).slow_while(&slow);
            let provider = provider.start().await;
            ledgers.insert(provider.address().to_owned(), path);
            providers.push(provider);
        }
        providers.sort_by(|one, other| one.address().cmp(other.address()));
        Self { _registry, url, providers, ledgers, _folder: folder }
    }

    /// A client under this policy that knows all three.
    async fn shop(&self, policy: &str, toml: &str) -> (ShopClient, Consumer) {
        // `look` and others return values that nothing stands in for.
        let methods = ["mark", "note", "ponder", "build"].map(|method| {
            let is_refused = match policy {
                "failsafe" | "failback" => !["mark", "note"].contains(&method),
                "forking" => ["note", "build"].contains(&method),
                _ => false,
            };
            let policy = if is_refused { quoted("failover", "") } else { quoted(policy, toml) };
            format!("methods.{method}.cluster = {policy}\n")
        });
        // A copy for each call: by default the first hundred or so use the budget up, and a call
        // that then has one copy only fails with that.
        let budget = match policy {
            "forking" => "[consumer.retry_budget]\nper_second = 10000\n",
            _ => "",
        };
        let toml = format!("{budget}[consumer.services.\"test.Shop\"]\n{}", methods.concat());
        let consumer = support::consumer(&self.url, &toml);
        let shop: ShopClient = consumer.client().await.unwrap();
        let service = dubhe::ServiceKey::new("test.Shop");
        until_is("all are known", || {
            consumer.directory_state(&service).is_some_and(|state| state.endpoints == 3)
        })
        .await;
        (shop, consumer)
    }

    /// Makes the handlers of a provider take their time.
    fn slow_down(&self, provider: usize) {
        let ledger = &self.ledgers[self.providers[provider].address()];
        std::fs::write(slow_file(ledger.parent().unwrap(), &name_of(ledger)), "").unwrap();
    }

    /// How often each id ran at the provider of this address.
    fn ran_at(&self, address: &str) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for id in read_ledger(&self.ledgers[address]) {
            *counts.entry(id).or_default() += 1;
        }
        counts
    }

    /// How often each id ran, wherever.
    fn ran(&self) -> BTreeMap<u64, usize> {
        let mut all = BTreeMap::new();
        for (id, count) in self.ledgers.keys().flat_map(|address| self.ran_at(address)) {
            *all.entry(id).or_default() += count;
        }
        all
    }

    fn assert_nothing_ran_twice(&self) {
        let twice: Vec<_> = self.ran().into_iter().filter(|(_, count)| *count > 1).collect();
        assert!(twice.is_empty(), "executed more than once: {twice:?}");
    }

    /// The providers, as whoever executed `id`, and the others.
    async fn where_runs(&self, id: u64) -> usize {
        let mut found = None;
        until_is("it runs somewhere", || {
            let mut places = self.providers.iter();
            found = places.position(|p| self.ran_at(p.address()).contains_key(&id));
            found.is_some()
        })
        .await;
        found.unwrap()
    }
}

/// Where there is a file while the provider of this name is to be slow.
fn slow_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).with_extension("slow")
}

/// Whose ledger it is.
fn name_of(ledger: &Path) -> String {
    ledger.file_name().unwrap().to_str().unwrap().to_owned()
}

/// `policy`, or the table of it with these parameters.
fn quoted(policy: &str, params: &str) -> String {
    match params.is_empty() {
        true => format!("\"{policy}\""),
        false => format!("{{ name = \"{policy}\", {params} }}"),
    }
}

/// Calls under `policy` while one provider is slow and then killed and another hangs for a while.
async fn run_with_faults(policy: &str, params: &str, calls: Calls) -> (Fleet, support::load::Seen) {
    let mut fleet = Fleet::start().await;
    let (shop, _consumer) = fleet.shop(policy, params).await;
    // What hangs ends with the deadline of the call that waits for it.
    let shop = shop.with(CallOptions::new().timeout(Duration::from_millis(600)));
    let load = Load::start(&shop, calls, CALLERS);
    load.answered(50).await;
    fleet.slow_down(0);
    load.answered(50).await;
    fleet.providers[0].kill();
    load.answered(50).await;
    fleet.providers[1].suspend();
    // Where all calls go to the one that hangs, these are its callers twice over.
    load.ended(2 * CALLERS).await;
    fleet.providers[1].resume();
    load.answered(50).await;
    let seen = load.stop().await;
    (fleet, seen)
}

async fn no_write_runs_twice(policy: &str) {
    let (fleet, seen) = run_with_faults(policy, "", Calls::Changing(2)).await;
    fleet.assert_nothing_ran_twice();
    let ran = fleet.ran();
    assert!(seen.answered.keys().all(|id| ran.contains_key(id)), "an answer out of nothing");
    for (_, status) in &seen.failed {
        let unsent = matches!(status.delivery(), Delivery::NotSent | Delivery::Refused);
        // Failfast tries nothing twice; the others may only give up what may have run.
        assert!(!unsent || policy == "failfast", "it could have been sent: {status}");
    }
}

#[tokio::test]
async fn under_failover_no_write_runs_twice_while_providers_die_and_hang() {
    no_write_runs_twice("failover").await;
}

#[tokio::test]
async fn under_failfast_no_write_runs_twice_while_providers_die_and_hang() {
    no_write_runs_twice("failfast").await;
}

#[tokio::test]
async fn under_available_no_write_runs_twice_while_providers_die_and_hang() {
    no_write_runs_twice("available").await;
}

#[tokio::test]
async fn under_failsafe_callers_hear_of_nothing_and_writes_run_at_most_once() {
    let mut fleet = Fleet::start().await;
    let (shop, _consumer) = fleet.shop("failsafe", "").await;
    let shop = shop.with(CallOptions::new().timeout(Duration::from_millis(400)));
    fleet.slow_down(2);
    let calls: Vec<_> = (0..30)
        .map(|id| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.note(id, 100).await })
        })
        .collect();
    fleet.where_runs(7).await;
    fleet.providers[0].kill();
    fleet.providers[1].suspend();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    fleet.providers[2].kill();
    // Nobody is left who could answer.
    shop.note(100, 0).await.unwrap();
    fleet.providers[1].resume();
    fleet.assert_nothing_ran_twice();
    // What is only slow was waited for.
    let slow = fleet.ran_at(fleet.providers[2].address());
    assert!(!slow.is_empty(), "the slow one had no calls");
}

#[tokio::test]
async fn under_failback_what_a_killed_provider_had_is_done_by_another_later() {
    let mut fleet = Fleet::start().await;
    let (shop, consumer) = fleet.shop("failback", "interval = \"300ms\"").await;
    let marking = tokio::spawn({
        let shop = shop.clone();
        async move { shop.mark(1, 400).await }
    });
    let at = fleet.where_runs(1).await;
    let killed = Instant::now();
    fleet.providers[at].kill();
    marking.await.unwrap().unwrap();
    assert!(killed.elapsed() < Duration::from_millis(300), "the caller waited for the repair");
    assert_eq!(consumer.backlog().waiting(), 1);
    until_is("it is done", || consumer.backlog().waiting() == 0).await;
    assert_eq!((fleet.ran()[&1], consumer.backlog().dropped()), (2, 0));
    let first = fleet.providers[at].address().to_owned();
    assert_eq!(fleet.ran_at(&first)[&1], 1, "the second time at another");
}

#[tokio::test]
async fn under_failback_a_write_that_may_have_run_fails_and_never_runs_again() {
    let mut fleet = Fleet::start().await;
    let (shop, consumer) = fleet.shop("failback", "interval = \"50ms\"").await;
    let noting = tokio::spawn(async move { shop.note(1, 400).await });
    let at = fleet.where_runs(1).await;
    fleet.providers[at].kill();
    let status = noting.await.unwrap().unwrap_err();
    assert_eq!(status.delivery(), Delivery::MaybeSent);
    assert_eq!(status.hint(), Some("the method is not idempotent"));
    assert_eq!(consumer.backlog().waiting(), 0);
    fleet.assert_nothing_ran_twice();
}

#[tokio::test]
async fn under_failback_a_call_that_hung_is_done_when_the_provider_is_replaced() {
    let fleet = Fleet::start().await;
    let (shop, consumer) = fleet.shop("failback", "interval = \"100ms\"").await;
    (0..3).for_each(|provider| fleet.slow_down(provider));
    shop.mark(0, 0).await.unwrap();
    assert_eq!((consumer.backlog().waiting(), fleet.ran()[&0]), (0, 1), "it is only slow");
    fleet.providers.iter().for_each(ProviderProcess::suspend);
    let shop = shop.with(CallOptions::new().timeout(Duration::from_millis(200)));
    shop.mark(1, 0).await.unwrap();
    assert_eq!(consumer.backlog().waiting(), 1);
    fleet.providers.iter().for_each(ProviderProcess::resume);
    until_is("it is done", || consumer.backlog().waiting() == 0).await;
    assert_eq!(consumer.backlog().dropped(), 0);
    assert!(fleet.ran()[&1] >= 1);
}

#[tokio::test]
async fn under_forking_no_read_fails_or_waits_while_one_provider_dies_and_one_hangs() {
    let fleet = run_with_faults("forking", "forks = 2", Calls::Idempotent(2));
    let (_, seen) = fleet.await;
    seen.assert_none_failed();
    assert_eq!(seen.by_provider().len(), 3, "{:?}", seen.by_provider());
}

#[tokio::test]
async fn under_forking_a_provider_that_hangs_costs_no_time() {
    let fleet = Fleet::start().await;
    let (shop, _consumer) = fleet.shop("forking", "forks = 2").await;
    fleet.providers[1].suspend();
    for id in 0..30 {
        let started = Instant::now();
        shop.ponder(id, 1).await.unwrap();
        assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
    }
    fleet.providers[1].resume();
}

#[tokio::test]
async fn a_broadcast_reaches_every_provider_once_and_tells_who_hangs() {
    let fleet = Fleet::start().await;
    let (shop, _consumer) = fleet.shop("failover", "").await;
    let addresses = |nodes: &[NodeResult<()>]| -> BTreeSet<String> {
        nodes.iter().map(|node| node.address.to_string()).collect()
    };
    fleet.slow_down(2);
    // Whatever policy is configured, and on a method that changes something.
    let nodes = shop.broadcast().note(1, 0).await.unwrap();
    assert_eq!(addresses(&nodes), fleet.ledgers.keys().cloned().collect());
    assert!(nodes.iter().all(|node| node.result.is_ok()));
    for address in fleet.ledgers.keys() {
        assert_eq!(fleet.ran_at(address)[&1], 1, "once at each");
    }
    let answers = shop.broadcast().look(2).await.unwrap().into_iter();
    let who: BTreeSet<String> = answers.map(|node| node.result.unwrap().who).collect();
    assert_eq!(who, ["a", "b", "c"].map(str::to_owned).into());

    fleet.providers[1].suspend();
    let short = shop.with(CallOptions::new().timeout(Duration::from_millis(300)));
    let nodes = short.broadcast().note(3, 0).await.unwrap();
    let hangs = fleet.providers[1].address();
    for node in &nodes {
        match &node.result {
            Ok(()) => assert_ne!(&*node.address, hangs),
            Err(status) => {
                assert_eq!(
                    (status.code(), status.address()),
                    (Code::DeadlineExceeded, Some(hangs))
                );
            }
        }
    }
    fleet.providers[1].resume();
}

#[tokio::test]
async fn under_broadcast_a_quorum_carries_a_call_past_a_dead_provider() {
    let mut fleet = Fleet::start().await;
    let (shop, _consumer) = fleet.shop("broadcast", "quorum = 60").await;
    shop.note(1, 0).await.unwrap();
    assert_eq!(fleet.ran()[&1], 3);
    let noting = tokio::spawn({
        let shop = shop.clone();
        async move { shop.note(2, 200).await }
    });
    fleet.where_runs(2).await;
    fleet.providers[0].kill();
    noting.await.unwrap().unwrap();
    fleet.providers[1].kill();
    let status = shop.with(CallOptions::new().timeout(Duration::from_millis(500)));
    let status = status.note(3, 0).await.unwrap_err();
    assert_eq!(status.hint(), Some("quorum = 60"), "{status}");
    assert!(fleet.ledgers.keys().all(|a| fleet.ran_at(a).values().all(|count| *count == 1)));
}

#[tokio::test]
async fn under_available_the_first_serves_until_it_dies_and_then_the_next() {
    let mut fleet = Fleet::start().await;
    let (shop, _consumer) = fleet.shop("available", "").await;
    for id in 0..20 {
        if id == 15 {
            fleet.slow_down(0);
        }
        shop.build(id, 0).await.unwrap();
    }
    let first = fleet.providers[0].address().to_owned();
    let second = fleet.providers[1].address().to_owned();
    assert_eq!(fleet.ran_at(&first).len(), 20);
    fleet.providers[0].kill();
    // The first call may find out that the connection is gone; what was not sent goes on.
    let mut served = 0;
    for id in 20..40 {
        served += usize::from(shop.build(id, 0).await.is_ok());
    }
    assert!(served >= 19, "{served}");
    assert_eq!(fleet.ran_at(&second).len(), served);
    fleet.assert_nothing_ran_twice();
}
