//! What the log says of calls that are sent again: which attempt it was, what became of calls that
//! nobody waits for, and no more of it than a person can read.
//!
//! One test, alone in its program, because who listens to events is known to the whole process.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dubhe_cluster::load_balance::RoundRobin;
use dubhe_cluster::policy::{
    Available, Broadcast, ClusterPolicy, Failback, FailbackConfig, Failover, Failsafe, Forking,
};
use dubhe_cluster::router::RouterChain;
use support::*;
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const SECOND: Duration = Duration::from_secs(1);

/// Notes what is told of attempts, and each line of policies.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>, Arc<AtomicU64>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl Told {
    /// What was told since it was asked last, of lines with this word.
    fn take(&self, word: &str) -> Vec<String> {
        let lines = std::mem::take(&mut *self.0.lock().unwrap());
        lines.into_iter().filter(|line| line.contains(word)).collect()
    }

    /// The numbers of the attempts since it was asked last.
    fn attempts(&self) -> Vec<u32> {
        let number = |line: String| {
            let (_, number) = line.split_once(" attempt=")?;
            number.split(' ').next()?.parse().ok()
        };
        self.take("span attempt ").into_iter().filter_map(number).collect()
    }
}

impl Subscriber for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.name() == "attempt" || metadata.target() == "dubhe::policy"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(format!("span {} ", span.metadata().name()));
        span.record(&mut line);
        self.0.lock().unwrap().push(line.0);
        Id::from_u64(self.1.fetch_add(1, Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} ", event.metadata().level()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Three attempts of each policy that makes so many, in turn: two are not sent, one is answered.
async fn attempts_are_numbered(told: &Told) {
    let policies: [Arc<dyn ClusterPolicy>; 3] =
        [Arc::new(Failover::new(0)), Arc::new(Available), Arc::new(Forking::default())];
    for policy in policies {
        let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
        fleet.mock("a:1").answer(not_sent());
        fleet.mock("b:1").answer(not_sent());
        let cluster = fleet.build(policy.clone(), Arc::new(RoundRobin::new()), Default::default());
        cluster.invoke(call()).await.unwrap();
        assert_eq!(told.attempts(), [1, 2, 3], "{policy:?}");
    }
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.cluster(Broadcast::default()).invoke(call()).await.unwrap();
    assert_eq!(told.attempts(), [1, 2, 3]);
}

async fn a_call_that_failed_is_told_to_be_done_or_dropped(told: &Told) {
    let fleet = Fleet::of(&["a:1"]);
    let cluster = fleet.cluster(Failback::default());
    fleet.mock("a:1").answer_next([not_sent(), not_sent()]);
    cluster.invoke(call()).await.unwrap();
    sleep(60 * SECOND).await;
    let done = told.take("INFO");
    assert!(done.len() == 1 && done[0].contains("a call that had failed is done"), "{done:?}");
    assert!(done[0].contains("method=\"reserve\" attempt=3 "), "{done:?}");
    fleet.mock("a:1").answer(not_sent());
    cluster.invoke(call()).await.unwrap();
    sleep(60 * SECOND).await;
    let dropped = told.take("ERROR");
    assert!(dropped.len() == 1 && dropped[0].contains("dropped after its retries"), "{dropped:?}");
}

async fn what_happens_often_is_told_once_a_second_with_the_number_of_those_left_out(told: &Told) {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(not_sent());
    let config = FailbackConfig { tasks: 1, ..FailbackConfig::default() };
    let full = fleet.cluster(Failback::new(config).unwrap());
    full.invoke(call()).await.unwrap();
    let safe = fleet.build(Arc::new(Failsafe), Arc::new(RoundRobin::new()), RouterChain::default());
    for (cluster, level, text) in
        [(full, "ERROR", "tasks = 1: so many calls wait"), (safe, "WARN", "cluster = failsafe")]
    {
        told.take("");
        for left_out in [0, 4, 4] {
            for _ in 0..5 {
                let _ = cluster.invoke(call()).await;
            }
            let lines = told.take(level);
            assert!(lines.len() == 1 && lines[0].contains(text), "{lines:?}");
            assert!(lines[0].contains(&format!("left_out={left_out} ")), "{lines:?}");
            sleep(SECOND).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_which_attempt_it_was_and_what_became_of_calls_that_nobody_waits_for() {
    let told = Told::default();
    tracing::subscriber::set_global_default(told.clone()).unwrap();
    attempts_are_numbered(&told).await;
    a_call_that_failed_is_told_to_be_done_or_dropped(&told).await;
    what_happens_often_is_told_once_a_second_with_the_number_of_those_left_out(&told).await;
}
