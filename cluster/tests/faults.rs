//! Whole fleets under steady load, in virtual time: providers that stop, that fail at once, that
//! fail together.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dubhe_cluster::load_balance::{self, LoadBalance, P2c};
use dubhe_cluster::policy::Failover;
use dubhe_cluster::router::RouterChain;
use dubhe_cluster::{DirectoryOptions, EjectionConfig, HealthState};
use rpc_core::{Code, Status};
use support::*;
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// How one call went: when it was made, how long it took, what it came to.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    took: Duration,
    failed: Option<Code>,
}

impl Seen {
    fn ended(&self) -> Instant {
        self.at + self.took
    }
}

/// A fleet under an open load: 2,000 calls a second whatever becomes of them.
struct Run {
    fleet: Fleet,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
}

impl Run {
    fn start(addresses: &[&str], balancer: Arc<dyn LoadBalance>, idempotent: bool) -> Self {
        let ejection = EjectionConfig { seed: Some(1), ..EjectionConfig::default() };
        Self::start_by(Some(ejection), addresses, balancer, idempotent)
    }

    /// The same by these rules of ejection.
    fn start_by(
        ejection: Option<EjectionConfig>,
        addresses: &[&str],
        balancer: Arc<dyn LoadBalance>,
        idempotent: bool,
    ) -> Self {
        let options = DirectoryOptions { ejection, ..DirectoryOptions::default() };
        let fleet = Fleet::from(snapshot(addresses), options);
        addresses.iter().for_each(|a| fleet.mock(a).answer(Answer::After(2 * MS)));
        let retries = if idempotent { 2 } else { 0 };
        let cluster =
            fleet.build(Arc::new(Failover::new(retries)), balancer, RouterChain::default());
        let (seen, stop) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::new(AtomicBool::new(false)));
        let (noted, stopped) = (seen.clone(), stop.clone());
        tokio::spawn(async move {
            let mut keys = 0..;
            while !stopped.load(Ordering::Relaxed) {
                for key in keys.by_ref().take(2) {
                    let (at, noted) = (Instant::now(), noted.clone());
                    let mut call = call_of(idempotent, 500 * MS);
                    call.hash_key = Some(key);
                    let call = cluster.invoke(call);
                    tokio::spawn(async move {
                        let failed = call.await.err().map(|status: Status| status.code());
                        noted.lock().unwrap().push(Seen { at, took: at.elapsed(), failed });
                    });
                }
                sleep(MS).await;
            }
        });
        Self { fleet, seen, stop }
    }

    async fn end(self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        sleep(SECOND).await;
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn is_out(&self, address: &str) -> bool {
        let endpoints = self.fleet.directory.endpoints();
        let endpoint = endpoints.iter().find(|e| **e.address() == *address).unwrap();
        endpoint.health().state != HealthState::Healthy
    }

    /// What part of all calls of this time go to `address`.
    async fn share(&self, address: &str, time: Duration) -> f64 {
        let count = || (self.fleet.mock(address).calls() as f64, self.fleet.net.total() as f64);
        let (its, all) = count();
        sleep(time).await;
        (count().0 - its) / (count().1 - all)
    }
}

fn built(name: &str) -> Arc<dyn LoadBalance> {
    let params = serde_json::json!({ "seed": 1 });
    let draws = !matches!(name, "roundrobin" | "consistenthash");
    let params = if draws { params } else { serde_json::json!({}) };
    load_balance::builtin().build(name, params.as_object().unwrap().clone()).unwrap()
}

