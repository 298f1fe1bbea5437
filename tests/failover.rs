//! Providers die under load: what is sent again, what is not, and what a failed call tells.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dubhe::embedded::EmbeddedServer;
use dubhe::prelude::*;
use dubhe::{Consumer, Delivery};
use support::load::{Calls, Load, Seen};
use support::process::{self, ProviderCommand, ProviderProcess};
use support::shop::{Clerk, Shop, ShopClient, ShopServer, read_ledger};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

const CALLERS: usize = 16;

#[test]
fn becomes_a_provider() {
    process::become_provider();
}

/// A registry and three providers, each with a ledger of what it executed.
struct Fleet {
    _registry: EmbeddedServer,
    url: String,
    providers: Vec<ProviderProcess>,
    ledgers: Vec<PathBuf>,
    _folder: tempfile::TempDir,
}

impl Fleet {
    async fn start() -> Self {
        let ((_registry, url), folder) = (support::registry(0).await, tempfile::tempdir().unwrap());
        let ledgers: Vec<PathBuf> = ["a", "b", "c"].map(|name| folder.path().join(name)).into();
        let mut providers = Vec::new();
        for path in &ledgers {
            let name = path.file_name().unwrap().to_str().unwrap();
            providers.push(ProviderCommand::new(name, &url).ledger(path).start().await);
        }
        Self { _registry, url, providers, ledgers, _folder: folder }
    }

    /// Calls, and kills the first provider in the middle; when that was.
    async fn run_and_kill(&mut self, calls: Calls) -> (Seen, Consumer, Instant) {
        let consumer = support::consumer(&self.url, "");
        let shop: ShopClient = consumer.client().await.unwrap();
        let load = Load::start(&shop, calls, CALLERS);
        for who in ["a", "b", "c"] {
            load.answered_by(who).await;
        }
        load.answered(200).await;
        self.providers[0].kill();
        let killed = Instant::now();
        load.answered(200).await;
        (load.stop().await, consumer, killed)
    }

    /// The ids of every execution, wherever.
    fn executed(&self) -> Vec<u64> {
        self.ledgers.iter().flat_map(|path| read_ledger(path)).collect()
    }
}

#[tokio::test]
async fn no_idempotent_call_fails_when_a_provider_is_killed() {
    let mut fleet = Fleet::start().await;
    let (seen, consumer, _) = fleet.run_and_kill(Calls::Idempotent(3)).await;
    seen.assert_none_failed();
    // Of the five seconds that a call may take.
    assert!(seen.slowest < Duration::from_secs(2), "{:?}", seen.slowest);
    assert!(consumer.resends() > 0, "the killed provider had calls in flight");
    assert!(fleet.executed().len() >= seen.answered.len());
    assert_eq!(seen.by_provider().len(), 3, "{:?}", seen.by_provider());
}

#[tokio::test]
async fn a_call_that_changes_something_runs_at_most_once_when_a_provider_is_killed() {
    let mut fleet = Fleet::start().await;
    let (seen, _, killed) = fleet.run_and_kill(Calls::Changing(3)).await;
    let executed = fleet.executed();
    let distinct: HashSet<u64> = executed.iter().copied().collect();
    assert_eq!(executed.len(), distinct.len(), "a call was executed twice");
    assert!(seen.answered.keys().all(|id| distinct.contains(id)));
    assert!(!seen.failed.is_empty(), "the killed provider had calls in flight");
    assert!(seen.failed.len() <= CALLERS, "{} failed", seen.failed.len());
    let last = seen.failed_at.iter().max().unwrap().saturating_duration_since(killed);
    assert!(last <= Duration::from_millis(200), "one failed {last:?} after the kill");
    for (_, status) in &seen.failed {
        let told = (status.code(), status.delivery(), status.hint());
        let expected =
            (Code::Unavailable, Delivery::MaybeSent, Some("the method is not idempotent"));
        assert_eq!(told, expected, "{status}");
    }
}

/// A port that takes a request and hangs up.
async fn hangs_up() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Whatever it is, it was read.
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    address
}

