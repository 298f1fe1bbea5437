//! A provider that is asked for far more than it can do, over sockets and in both protocols.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dubhe::describe::GateKind;
use dubhe::prelude::*;
use dubhe::{Delivery, RunningProvider};
use support::http::post;
use support::{fixed, memory};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

#[dubhe::service(name = "test.Pool")]
trait Pool {
    /// Eight at a time, ten milliseconds each.
    async fn draw(&self, id: u64) -> Result<u64>;

    /// At once.
    async fn glance(&self, id: u64) -> Result<u64>;
}

struct Places(Semaphore);

impl Pool for Places {
    async fn draw(&self, id: u64) -> Result<u64> {
        let _place = self.0.acquire().await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(id)
    }

    async fn glance(&self, id: u64) -> Result<u64> {
        Ok(id)
    }
}

async fn pool(toml: &str) -> RunningProvider {
    let places = PoolServer::new(Places(Semaphore::new(8)));
    support::provider(&memory(), toml).serve(places).start().await.unwrap()
}

/// What callers of a provider saw.
#[derive(Default)]
struct Seen {
    /// Answers in time to calls that came after the first two seconds.
    useful: AtomicU64,
    refused: AtomicU64,
}

const TICK: Duration = Duration::from_millis(5);
const TICKS: usize = 900;
const SETTLED: usize = 400;

