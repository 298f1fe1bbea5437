//! Since when servers serve again: after a fault of theirs an ensemble may still elect its leader for seconds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::hand::Hand;

/// Between two writes to a server.
const PAUSE: Duration = Duration::from_millis(50);

/// Writes to all servers of a registry, again and again, while it exists.
#[derive(Debug)]
pub(super) struct Serving {
    since: Arc<Mutex<Option<Instant>>>,
    is_over: Arc<AtomicBool>,
}

impl Serving {
    /// Begins with `hands`, one for each server; without any they count as serving from now on.
    pub(super) fn watch(hands: Vec<Hand>) -> Self {
        let since = Arc::new(Mutex::new(hands.is_empty().then(Instant::now)));
        let is_over = Arc::<AtomicBool>::default();
        if !hands.is_empty() {
            let (since, is_over) = (Arc::clone(&since), Arc::clone(&is_over));
            // It ends within the limit of one write after this is dropped.
            tokio::task::spawn_blocking(move || write_to(hands, &since, &is_over));
        }
        Self { since, is_over }
    }

    /// Since when all have taken every write; `None` while one does not.
    pub(super) fn since(&self) -> Option<Instant> {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn write_to(mut hands: Vec<Hand>, since: &Mutex<Option<Instant>>, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let all_take_it = hands.iter_mut().all(|hand| hand.put_unread().is_ok());
        let mut since = since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if all_take_it { since.or(Some(begun)) } else { None };
        drop(since);
        thread::sleep(PAUSE);
    }
}
