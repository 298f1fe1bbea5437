//! A count with a limit, and how much of it one owner may take.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A quota shared by all callers of a server.
pub(in crate::server) struct Quota {
    pub(super) limit: usize,
    pub(super) taken: AtomicUsize,
}

/// Why there is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    /// All of them have taken what there is.
    All,
    /// The one that asks would have more than it leaves; that is this much.
    Own(usize),
}

impl Quota {
    pub(in crate::server) const fn new(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0) }
    }

    pub(in crate::server) fn taken(&self) -> &AtomicUsize {
        &self.taken
    }

    /// Whether an owner of `own` may take `more` while `all` are taken; with `alone`, it leaves
    /// nothing to others.
    pub(super) fn fits(
        &self,
        all: usize,
        own: usize,
        more: usize,
        alone: bool,
    ) -> Result<(), Shortage> {
        let left = self.limit.saturating_sub(all);
        if more > left {
            Err(Shortage::All)
        } else if !alone && own.saturating_add(more) > left {
            Err(Shortage::Own(left))
        } else {
            Ok(())
        }
    }

    /// Counts `more` for the owner of `own`, if it fits.
    pub(super) fn take(&self, own: &AtomicUsize, more: usize, alone: bool) -> Result<(), Shortage> {
        let (all, had) = self.take_anyway(own, more);
        let fits = self.fits(all, had, more, alone);
        if fits.is_err() {
            self.give_back(own, more);
        }
        fits
    }

    /// Counts `more`, whether it fits or not; returns what was taken before, by all and by `own`.
    pub(super) fn take_anyway(&self, own: &AtomicUsize, more: usize) -> (usize, usize) {
        (self.taken.fetch_add(more, Ordering::AcqRel), own.fetch_add(more, Ordering::AcqRel))
    }

    /// Takes `less` off the counts; `true` if nothing is taken any more.
    pub(super) fn give_back(&self, own: &AtomicUsize, less: usize) -> bool {
        own.fetch_sub(less, Ordering::AcqRel);
        self.taken.fetch_sub(less, Ordering::AcqRel) == less
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one at a time until there is no more.
    fn most(pool: &Quota, own: &AtomicUsize, alone: bool) -> usize {
        while pool.take(own, 1, alone).is_ok() {}
        own.load(Ordering::Acquire)
    }

    #[test]
    fn each_connection_leaves_as_much_as_it_takes() {
        let pool = Quota::new(12);
        let (first, second, third) = <(AtomicUsize, AtomicUsize, AtomicUsize)>::default();
        assert_eq!(most(&pool, &first, false), 6);
        assert_eq!(most(&pool, &second, false), 3);
        assert_eq!(most(&pool, &third, false), 2);
        assert_eq!(pool.take(&first, 1, false), Err(Shortage::Own(1)));
        assert_eq!(pool.take(&first, 2, false), Err(Shortage::All));
        pool.give_back(&first, 6);
        assert_eq!(most(&pool, &third, false), 5);
    }

    #[test]
    fn many_of_one_peer_leave_room_for_one_more_like_them() {
        let pool = Quota::new(1000);
        let hogs: [AtomicUsize; 9] = Default::default();
        // All of them at once, one call after the other.
        while hogs.iter().filter(|own| pool.take(own, 1, false).is_ok()).count() > 0 {}
        assert_eq!(most(&pool, &AtomicUsize::new(0), false), 50);
        assert_eq!(pool.taken.load(Ordering::Acquire), 950);
    }

    #[test]
    fn what_is_alone_may_take_all() {
        let pool = Quota::new(5);
        assert_eq!(most(&pool, &AtomicUsize::new(0), true), 5);
    }
}
