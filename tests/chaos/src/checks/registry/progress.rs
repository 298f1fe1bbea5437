//! What runs at present, told as it begins and ends and once a minute: a whole run takes an hour, and what
//! was found in a check is told at its end.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, interval};

/// How often it is told what runs.
const EVERY: Duration = Duration::from_secs(60);

/// The checks that run.
pub(super) struct Progress {
    begun: Instant,
    running: Mutex<BTreeMap<String, Instant>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), running: Mutex::default() }
    }

    /// Tells that a check begins.
    pub(super) fn begins(&self, check: &str) {
        self.running().insert(check.to_owned(), Instant::now());
        self.tell(&format!("{check} begins"));
    }

    /// Tells that it has ended.
    pub(super) fn ends(&self, check: &str) {
        self.running().remove(check);
        self.tell(&format!("{check} ended"));
    }

    /// Tells now and then what runs.
    pub(super) async fn tell_all(&self) -> Infallible {
        let mut ticks = interval(EVERY);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let one = |(check, since): (&String, &Instant)| {
                format!("{check} ({} s)", now.saturating_duration_since(*since).as_secs())
            };
            let all: Vec<_> = self.running().iter().map(one).collect();
            let all = if all.is_empty() { "servers start".to_owned() } else { all.join(", ") };
            self.tell(&format!("running: {all}"));
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Instant>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: &str) {
        let seconds = self.begun.elapsed().as_secs();
        println!("[{:02}:{:02}] {what}", seconds / 60, seconds % 60);
    }
}
