//! A consumer's view of a registry: the list of one service, and whether the registry still
//! confirms it.
//!
//! A list outlives its registry. So that a kept list is distinguished from a confirmed one, a
//! subscription carries beside it the reason why the registry cannot be heard.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use super::Snapshot;
use crate::latest::{Latest, LatestReader};

/// How many registries that are lost a trouble names.
const NAMED: usize = 3;

/// The reason why a registry cannot be heard at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The last error, for people; does not begin with the registry's address.
    pub error: Arc<str>,
    /// When the registry was lost, or was first found not to answer.
    pub since: Instant,
    /// Of several registries that act as one, those that are lost, in their order; empty for a single one. The error
    /// names them, too, as far as it has room.
    pub lost: Arc<[LostRegistry]>,
}

/// One of several registries, which cannot be heard at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRegistry {
    /// Its address.
    pub address: Arc<str>,
    /// As that of [`Trouble`].
    pub error: Arc<str>,
}

impl Trouble {
    /// That of a single registry.
    #[must_use]
    pub fn new(error: impl Into<Arc<str>>, since: Instant) -> Self {
        Self { error: error.into(), since, lost: Arc::default() }
    }

    /// That of several registries that act as one, by the address and the trouble of each that is lost; `None` if none is.
    /// It began with the first, and its error names up to three.
    #[must_use]
    pub fn of_several<'a>(
        lost: impl IntoIterator<Item = (&'a Arc<str>, &'a Self)>,
    ) -> Option<Self> {
        let lost: Vec<_> = lost.into_iter().collect();
        let since = lost.iter().map(|(_, trouble)| trouble.since).min()?;
        let told = lost.iter().map(|(address, trouble)| format!("{address}: {}", trouble.error));
        let more = lost.len().saturating_sub(NAMED);
        let more = (more > 0).then(|| format!("and {more} more"));
        let told: Vec<String> = told.take(NAMED).chain(more).collect();
        let of = |(address, trouble): (&Arc<str>, &Self)| LostRegistry {
            address: Arc::clone(address),
            error: Arc::clone(&trouble.error),
        };
        Some(Self {
            error: told.join("; ").into(),
            since,
            lost: lost.into_iter().map(of).collect(),
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "registry lost for {} s: {}", self.since.elapsed().as_secs(), self.error)
    }
}

/// Follows the snapshots of one service; dropping it unsubscribes.
pub struct Subscription {
    snapshots: LatestReader<Snapshot>,
    registry: Arc<str>,
    trouble: LatestReader<Option<Trouble>>,
    resume: Option<Resume>,
    _guard: Box<dyn Send + Sync>,
}

/// Begins ended tasks again in the runtime here; says whether there were such.
type Resume = Box<dyn Fn() -> bool + Send + Sync>;

impl Subscription {
    /// A subscription that reads from `snapshots` and drops `guard` at its end; of a registry
    /// without a name, about which nothing is known.
    #[must_use]
    pub fn new(snapshots: LatestReader<Snapshot>, guard: impl Send + Sync + 'static) -> Self {
        let trouble = Latest::new(None).subscribe();
        let registry = Arc::from("");
        Self { snapshots, registry, trouble, resume: None, _guard: Box::new(guard) }
    }

    /// Sets the registry's `address` and the channel that has its present trouble.
    #[must_use]
    pub fn of_registry(
        mut self,
        address: impl Into<Arc<str>>,
        trouble: LatestReader<Option<Trouble>>,
    ) -> Self {
        self.registry = address.into();
        self.trouble = trouble;
        self
    }

    /// Sets `resume`, which starts the tasks again in the runtime it is called in and returns
    /// whether they had ended.
    #[must_use]
    pub fn resumed_by(mut self, resume: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.resume = Some(Box::new(resume));
        self
    }

    /// Has `also` called whenever the list is to be followed again, for what is followed beside it.
    #[must_use]
    pub fn resuming(mut self, also: impl Fn() + Send + Sync + 'static) -> Self {
        let before = self.resume.take();
        self.resumed_by(move || {
            also();
            before.as_ref().is_some_and(|resume| resume())
        })
    }

    /// Has the list followed again after the runtime has ended in which that was done; says whether
    /// it has. If so, the trouble changes once the list is confirmed or cannot be. Needs a tokio runtime.
    pub fn resume(&self) -> bool {
        self.resume.as_ref().is_some_and(|resume| resume())
    }

    /// The newest snapshot.
    #[must_use]
    pub fn latest(&self) -> Snapshot {
        self.snapshots.borrow().clone()
    }

    /// Waits for the next snapshot; `None` once the registry has been shut down.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Snapshot> {
        self.snapshots.changed().await.ok()?;
        Some(self.snapshots.borrow_and_update().clone())
    }

    /// Address of the registry for people; empty if it has none.
    #[must_use]
    pub fn registry(&self) -> &Arc<str> {
        &self.registry
    }

    /// Why the registry cannot be heard at present; `None` while it confirms the list.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.borrow().clone()
    }

    /// Follows [`trouble`](Self::trouble); may outlive the subscription. Waiting for a change fails
    /// once the registry is no longer watched, and at once where it is not known.
    #[must_use]
    pub fn watch_trouble(&self) -> LatestReader<Option<Trouble>> {
        self.trouble.clone()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("registry", &self.registry)
            .field("latest", &*self.snapshots.borrow())
            .field("trouble", &*self.trouble.borrow())
            .finish()
    }
}
