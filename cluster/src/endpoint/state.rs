//! State that balancers keep of an endpoint: typed slots, filled when a balancer first asks.
//!
//! A slot is found by walking a short chain without a lock; a type that no balancer asked for costs
//! calls nothing. Slots live as long as the endpoint, across changes of its data and of the plan of
//! a method.

use std::any::Any;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use rpc_core::{Invocation, Reply, Status};
use tokio::time::Instant;

/// State that a balancer keeps of one endpoint, notified of its calls.
///
/// All balancers that ask for the type share it. Its methods run for each call, from many threads
/// at once, so they do no I/O and no work they can do without.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// use dubhe_cluster::{EndedCall, EndpointState};
///
/// /// How many calls have failed since the endpoint was last well.
/// #[derive(Debug, Default)]
/// struct Failures(AtomicU64);
///
/// impl EndpointState for Failures {
///     fn end(&self, call: &EndedCall<'_>) {
///         self.0.fetch_add(u64::from(call.is_failure), Relaxed);
///     }
///
///     fn forget(&self) {
///         self.0.store(0, Relaxed);
///     }
/// }
/// ```
pub trait EndpointState: Any + Send + Sync {
    /// A call goes out to the endpoint; what is put into its metadata travels.
    fn begin(&self, invocation: &mut Invocation, now: Instant) {
        let _ = (invocation, now);
    }

    /// A call has ended that says something of the endpoint as it is now.
    fn end(&self, call: &EndedCall<'_>) {
        let _ = call;
    }

    /// The endpoint is well again after it was out, or another program has its address: what was
    /// before says nothing of it.
    fn forget(&self) {}
}

/// How a call at an endpoint ended.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EndedCall<'a> {
    /// Its outcome; `None` if it was given up, or not sent because there is no codec in common.
    pub outcome: Option<Result<&'a Reply, &'a Status>>,
    /// Whether that speaks against the endpoint.
    pub is_failure: bool,
    /// How long it took, or would have taken at least; a failure counts as 5 s or more. `None` if
    /// that says nothing of the provider, as when the call waited for a connection.
    pub latency: Option<Duration>,
    /// The time when it ended.
    pub now: Instant,
}

/// The slots of one endpoint.
#[derive(Default)]
pub(crate) struct States(OnceLock<Box<Slot<dyn EndpointState>>>);

/// One state, and the slots after it: a chain that only grows, so readers need no lock.
struct Slot<T: ?Sized> {
    next: States,
    state: T,
}

impl States {
    /// The state of type `T`, if a balancer asked for it before.
    pub(crate) fn known<T: EndpointState>(&self) -> Option<&T> {
        self.all().find_map(|state| (state as &dyn Any).downcast_ref())
    }

    /// The state of type `T`, made now if this is the first request for it.
    pub(crate) fn get_or_init<T: EndpointState>(&self, make: impl Fn() -> T) -> &T {
        let mut at = self;
        loop {
            let new = || -> Box<Slot<dyn EndpointState>> {
                Box::new(Slot { next: Self::default(), state: make() })
            };
            let slot = at.0.get_or_init(new);
            if let Some(state) = (&slot.state as &dyn Any).downcast_ref() {
                return state;
            }
            at = &slot.next;
        }
    }

    /// Every state there is.
    pub(crate) fn all(&self) -> impl Iterator<Item = &dyn EndpointState> {
        let mut at = self;
        std::iter::from_fn(move || {
            let slot = at.0.get()?;
            at = &slot.next;
            Some(&slot.state)
        })
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.all().count())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    #[derive(Default)]
    struct One(AtomicU32);
    struct Two(u32);

    impl EndpointState for One {
        fn forget(&self) {
            self.0.store(0, Relaxed);
        }
    }
    impl EndpointState for Two {}

    #[test]
    fn each_type_has_one_slot_whoever_asks_first() {
        let states = States::default();
        assert!(states.known::<One>().is_none());
        assert_eq!(states.get_or_init(|| Two(7)).0, 7);
        states.get_or_init(One::default).0.store(5, Relaxed);
        assert_eq!(states.get_or_init(|| Two(8)).0, 7);
        assert_eq!(states.known::<One>().unwrap().0.load(Relaxed), 5);
        states.all().for_each(EndpointState::forget);
        assert_eq!(states.get_or_init(One::default).0.load(Relaxed), 0);
        assert_eq!(states.all().count(), 2);
    }

    #[test]
    fn threads_that_ask_at_once_get_the_same_slot() {
        let states = States::default();
        let at = |state: &One| std::ptr::from_ref(state).addr();
        std::thread::scope(|scope| {
            let ask = |_| {
                scope.spawn(|| {
                    states.get_or_init(|| Two(1));
                    at(states.get_or_init(One::default))
                })
            };
            let asked: Vec<_> = (0..8).map(ask).collect();
            let slots: Vec<usize> = asked.into_iter().map(|asked| asked.join().unwrap()).collect();
            assert_eq!(slots, [slots[0]; 8]);
        });
        assert_eq!(states.all().count(), 2);
    }
}