/// The slowest but one in a hundred of the calls made in this time.
fn p99(seen: &[Seen], from: Instant, to: Instant) -> Duration {
    let mut took: Vec<Duration> =
        seen.iter().filter(|s| (from..to).contains(&s.at)).map(|s| s.took).collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_stops_is_out_within_a_second_of_the_first_timeout_and_comes_back() {
    for balancer in load_balance::builtin().names() {
        stop_one(balancer, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_change_something_fail_on_it_only_in_flight_and_as_probes() {
    for balancer in ["p2c", "random", "roundrobin"] {
        stop_one(balancer, false).await;
    }
}

/// Stops one of three for five seconds.
async fn stop_one(balancer: &str, idempotent: bool) {
    let run = Run::start(&["a:1", "b:1", "c:1"], built(balancer), idempotent);
    sleep(SECOND).await;
    let started = Instant::now();
    run.fleet.mock("a:1").answer(Answer::Hang);
    let first_timeout = started + 500 * MS;
    while !run.is_out("a:1") {
        sleep(MS).await;
    }
    assert!(first_timeout.elapsed() <= SECOND, "{balancer}: {:?}", first_timeout.elapsed());
    let in_flight = run.fleet.in_flight();
    let (ejected, before) = (Instant::now(), run.fleet.mock("a:1").calls());
    sleep(5 * SECOND).await;
    let probes = run.fleet.mock("a:1").calls() - before;
    assert!((1..=4).contains(&probes), "{balancer}: {probes} probes");
    let continued = Instant::now();
    run.fleet.mock("a:1").answer(Answer::After(2 * MS));
    sleep(6 * SECOND).await;
    let share = run.share("a:1", SECOND).await;
    assert!((0.27..0.40).contains(&share), "{balancer}: a share of {share}");

    let seen = run.end().await;
    let failed = || seen.iter().filter(|s| s.failed.is_some());
    let late = failed().filter(|s| s.at > ejected).count();
    let early = failed().count() - late;
    assert!(early <= in_flight as usize + 5, "{balancer}: {early} failed, {in_flight} in flight");
    let allowed = if idempotent { 0 } else { probes as usize };
    assert!(late <= allowed, "{balancer}: {late} failed later, {probes} probes");
    let healthy = p99(&seen, started - SECOND / 2, started);
    let after = p99(&seen, ejected + SECOND, continued);
    assert!(after < 2 * healthy, "{balancer}: p99 {after:?}, {healthy:?} before");
    assert!(seen.iter().all(|s| s.ended() <= s.at + 500 * MS));
}

#[tokio::test(start_paused = true)]
async fn p2c_leaves_a_stopped_provider_before_anything_has_timed_out() {
    let run = Run::start(&["a:1", "b:1", "c:1"], Arc::new(P2c::new(Some(1))), false);
    sleep(SECOND).await;
    run.fleet.mock("a:1").answer(Answer::Hang);
    sleep(5 * SECOND).await;
    let failed = run.end().await.iter().filter(|seen| seen.failed.is_some()).count();
    assert!((1..=12).contains(&failed), "{failed} of ten thousand");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_at_once_attracts_no_calls() {
    for name in load_balance::builtin().names() {
        let run = Run::start(&["a:1", "b:1", "c:1"], built(name), true);
        sleep(SECOND).await;
        let failing = Answer::Fail(Status::unavailable("no database"));
        run.fleet.mock("a:1").answer(failing);
        sleep(SECOND).await;
        let share = run.share("a:1", 5 * SECOND).await;
        assert!(share <= 0.01, "{name}: {share} of the calls");
        assert!(share > 0.0, "{name}: nobody looks whether it is well");
        let seen = run.end().await;
        let failed = seen.iter().filter(|seen| seen.failed.is_some()).count();
        assert_eq!(failed, 0, "{name}: of {}", seen.len());
    }
}

#[tokio::test(start_paused = true)]
async fn without_ejection_balancers_that_follow_latency_avoid_what_fails_at_once() {
    for name in ["p2c", "shortestresponse"] {
        let run = Run::start_by(None, &["a:1", "b:1", "c:1"], built(name), true);
        sleep(SECOND).await;
        run.fleet.mock("a:1").answer(Answer::Fail(Status::unavailable("no database")));
        sleep(SECOND).await;
        let share = run.share("a:1", SECOND).await;
        assert!(share <= 0.01, "{name}: {share} of the calls");
        run.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn with_three_of_four_out_all_four_are_called() {
    // Others may take the one that is well for all calls, and never hear that the third is not.
    for name in ["p2c", "random", "roundrobin"] {
        let run = Run::start(&["a:1", "b:1", "c:1", "d:1"], built(name), true);
        sleep(SECOND).await;
        for address in ["a:1", "b:1", "c:1"] {
            run.fleet.mock(address).answer(maybe_sent());
        }
        sleep(SECOND).await;
        let before = run.fleet.net.counts();
        assert_eq!(run.fleet.directory.state().ejected, 3, "{name}");
        assert_eq!(run.fleet.directory.state().candidates, 4, "{name}");
        sleep(SECOND).await;
        for (address, calls) in run.fleet.net.counts() {
            assert!(calls > before[&address] + 50, "{name}: {address} is not called");
        }
        for address in ["a:1", "b:1", "c:1"] {
            run.fleet.mock(address).answer(Answer::After(2 * MS));
        }
        sleep(10 * SECOND).await;
        assert_eq!(run.fleet.directory.state().ejected, 0, "{name}");
        let share = run.share("a:1", 5 * SECOND).await;
        assert!((0.2..0.3).contains(&share), "{name}: a share of {share}");
    }
}