#[tokio::test]
async fn a_failed_call_lists_its_attempts_with_address_and_cause() {
    let (one, two) = (hangs_up().await, hangs_up().await);
    let consumer = support::consumer(&format!("static://{one},{two}"), "consumer.retries = 1");
    let shop: ShopClient = consumer.client().await.unwrap();
    let status = shop.look(1).await.unwrap_err();
    let mut tried: Vec<&str> = status.attempts().iter().map(|a| &*a.address).collect();
    tried.sort_unstable();
    let mut both = [&*one, &*two];
    both.sort_unstable();
    assert_eq!(tried, both, "{status}");
    let text = status.to_string();
    assert!(text.starts_with("unavailable in test.Shop/look at 127.0.0.1:"), "{text}");
    for number in [1, 2] {
        let attempt = &status.attempts()[number - 1];
        let start = format!("; attempt {number} at {} after ", attempt.address);
        assert!(text.contains(&start), "{text}");
        assert!(attempt.message.starts_with("connection lost: "), "{text}");
        assert_eq!(attempt.delivery, Delivery::MaybeSent);
    }
    assert!(text.ends_with("; not sent again: retries = 1"), "{text}");
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_passed_over_by_every_call() {
    let provider = support::provider(&support::memory(), "");
    let provider = provider.serve(ShopServer::new(Clerk::new("a"))).start().await.unwrap();
    let [nobody] = servers::free_ports();
    let list = format!("static://127.0.0.1:{nobody},{}", provider.address());
    let shop: ShopClient = support::consumer(&list, "consumer.retries = 0").client().await.unwrap();
    for id in 0..20 {
        // Not idempotent and never again: but what was not sent did not run.
        assert_eq!(shop.buy(id).await.unwrap().id, id);
    }
}

#[tokio::test]
async fn re_sends_stop_when_the_budget_is_used_up() {
    let clerk = Arc::new(Clerk::new("a"));
    let provider = support::provider(&support::memory(), "");
    let provider = provider.serve(ShopServer::from_arc(clerk.clone())).start().await.unwrap();
    let consumer = support::consumer(&support::fixed(&provider), "consumer.retries = 3");
    let shop: ShopClient = consumer.client().await.unwrap();
    let unavailable = u32::from(Code::Unavailable.number());
    let calls = (0..100).map(|_| {
        let shop = shop.clone();
        tokio::spawn(async move { shop.fail(unavailable).await.unwrap_err() })
    });
    let mut hints = HashSet::new();
    for call in calls.collect::<Vec<_>>() {
        hints.extend(call.await.unwrap().hint().map(str::to_owned));
    }
    assert!(hints.contains("the retry budget is used up"), "{hints:?}");
    // A fifth of the calls and ten for each second of the window, of three hundred wanted.
    assert!((100..=130).contains(&consumer.resends()), "{}", consumer.resends());
    assert_eq!(clerk.executed(), 100 + consumer.resends());
}

#[tokio::test]
async fn the_retry_budget_is_the_configured_one() {
    let provider = support::provider(&support::memory(), "");
    let provider = provider.serve(ShopServer::new(Clerk::new("a"))).start().await.unwrap();
    let toml = "consumer.retry_budget = { percent = 0, per_second = 1 }";
    let consumer = support::consumer(&support::fixed(&provider), toml);
    let shop: ShopClient = consumer.client().await.unwrap();
    for _ in 0..20 {
        shop.fail(u32::from(Code::Unavailable.number())).await.unwrap_err();
    }
    // One for each second of the window of ten seconds.
    assert_eq!(consumer.resends(), 10);
}

#[tokio::test]
async fn failfast_is_chosen_by_config_for_one_method() {
    let clerk = Arc::new(Clerk::new("a"));
    let provider = support::provider(&support::memory(), "");
    let provider = provider.serve(ShopServer::from_arc(clerk.clone())).start().await.unwrap();
    let toml = "[consumer.services.\"test.Shop\".methods.fail]\ncluster = \"failfast\"";
    let consumer = support::consumer(&support::fixed(&provider), toml);
    let shop: ShopClient = consumer.client().await.unwrap();
    let status = shop.fail(u32::from(Code::Unavailable.number())).await.unwrap_err();
    assert_eq!((clerk.executed(), consumer.resends()), (1, 0));
    assert_eq!(status.address(), Some(provider.address()));
    assert_eq!(status.hint(), Some("cluster = failfast"));
}

#[tokio::test]
async fn a_caller_that_tries_on_in_a_loop_leaves_room_for_what_heals() {
    // Lists nobody, so that calls fail without waiting for anything.
    let consumer = support::consumer(&support::memory(), "");
    let shop: ShopClient = consumer.client().await.unwrap();
    let told = Arc::new(AtomicBool::new(false));
    let caller = tokio::spawn({
        let told = told.clone();
        async move {
            let mut left = 1_000_000;
            while left > 0 && !told.load(Ordering::Acquire) {
                shop.look(1).await.unwrap_err();
                left -= 1;
            }
            left
        }
    });
    tokio::task::yield_now().await;
    told.store(true, Ordering::Release);
    assert!(caller.await.unwrap() > 0, "the caller had the thread to itself");
}
