//! What holds of an endpoint's health when many threads judge it at once.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rpc_core::Tally;
use tokio::time::Instant;

use super::super::{EjectionConfig, Health, HealthState, SharedEjection, Verdict};
use crate::dice::{Dice, Rolls};

const THREADS: u64 = 4;
const STEPS: u32 = 30_000;

/// An endpoint that threads fight over, on a clock of their own.
struct Arena {
    health: Health,
    rules: Arc<SharedEjection>,
    start: Instant,
    /// Since then. Read for as long as a step lasts: on this clock a thread that has to wait in the
    /// middle of one would come from minutes ago.
    milliseconds: RwLock<u64>,
    /// Probes under way.
    probing: AtomicU32,
    /// Probes that ever were.
    probes: AtomicU32,
}

impl Arena {
    fn new() -> Self {
        let config = EjectionConfig { seed: Some(1), ..EjectionConfig::default() };
        let (rules, start) =
            (Arc::new(SharedEjection::new(Some(config), Tally::default())), Instant::now());
        Self {
            health: Health::new(rules.clone(), "a:1".into(), start),
            rules,
            start,
            milliseconds: RwLock::new(0),
            probing: AtomicU32::new(0),
            probes: AtomicU32::new(0),
        }
    }

    fn step(&self, rolls: &mut Rolls) {
        let what = rolls.below(10);
        if what == 0 {
            *self.milliseconds.write().unwrap() += rolls.below(10_000);
        }
        let milliseconds = self.milliseconds.read().unwrap();
        let now = self.start + Duration::from_millis(*milliseconds);
        match what {
            0..4 => self.health.record(Verdict::Failure, now, now),
            4 => self.health.record(Verdict::Success, now, now),
            5..8 => {
                self.health.review(now);
            }
            _ => self.probe(rolls, now),
        }
    }

    fn probe(&self, rolls: &mut Rolls, now: Instant) {
        if !self.health.begin_probe() {
            return;
        }
        assert_eq!(self.probing.fetch_add(1, SeqCst), 0, "two probes at once");
        self.probes.fetch_add(1, SeqCst);
        std::thread::yield_now();
        assert!(self.health.is_out(), "nobody but the probe brings it back");
        assert_eq!(self.probing.fetch_sub(1, SeqCst), 1);
        match rolls.below(4) {
            0 => self.health.undo_probe(),
            1 => assert!(self.health.end_probe(Verdict::Success, now)),
            2 => assert!(!self.health.end_probe(Verdict::Failure, now)),
            _ => assert!(!self.health.end_probe(Verdict::Nothing, now)),
        }
    }
}

#[test]
fn however_threads_interleave_one_probe_runs_at_a_time_and_decides() {
    let (arena, seeds) = (Arena::new(), Dice::new(Some(7)));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (arena, mut rolls) = (&arena, seeds.fork());
            scope.spawn(move || (0..STEPS).for_each(|_| arena.step(&mut rolls)));
        }
    });
    let (probes, ejections) = (arena.probes.load(SeqCst), arena.rules.ejections());
    assert!(probes > 30 && ejections > 10, "{probes} probes, {ejections} ejections");
    // Whatever state they have left it in, it comes back when nothing speaks against it.
    let mut now = arena.start + Duration::from_millis(*arena.milliseconds.read().unwrap());
    for _ in 0..100 {
        now += Duration::from_secs(10);
        arena.health.record(Verdict::Success, now, now);
        arena.health.review(now);
    }
    assert_eq!(arena.health.report(now).state, HealthState::Healthy);
}
