//! Calls at a fixed rate, whatever becomes of them, and what became of each.
//!
//! Open loop: a call is due at its time also when those before it hang, and its latency counts
//! from when it was due, so that a stall of the callers is not hidden (coordinated omission).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dubhe::{Code, Delivery, Status};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::BoxError;
use crate::api::{Store, StoreClient};

/// How many calls may be under way; past it calls are late, never dropped.
const OUTSTANDING: usize = 512;

/// Ids are unique over all loads of the process, as the ledgers are read together.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// An id that no other call has.
pub(crate) fn fresh_id() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What is called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Calls {
    /// Idempotent, taking so many milliseconds.
    Reads(u64),
    /// Not idempotent, taking so many milliseconds.
    Writes(u64),
    /// Idempotent, with an empty value that can stand in for the answer.
    Finds(u64),
    /// Idempotent, passing on what becomes of a read at another provider.
    Leaning,
    /// Not idempotent, answering nothing.
    Notes(u64),
    /// Idempotent, answering nothing.
    Marks(u64),
    /// Not idempotent, taking one of eight places for so many milliseconds.
    Draws(u64),
}

/// Who answered where the empty value stood in for an answer.
pub(crate) const NOBODY: &str = "nobody";

/// One call that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) id: u64,
    /// When it was due, since the load began.
    pub(crate) due: Duration,
    /// From when it was due to its end.
    pub(crate) latency: Duration,
    /// Who answered, as far as the answer tells.
    pub(crate) outcome: Result<String, Failure>,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) delivery: Delivery,
    /// The provider of the last attempt, `host:port`.
    pub(crate) address: Option<String>,
    pub(crate) text: String,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let address = status.address().map(str::to_owned);
        let (code, delivery) = (status.code(), status.delivery());
        Self { code, delivery, address, text: status.to_string() }
    }
}

/// Calls going on.
pub(crate) struct Load {
    begun: Instant,
    stop: Arc<AtomicBool>,
    ended: Arc<Mutex<Vec<Ended>>>,
    permits: Arc<Semaphore>,
    pacer: JoinHandle<()>,
}

impl Load {
    /// Begins `rate` calls a second.
    pub(crate) fn start(client: &StoreClient, calls: Calls, rate: u32) -> Self {
        let load = Self {
            begun: Instant::now(),
            stop: Arc::default(),
            ended: Arc::default(),
            permits: Arc::new(Semaphore::new(OUTSTANDING)),
            pacer: tokio::spawn(std::future::ready(())),
        };
        let (client, begun) = (client.clone(), load.begun);
        let (stop, ended, permits) = (load.stop.clone(), load.ended.clone(), load.permits.clone());
        let pacer = tokio::spawn(async move {
            // Ticks of five milliseconds: finer ones are not kept by a busy machine anyway.
            let mut ticks = tokio::time::interval(Duration::from_millis(5));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut made = 0_u64;
            while !stop.load(Ordering::Acquire) {
                ticks.tick().await;
                let due_by_now = (begun.elapsed().as_secs_f64() * f64::from(rate)) as u64;
                while made < due_by_now {
                    let due = Duration::from_secs_f64(made as f64 / f64::from(rate));
                    let Ok(permit) = permits.clone().acquire_owned().await else { return };
                    let (client, ended) = (client.clone(), ended.clone());
                    tokio::spawn(async move {
                        let one = call(&client, calls, begun, due).await;
                        ended.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                        drop(permit);
                    });
                    made += 1;
                }
            }
        });
        Self { pacer, ..load }
    }

    /// The time since it began.
    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Makes no more calls and waits until all have ended.
    pub(crate) async fn stop(self) -> Result<Seen, BoxError> {
        self.stop.store(true, Ordering::Release);
        self.pacer.await?;
        let all = self.permits.acquire_many(OUTSTANDING as u32);
        let waited = tokio::time::timeout(Duration::from_secs(30), all).await;
        drop(waited.map_err(|_| "calls were still under way 30 s after the load had ended")??);
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Seen(std::mem::take(&mut ended)))
    }
}

async fn call(client: &StoreClient, calls: Calls, begun: Instant, due: Duration) -> Ended {
    let id = fresh_id();
    let result = match calls {
        Calls::Reads(millis) => client.read(id, millis).await,
        Calls::Leaning => client.lean(id).await,
        Calls::Writes(millis) => client.write(id, millis).await,
        Calls::Finds(millis) => {
            client.find(id, millis).await.map(|found| found.unwrap_or_else(|| NOBODY.to_owned()))
        }
        Calls::Draws(millis) => client.draw(id, millis).await,
        Calls::Notes(millis) => client.note(id, millis).await.map(|()| String::new()),
        Calls::Marks(millis) => client.mark(id, millis).await.map(|()| String::new()),
    };
    let latency = begun.elapsed().saturating_sub(due);
    Ended { id, due, latency, outcome: result.map_err(Failure::from) }
}

/// Every call of a load.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<Ended>);

impl Seen {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Every call.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &Ended> {
        self.0.iter()
    }

    /// The calls that failed.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &Ended> {
        self.0.iter().filter(|call| call.outcome.is_err())
    }

    /// Why they did.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = &Failure> {
        self.0.iter().filter_map(|call| call.outcome.as_ref().err())
    }

    /// The calls that were due between these times.
    pub(crate) fn between(&self, from: Duration, to: Duration) -> Self {
        Self(self.0.iter().filter(|call| call.due >= from && call.due < to).cloned().collect())
    }

    /// The share of the answered calls that `name` answered, from 0 to 1.
    pub(crate) fn share_of(&self, name: &str) -> f64 {
        let answered = self.0.iter().filter_map(|call| call.outcome.as_ref().ok());
        let (mut all, mut its) = (0_u32, 0_u32);
        for who in answered {
            all += 1;
            its += u32::from(who == name);
        }
        f64::from(its) / f64::from(all.max(1))
    }

    /// The latency that `percent` of the calls did not exceed.
    pub(crate) fn percentile(&self, percent: f64) -> Duration {
        let mut all: Vec<Duration> = self.0.iter().map(|call| call.latency).collect();
        all.sort_unstable();
        let last = all.len().saturating_sub(1);
        let at = ((last as f64) * percent / 100.0).round() as usize;
        all.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn slowest(&self) -> Duration {
        self.percentile(100.0)
    }

    /// How many calls failed, and of what: for people.
    pub(crate) fn failures(&self) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for Failure { code, delivery, .. } in self.reasons() {
            *counts.entry(format!("{code}, {}", delivery.as_str())).or_default() += 1;
        }
        let parts: Vec<String> = counts.iter().map(|(what, n)| format!("{n} {what}")).collect();
        let example = self.reasons().next();
        let example = example.map_or(String::new(), |first| format!("; such as: {}", first.text));
        format!(
            "{} of {} failed ({}){example}",
            self.failed().count(),
            self.len(),
            parts.join("; ")
        )
    }
}
