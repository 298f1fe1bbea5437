//! The guard of a registration: the instance stays listed for as long as it lives.

use std::fmt;
use std::time::Duration;

use rpc_core::{Error, Instance};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::sound;

/// How long [`Registration::unregister`] waits for the registry.
const UNREGISTER_LIMIT: Duration = Duration::from_secs(3);

/// The state that a registration's task has to bring about.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    Listed(Instance),
    Gone,
}

/// Keeps an instance registered; a task of its own registers it again after every loss.
///
/// Dropping it takes the instance off the list too, in the background.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), rpc_core::Error> {
/// use rpc_core::{Instance, ServiceKey};
///
/// let registry = dubhe_registry::connect("memory://registration")?;
/// let stock = ServiceKey::new("shop.Stock");
/// let instance = Instance::new(stock.clone(), "10.0.0.1:20880", "start-1");
/// let listed = registry.register(instance.clone()).await?;
///
/// // Empties the instance before it stops.
/// listed.update(Instance { weight: 0, ..instance })?;
/// listed.watch().wait_for(|is_registered| *is_registered).await.expect("it is open");
/// # while registry.list(&stock).await?[0].weight != 0 { tokio::task::yield_now().await }
/// assert_eq!(registry.list(&stock).await?[0].weight, 0);
/// listed.unregister().await?;
/// assert!(registry.list(&stock).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it unregisters the instance"]
pub struct Registration {
    wanted: watch::Sender<Wanted>,
    registered: watch::Receiver<bool>,
    outcome: oneshot::Receiver<Result<(), Error>>,
    _tasks: Box<dyn Send + Sync>,
}

impl Registration {
    pub(crate) fn new(
        wanted: watch::Sender<Wanted>,
        registered: watch::Receiver<bool>,
        outcome: oneshot::Receiver<Result<(), Error>>,
        tasks: impl Send + Sync + 'static,
    ) -> Self {
        Self { wanted, registered, outcome, _tasks: Box::new(tasks) }
    }

    /// Replaces the listed instance, in the background. The newest one is what is registered again
    /// after a loss.
    ///
    /// # Errors
    /// The instance is of another service or holds something that no registry accepts; or the
    /// registry was shut down.
    pub fn update(&self, instance: Instance) -> Result<(), Error> {
        if let Wanted::Listed(current) = &*self.wanted.borrow()
            && current.service != instance.service
        {
            return Err(Error::invalid_config(format!(
                "a registration of `{}` cannot become one of `{}`, register that one too",
                current.service, instance.service
            )));
        }
        sound::check_registrable(&instance)?;
        let sent = self.wanted.send(Wanted::Listed(instance));
        sent.map_err(|_| {
            Error::closed(
                "the registry was shut down, or the runtime has ended in which this was registered: \
                 register again",
            )
        })
    }

    /// Whether the registry has confirmed the instance within the present session.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        // What was confirmed says nothing any more once nobody keeps it.
        *self.registered.borrow() && self.registered.has_changed().is_ok()
    }

    /// A receiver that follows [`is_registered`](Self::is_registered).
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.registered.clone()
    }

    /// Takes the instance off the list and waits for the registry's answer, at most 3 s.
    ///
    /// # Errors
    /// The registry is away, or was shut down before it answered, or the runtime has ended in which it was registered; the
    /// instance then leaves the list once the registry is back, or when its lease runs out.
    ///
    /// # Cancel safety
    /// The instance is unregistered even if the future is dropped.
    pub async fn unregister(self) -> Result<(), Error> {
        self.wanted.send_replace(Wanted::Gone);
        match timeout(UNREGISTER_LIMIT, self.outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::closed(
                "the registry was shut down before it answered, or the runtime has ended in which this was \
                 registered: the instance leaves the list when its lease runs out",
            )),
            Err(_) => Err(Error::unreachable(
                "the registry did not confirm within 3 s that the instance is off its list",
            )),
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("wanted", &*self.wanted.borrow())
            .field("is_registered", &*self.registered.borrow())
            .finish()
    }
}
