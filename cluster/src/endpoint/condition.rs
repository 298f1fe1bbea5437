//! The present condition of an endpoint: its weight while it warms up, its fullness, its health.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rpc_core::Status;
use tokio::time::Instant;

use super::ejection::{EndpointHealth, Health};
use super::warmup::warmed_weight;
use super::{Endpoint, fullness};

impl Endpoint {
    /// Its share of traffic relative to others, reduced while it warms up.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Adapts the weight to the time it has been up; says whether that changed it. `warmup` is for
    /// those that do not say how long they warm up.
    pub(crate) fn warm(&self, now: Instant, warmup: Duration) -> bool {
        let (weight, warmup) = (self.instance.weight, self.warmup.unwrap_or(warmup));
        let weight = self.up.map_or(weight, |(before, at)| {
            warmed_weight(weight, before + now.saturating_duration_since(at), warmup)
        });
        self.weight.swap(weight, Relaxed) != weight
    }

    /// Whether its weight is still growing.
    pub(crate) fn is_warming(&self) -> bool {
        self.weight() < self.instance.weight
    }

    /// Whether its calls go well, for people to look at.
    #[must_use]
    pub fn health(&self) -> EndpointHealth {
        self.condition().report(Instant::now())
    }

    /// Whether it answered that it does not have the service: another program has its port.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.condition().is_stale()
    }

    /// Whether it has said that it is full, and the time after which to come back is not over at
    /// `now`. It is called meanwhile only if all are full.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_until(now).is_some()
    }

    /// Until when it is full, if it is at `now`.
    pub(crate) fn full_until(&self, now: Instant) -> Option<Instant> {
        self.vitals.fullness.until(self.load().origin(), now)
    }

    /// Notes that it has refused a call for fullness. It is asked no sooner than it says, and those
    /// that were turned away together do not come back together.
    pub(crate) fn note_full(&self, refusal: &Status, now: Instant) {
        let named = refusal.retry_after().unwrap_or(fullness::DEFAULT).min(fullness::LONGEST);
        let rules = self.condition().rules();
        let end = now + named / 2 + rules.jitter(named);
        if self.vitals.fullness.begin(self.load().origin(), now, end) {
            rules.changed();
        }
    }

    pub(crate) fn condition(&self) -> &Health {
        &self.vitals.health
    }
}
