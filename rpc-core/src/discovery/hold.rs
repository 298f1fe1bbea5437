//! Protection against lists that are suddenly empty or much shorter.
//!
//! A registry that restarts, is cut in two or is emptied by mistake says "nobody is there" about
//! providers that serve calls at that moment. One push that removes more than half of the addresses
//! is therefore not believed about those that still answer, for a bounded time. Only the holder of
//! connections knows whether an address answers, so the rule takes that as a predicate; a provider
//! that stops gracefully closes or drains its connections first, and is let go at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Instance;

/// A list with the removed addresses that are kept for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The list to use: the pushed one and, after it, the instances that are held.
    pub instances: Vec<Arc<Instance>>,
    /// How many of them the registry no longer lists; 0 means the pushed list stands as it is.
    pub held: usize,
}

/// Merges a `pushed` list with the `previous` one, the result of the last merge.
///
/// When more than half of the previous addresses are gone, those that are `alive` stay, as long as
/// `since` (the time since the first push of this shrink) is below `limit` (5 minutes is usual).
/// Ask again when a connection changes or the limit is reached; once `held` is 0 the shrink is over.
pub fn hold(
    previous: &[Arc<Instance>],
    pushed: &[Arc<Instance>],
    since: Duration,
    limit: Duration,
    alive: impl Fn(&Instance) -> bool,
) -> Held {
    let mut instances = pushed.to_vec();
    if since < limit {
        let listed: HashSet<&str> = pushed.iter().map(|i| &*i.address).collect();
        let gone = |i: &&Arc<Instance>| !listed.contains(&*i.address);
        if previous.iter().filter(gone).count() * 2 > previous.len() {
            instances.extend(previous.iter().filter(gone).filter(|i| alive(i)).cloned());
        }
    }
    Held { held: instances.len() - pushed.len(), instances }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServiceKey;

    const LIMIT: Duration = Duration::from_secs(300);

    fn list(addresses: &[&str]) -> Vec<Arc<Instance>> {
        let service = ServiceKey::new("shop.Inventory");
        let instance = |a: &&str| Arc::new(Instance::new(service.clone(), a, "id"));
        addresses.iter().map(instance).collect()
    }

    fn addresses(held: &Held) -> Vec<&str> {
        held.instances.iter().map(|i| &*i.address).collect()
    }

    #[test]
    fn an_empty_push_keeps_what_still_answers() {
        let held =
            hold(&list(&["a:1", "b:1"]), &[], Duration::ZERO, LIMIT, |i| &*i.address == "a:1");
        assert_eq!((addresses(&held), held.held), (vec!["a:1"], 1));
    }

    #[test]
    fn half_of_the_addresses_may_go_at_once_and_more_may_not() {
        let before = list(&["a:1", "b:1", "c:1", "d:1"]);
        let half = hold(&before, &list(&["a:1", "b:1"]), Duration::ZERO, LIMIT, |_| true);
        assert_eq!((addresses(&half), half.held), (vec!["a:1", "b:1"], 0));
        let more = hold(&before, &list(&["a:1", "e:1"]), Duration::ZERO, LIMIT, |_| true);
        assert_eq!(addresses(&more), ["a:1", "e:1", "b:1", "c:1", "d:1"]);
    }

    #[test]
    fn of_a_short_list_too_no_more_than_half_goes_at_once() {
        for (before, pushed, held) in
            [(2, 1, 0), (3, 2, 0), (3, 1, 2), (4, 1, 3), (5, 3, 0), (5, 2, 3), (6, 3, 0), (1, 0, 1)]
        {
            let all = list(&["a:1", "b:1", "c:1", "d:1", "e:1", "f:1"][..before]);
            let after = hold(&all, &all[..pushed], Duration::ZERO, LIMIT, |_| true);
            assert_eq!(after.held, held, "{pushed} of {before} are left");
        }
    }

    #[test]
    fn a_shrink_is_doubted_to_the_last_moment_before_the_limit() {
        let before = list(&["a:1", "b:1", "c:1"]);
        for (since, held) in [(LIMIT - Duration::from_nanos(1), 3), (LIMIT, 0), (LIMIT * 2, 0)] {
            assert_eq!(hold(&before, &[], since, LIMIT, |_| true).held, held, "{since:?}");
        }
    }

    #[test]
    fn what_is_held_is_let_go_at_the_limit_or_when_it_stops_answering() {
        let before = list(&["a:1", "b:1", "c:1"]);
        for (since, alive) in [(LIMIT, true), (Duration::ZERO, false)] {
            let held = hold(&before, &list(&["a:1"]), since, LIMIT, |_| alive);
            assert_eq!((addresses(&held), held.held), (vec!["a:1"], 0));
        }
    }

    #[test]
    fn a_held_address_that_is_listed_again_is_no_longer_held() {
        let before = list(&["a:1", "b:1", "c:1"]);
        let held = hold(&before, &before, Duration::ZERO, LIMIT, |_| true);
        assert_eq!((held.instances.len(), held.held), (3, 0));
    }
}
