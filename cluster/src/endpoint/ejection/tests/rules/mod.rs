//! What takes an endpoint out, for how long, and how it comes back.

mod back;
mod nested;
mod out;
mod stale;

use std::sync::Arc;
use std::time::Duration;

use rpc_core::Tally;
use tokio::time::Instant;

use super::super::{EjectionConfig, Health, HealthState, SharedEjection, Verdict};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

/// An endpoint on a clock of milliseconds.
struct Watched {
    health: Health,
    rules: Arc<SharedEjection>,
    start: Instant,
}

impl Watched {
    fn new(config: Option<EjectionConfig>) -> Self {
        let rules = Arc::new(SharedEjection::new(config, Tally::default()));
        let start = Instant::now();
        Self { health: Health::new(rules.clone(), "a:1".into(), start), rules, start }
    }

    fn by_default() -> Self {
        Self::new(Some(EjectionConfig { seed: Some(1), ..EjectionConfig::default() }))
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// A call that begins and ends then.
    fn see(&self, verdict: Verdict, ms: u64) {
        self.health.record(verdict, self.at(ms), self.at(ms));
    }

    fn fail(&self, times: u32, ms: u64) {
        (0..times).for_each(|_| self.see(Verdict::Failure, ms));
    }

    /// Says whether there is nothing to look at.
    fn review(&self, ms: u64) -> bool {
        self.health.review(self.at(ms))
    }

    fn state(&self, ms: u64) -> HealthState {
        self.health.report(self.at(ms)).state
    }

    fn is_healthy(&self, ms: u64) -> bool {
        self.state(ms) == HealthState::Healthy
    }

    /// For how many milliseconds it is out yet, rounded up.
    fn left(&self, ms: u64) -> u64 {
        match self.state(ms) {
            HealthState::Ejected { left } => left.as_nanos().div_ceil(1_000_000) as u64,
            other => panic!("{other:?}"),
        }
    }

    /// Whether it is out for between half of `longest` and that.
    fn is_out_for(&self, longest: u64, ms: u64) -> bool {
        (longest / 2..=longest).contains(&self.left(ms))
    }

    /// Takes it out; returns when that is over.
    fn eject(&self, ms: u64) -> u64 {
        self.fail(5, ms);
        ms + self.left(ms)
    }

    /// Takes it out and has its time pass; returns when the probe begins.
    fn begin_probe(&self, ms: u64) -> u64 {
        let until = self.eject(ms);
        assert!(!self.review(until));
        assert!(self.health.begin_probe());
        until
    }

    fn end_probe(&self, verdict: Verdict, ms: u64) -> bool {
        self.health.end_probe(verdict, self.at(ms))
    }
}
