//! Who waits for something: what a future would hold for that, kept where it is told. So a future that waits takes no
//! more room than a reference.

use std::collections::BTreeMap;
use std::mem;
use std::task::Waker;

/// Those who wait, by their numbers. Mostly it is one, and takes no memory of its own.
#[derive(Debug, Default)]
pub(crate) enum Waiters {
    #[default]
    Nobody,
    One(u64, Waker),
    Several(BTreeMap<u64, Waker>),
}

impl Waiters {
    /// This one waits, and does so once. What would have woken it before is to be dropped where no lock is held.
    #[must_use]
    pub(crate) fn put(&mut self, number: u64, waker: &Waker) -> Option<Waker> {
        match self {
            Self::Nobody => *self = Self::One(number, waker.clone()),
            Self::One(present, one) if *present == number => {
                return (!one.will_wake(waker)).then(|| mem::replace(one, waker.clone()));
            }
            Self::One(..) => {
                let mut several = BTreeMap::from([(number, waker.clone())]);
                if let Self::One(present, one) = mem::take(self) {
                    several.insert(present, one);
                }
                *self = Self::Several(several);
            }
            Self::Several(several) => return several.insert(number, waker.clone()),
        }
        None
    }

    /// This one does not wait any more; as above.
    #[must_use]
    pub(crate) fn remove(&mut self, number: u64) -> Option<Waker> {
        match self {
            Self::One(present, _) if *present == number => match mem::take(self) {
                Self::One(_, one) => Some(one),
                Self::Nobody | Self::Several(_) => None,
            },
            Self::Nobody | Self::One(..) => None,
            Self::Several(several) => several.remove(&number),
        }
    }

    /// Takes them out, to be woken where no lock is held.
    pub(crate) fn take(&mut self) -> Self {
        mem::take(self)
    }

    pub(crate) fn wake(self) {
        match self {
            Self::Nobody => {}
            Self::One(_, waker) => waker.wake(),
            Self::Several(several) => several.into_values().for_each(Waker::wake),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct CountedWakes(AtomicUsize);

    impl Wake for CountedWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_that_waits_is_woken_once_and_none_that_went_away() {
        let counts: [Arc<CountedWakes>; 4] = Default::default();
        let wakers = counts.clone().map(Waker::from);
        let woken = || counts.each_ref().map(|count| count.0.load(Ordering::Relaxed));
        let mut waiting = Waiters::default();
        let _ = waiting.put(0, &wakers[3]);
        let _ = waiting.put(0, &wakers[0]);
        let _ = waiting.remove(1);
        waiting.take().wake();
        assert_eq!(woken(), [1, 0, 0, 0], "who waits in another place is woken there alone");
        for number in [0, 1, 2, 1] {
            let _ = waiting.put(number, &wakers[usize::try_from(number).unwrap()]);
        }
        let _ = waiting.remove(2);
        waiting.take().wake();
        waiting.take().wake();
        assert_eq!(woken(), [2, 1, 0, 0]);
        let _ = waiting.put(3, &wakers[3]);
        let _ = waiting.remove(3);
        waiting.take().wake();
        assert_eq!(woken(), [2, 1, 0, 0]);
        assert_eq!(Arc::strong_count(&counts[3]), 2, "nothing of who went away is held");
    }
}
