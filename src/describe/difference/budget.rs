//! How much comparing may cost, because a description may come from anybody.
//!
//! Fields are looked for in lists, types meet in pairs, and types may nest in themselves, so the cost is
//! not that of the length of a description. It is paid for in advance, about a comparison of two names
//! for each unit; a contract that people write takes a hundredth of what there is.

use std::cell::Cell;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Budget {
    /// Less than a second.
    pub(super) const UNITS: usize = 25_000_000;

    pub(super) fn new(units: usize) -> Self {
        Self(Cell::new(units))
    }

    /// Pays for `units`; `None` if they are not left, and from then on nothing is.
    pub(super) fn spend(&self, units: usize) -> Option<()> {
        let left = self.0.get().checked_sub(units);
        self.0.set(left.unwrap_or(0));
        left.filter(|left| *left > 0).map(|_| ())
    }

    /// Whether something could not be paid for.
    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_paid_for_ends_the_comparing() {
        let budget = Budget::new(10);
        assert_eq!((budget.spend(9), budget.is_spent()), (Some(()), false));
        assert_eq!((budget.spend(2), budget.is_spent()), (None, true));
        assert_eq!(budget.spend(0), None);
    }
}