/// Offers 4,000 calls a second, each with 300 ms, for four and a half seconds.
async fn overload(provider: &RunningProvider, seen: Arc<Seen>) -> Option<String> {
    let toml = "consumer.retries = 0\nconsumer.timeout = \"300ms\"";
    let pool: PoolClient = support::consumer(&fixed(provider), toml).client().await.unwrap();
    let (mut calls, mut posts) = (JoinSet::new(), JoinSet::new());
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for at in 0..TICKS {
        tick.tick().await;
        for id in 0..20 {
            let (pool, seen) = (pool.clone(), seen.clone());
            calls.spawn(async move {
                match pool.draw(id).await {
                    Ok(_) if at >= SETTLED => drop(seen.useful.fetch_add(1, Ordering::Relaxed)),
                    Err(status) if status.code() == Code::ResourceExhausted => {
                        assert_eq!(status.delivery(), Delivery::Refused, "{status}");
                        seen.refused.fetch_add(1, Ordering::Relaxed);
                    }
                    _ => {}
                }
            });
        }
        while let Some(ended) = calls.try_join_next() {
            ended.unwrap();
        }
        if at >= SETTLED && at % 20 == 0 {
            let address = provider.local_addr();
            posts.spawn(async move { post(address, "/test.Pool/draw", "[1]").await });
        }
    }
    calls.shutdown().await;
    let mut text = None;
    while let Some(answered) = posts.join_next().await {
        let answered = answered.unwrap();
        if answered.status != 200 && answered.error().0 == "resource_exhausted" {
            text = Some(answered.error().1);
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_gate_an_overloaded_provider_answers_many_times_as_much() {
    let (limited, open) = (pool("").await, pool("provider.gate = \"off\"").await);
    let (with, without) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
    let (told, silent) =
        tokio::join!(overload(&limited, with.clone()), overload(&open, without.clone()));
    let useful = [&with, &without].map(|seen| seen.useful.load(Ordering::Relaxed));
    // Ten times as much on a machine that has time; here the load itself has gaps.
    assert!(useful[0] >= 2 * useful[1].max(50), "with and without a gate: {useful:?}");
    assert!(with.refused.load(Ordering::Relaxed) > 0);
    assert_eq!((without.refused.load(Ordering::Relaxed), silent), (0, None));
    let told = told.expect("who calls over HTTP is turned away, too");
    assert!(told.contains("test.Pool/draw is overloaded"), "{told}");
    // Its neighbour is not, and all is forgotten.
    let consumer = support::consumer(&fixed(&limited), "");
    let client: PoolClient = consumer.client().await.unwrap();
    for id in 0..100 {
        assert_eq!(client.glance(id).await.unwrap(), id);
    }
    assert_eq!(client.draw(7).await.unwrap(), 7);
}

#[tokio::test]
async fn a_method_that_is_not_served_has_no_gate_to_set() {
    let toml = "[provider.services.\"test.Pool\".methods.drow]\ngate = \"off\"\n";
    let provider = support::provider(&memory(), toml);
    let started = provider.serve(PoolServer::new(Places(Semaphore::new(8)))).start().await;
    assert_eq!(
        started.map(drop).unwrap_err().to_string(),
        "dubhe.toml:1:40: unknown method in [provider.services.\"test.Pool\".methods] `drow` \
         (did you mean `draw`?), available: draw, glance"
    );
}

#[dubhe::service(name = "test.Basin")]
trait Basin {
    /// Eight at a time, ten milliseconds each.
    async fn fill(&self, id: u64) -> Result<u64>;

    /// The same without an answer.
    #[rpc(oneway)]
    async fn spill(&self, id: u64) -> Result<()>;
}

impl Basin for Places {
    async fn fill(&self, id: u64) -> Result<u64> {
        self.draw(id).await
    }

    async fn spill(&self, id: u64) -> Result<()> {
        self.draw(id).await.map(drop)
    }
}

#[tokio::test(start_paused = true)]
async fn calls_inside_the_process_meet_the_same_gate() {
    let registry = memory();
    let places = BasinServer::new(Places(Semaphore::new(8)));
    let provider = support::provider(&registry, "").serve(places).start().await.unwrap();
    let toml = "consumer.retries = 0\nconsumer.timeout = \"300ms\"\n\
                [consumer.services.\"test.Basin\"]\nscope = \"local\"\n";
    let consumer = support::consumer(&registry, toml);
    let basin: BasinClient = consumer.client().await.unwrap();
    let gates = async || {
        let service = "test.Basin".parse().unwrap();
        let told = consumer.gates(&service, Duration::from_secs(1)).await.unwrap();
        let told = told.into_iter().next().unwrap().1.unwrap();
        told.into_iter().map(|gate| (gate.method, gate.state, gate.limit)).collect::<Vec<_>>()
    };
    let unlimited = [("fill", GateKind::Off, None), ("spill", GateKind::Open, None)];
    assert_eq!(gates().await, unlimited.map(|(name, state, limit)| (name.into(), state, limit)));
    let refused = |method: &str| {
        let name = "dubhe_provider_gate_refused_total";
        let line = format!("{name}{{service=\"test.Basin\",method=\"{method}\"}} ");
        let text = provider.metrics().render();
        text.lines().find_map(|text| text.strip_prefix(&line)?.parse().ok()).unwrap_or(0u64)
    };
    let mut calls = JoinSet::new();
    for _ in 0..400 {
        tokio::time::sleep(TICK).await;
        for id in 0..20 {
            let basin = basin.clone();
            calls.spawn(async move { basin.spill(id).await.map(|()| 0) });
        }
    }
    calls.join_all().await;
    assert_eq!(refused("spill"), 0, "who has no answer could not come back");
    let useful = Arc::new(AtomicU64::new(0));
    let mut calls = JoinSet::new();
    for at in 0..TICKS {
        tokio::time::sleep(TICK).await;
        for id in 0..20 {
            let (basin, useful) = (basin.clone(), useful.clone());
            calls.spawn(async move {
                if basin.fill(id).await.is_ok() && at >= SETTLED {
                    useful.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }
    let during = gates().await;
    let limit = during[0].2.expect("there is a limit under overload");
    assert!(during[0].1 != GateKind::Off && (1..=1000).contains(&limit), "{during:?}");
    calls.join_all().await;
    assert!(refused("fill") > 0);
    // Eight places answer 800 in a second; it is two and a half.
    let useful = useful.load(Ordering::Relaxed);
    assert!(useful >= 1600, "{useful} calls ended in time");
}
