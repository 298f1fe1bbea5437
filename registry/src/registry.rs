//! The contract of every registry, as its users see it; a new one implements [`Backend`](crate::Backend).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rpc_core::{Error, Instance, ServiceKey, Subscription};

use crate::check::Diagnosis;
use crate::config_center::ConfigCenter;
use crate::listed_consumer::ListedConsumer;
use crate::registration::Registration;

/// A place where providers are listed.
///
/// A registry that is down is not an error: registrations and subscriptions are accepted and
/// completed when it answers. One that answers and rejects our credentials is an error at set-up
/// ([`Error::is_refused`]); if it does so later, they are kept and tried again. All methods need a
/// tokio runtime.
///
/// A registry of one's own is written as a [`Backend`](crate::Backend), which gets all of this by
/// [`supervise`](crate::supervise); implementing this trait directly is for registries that are made
/// of others.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), rpc_core::Error> {
/// use rpc_core::{Instance, ServiceKey, Source};
///
/// let registry = dubhe_registry::connect("memory://contract")?;
/// let stock = ServiceKey::new("shop.Stock");
/// let mut following = registry.subscribe(&stock).await?;
/// assert!(following.latest().instances.is_empty());
///
/// let instance = Instance::new(stock.clone(), "10.0.0.1:20880", "start-1");
/// let registration = registry.register(instance).await?;
/// let list = following.next().await.expect("the registry was not shut down");
/// assert_eq!((list.instances.len(), list.source), (1, Source::Live));
///
/// assert_eq!(registry.services().await?, [stock]);
/// registration.unregister().await?;
/// registry.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Registry: fmt::Debug + Send + Sync + 'static {
    /// Its address for people, without password.
    fn address(&self) -> String;

    /// Lists `instance` and keeps it listed while the guard lives. Waits for the confirmation, at
    /// most 1 s and only while the registry answers.
    ///
    /// # Errors
    /// The instance holds what no registry takes (control characters, an address that is not
    /// `host:port`), or what this one cannot register; the registry refuses us, or was shut down.
    ///
    /// # Cancel safety
    /// Dropping the future takes the instance off the list again, as dropping the guard does.
    async fn register(&self, instance: Instance) -> Result<Registration, Error>;

    /// Follows the list of `service`. Begins with the registry's list if it answers within 1 s,
    /// else with the disk cache's, else with a pending one.
    ///
    /// # Errors
    /// The registry rejects our credentials and there is no list on disk, or it was shut down.
    ///
    /// # Cancel safety
    /// Dropping the future ends the subscription.
    async fn subscribe(&self, service: &ServiceKey) -> Result<Subscription, Error>;

    /// The instances of `service` now, for tools.
    ///
    /// # Errors
    /// The registry does not answer.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    async fn list(&self, service: &ServiceKey) -> Result<Vec<Instance>, Error>;

    /// Every service that has an instance now, sorted, for tools.
    ///
    /// # Errors
    /// The registry does not answer.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    async fn services(&self) -> Result<Vec<ServiceKey>, Error>;

    /// The consumers of `service` now, sorted, for tools; `None` if it does not keep who they are, which is the
    /// default.
    ///
    /// # Errors
    /// The registry does not answer.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    async fn consumers(&self, service: &ServiceKey) -> Result<Option<Vec<ListedConsumer>>, Error> {
        let _ = service;
        Ok(None)
    }

    /// Whether only programs of this machine share it, so that its address names no host: providers
    /// then listen on loopback unless configured otherwise. The default is `false`.
    fn is_local(&self) -> bool {
        false
    }

    /// The texts that people keep in it for programs, such as rules, over the same session; `None`
    /// if it keeps none, which is the default.
    fn config_center(&self) -> Option<Arc<dyn ConfigCenter>> {
        None
    }

    /// Looks at everything between this machine and the registry, for tools: the names and ports of its
    /// servers, whether they are what they should be, our credentials, their clocks, and what stands in
    /// the registry. Opens sessions of its own; a registry that is dead takes less than 10 s.
    ///
    /// By default it asks for the [`services`](Self::services) alone.
    ///
    /// # Cancel safety
    /// Dropping the future closes its sessions.
    async fn diagnose(&self) -> Vec<Diagnosis> {
        let address = self.address();
        match self.services().await {
            Ok(_) => vec![Diagnosis::ok("session", &address, "it answers")],
            Err(error) => {
                let remedy = "do what the cause says";
                vec![Diagnosis::of_error("session", &address, (&address, &error), remedy)]
            }
        }
    }

    /// Takes every instance off the lists and ends all subscriptions; waits at most 3 s, and 1 s more for the end
    /// of the session.
    ///
    /// # Cancel safety
    /// Dropping the future stops the unregistering; what is left goes when its lease ends.
    async fn shutdown(&self);
}
