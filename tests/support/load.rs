//! Callers that call until they are told to stop, and what became of every call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dubhe::Status;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::shop::{Shop, ShopClient};
use super::{soon, until_is};

/// Which method is called, and how many milliseconds it takes.
#[derive(Debug, Clone, Copy)]
pub enum Calls {
    /// One that may be sent again.
    Idempotent(u64),
    /// One that may not.
    Changing(u64),
}

/// Ids are unique over all loads of a program, as they meet in the ledgers of providers.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Calls going on.
pub struct Load {
    shared: Arc<Shared>,
    callers: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Seen>,
}

/// What became of all calls.
#[derive(Debug, Default)]
pub struct Seen {
    /// Who answered each.
    pub answered: BTreeMap<u64, String>,
    pub failed: Vec<(u64, Status)>,
    /// When each of those failed.
    pub failed_at: Vec<Instant>,
    /// How long the slowest answer took.
    pub slowest: Duration,
}

impl Seen {
    /// How many calls each provider answered.
    pub fn by_provider(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        self.answered.values().for_each(|who| *counts.entry(&**who).or_default() += 1);
        counts
    }

    /// Fails with the statuses unless every call was answered.
    pub fn assert_none_failed(&self) {
        let texts: Vec<String> = self.failed.iter().map(|(_, status)| status.to_string()).collect();
        assert!(texts.is_empty(), "{} calls failed: {texts:#?}", texts.len());
    }
}

impl Load {
    /// As many callers as `callers`, each with one call at a time.
    pub fn start(shop: &ShopClient, calls: Calls, callers: usize) -> Self {
        let mut load = Self { shared: Arc::default(), callers: JoinSet::new() };
        for _ in 0..callers {
            let (shared, shop) = (load.shared.clone(), shop.clone());
            load.callers.spawn(async move {
                while !shared.stop.load(Ordering::Acquire) {
                    let id = NEXT.fetch_add(1, Ordering::AcqRel);
                    let begun = Instant::now();
                    let result = match calls {
                        Calls::Idempotent(millis) => shop.ponder(id, millis).await,
                        Calls::Changing(millis) => shop.build(id, millis).await,
                    };
                    let mut seen = shared.seen.lock().unwrap();
                    match result {
                        Ok(answer) => {
                            assert_eq!(answer.id, id, "the answer of another call");
                            seen.slowest = seen.slowest.max(begun.elapsed());
                            seen.answered.insert(id, answer.who);
                        }
                        Err(status) => {
                            assert!(seen.failed.len() < 1000, "no end of failures: {status}");
                            seen.failed.push((id, status));
                            seen.failed_at.push(Instant::now());
                        }
                    }
                }
            });
        }
        load
    }

    /// Waits until so many more calls have been answered.
    pub async fn answered(&self, more: usize) {
        let before = self.count();
        until_is("calls are answered", || self.count() >= before + more).await;
    }

    /// Waits until so many more calls have ended, one way or the other.
    pub async fn ended(&self, more: usize) {
        let ended = || {
            let seen = self.shared.seen.lock().unwrap();
            seen.answered.len() + seen.failed.len()
        };
        let before = ended();
        until_is("calls end", || ended() >= before + more).await;
    }

    /// Waits until `who` has answered a call that was made after this.
    pub async fn answered_by(&self, who: &str) {
        let from = NEXT.load(Ordering::Acquire);
        until_is("the provider answers", || {
            let seen = self.shared.seen.lock().unwrap();
            seen.answered.range(from..).any(|(_, by)| by == who)
        })
        .await;
    }

    /// The id of the next call; those made so far have smaller ones.
    pub fn next_id(&self) -> u64 {
        NEXT.load(Ordering::Acquire)
    }

    /// Lets every caller end its call.
    pub async fn stop(mut self) -> Seen {
        self.shared.stop.store(true, Ordering::Release);
        while let Some(ended) = soon(self.callers.join_next()).await {
            ended.unwrap();
        }
        std::mem::take(&mut *self.shared.seen.lock().unwrap())
    }

    fn count(&self) -> usize {
        self.shared.seen.lock().unwrap().answered.len()
    }
}
