//! Counts changes, for holders of something derived from what changes.
//!
//! A directory keeps a list of the channels that calls may go to. Each channel notes the changes of
//! its state in the count of every directory that holds it, so that one of another service
//! costs a directory nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A count that grows with every change; a clone is the same count.
#[derive(Debug, Clone, Default)]
pub struct Changes(Arc<AtomicU64>);

impl Changes {
    /// Counts a change. A reader of the new count sees everything written before it.
    pub fn note(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// How many there were so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The counts in which something records its changes, each as long as another owner holds it.
#[derive(Debug, Default)]
pub struct Listeners(Mutex<Vec<Weak<AtomicU64>>>);

impl Listeners {
    /// Adds a count, unless it is there already.
    pub fn add(&self, changes: &Changes) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|count| count.strong_count() > 0);
        let new = Arc::downgrade(&changes.0);
        if counts.iter().all(|count| !count.ptr_eq(&new)) {
            counts.push(new);
        }
    }

    /// Counts a change in each.
    pub fn note(&self) {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().filter_map(Weak::upgrade).for_each(|count| Changes(count).note());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_counted_once_by_everybody_who_still_listens() {
        let (listeners, one, other) =
            (Listeners::default(), Changes::default(), Changes::default());
        listeners.add(&one);
        listeners.add(&one.clone());
        listeners.note();
        listeners.add(&other);
        listeners.note();
        assert_eq!((one.count(), other.count()), (2, 1));
        drop(one);
        listeners.add(&other);
        assert_eq!(listeners.0.lock().unwrap().len(), 1, "who is gone leaves nothing behind");
    }
}
