//! What every registry is to those who use it.

use std::fmt;

use async_trait::async_trait;
use rpc_core::{Error, Instance, ServiceKey, Subscription};

use crate::registration::Registration;

/// A place where providers are listed.
///
/// A registry that is away is no error: registrations and subscriptions are taken on and made good
/// as soon as it answers. One that answers and refuses us, as by a wrong token, is an error when they
/// are set up ([`Error::is_refused`]); if it begins to later, they are kept and tried again. All methods need a tokio runtime.
#[async_trait]
pub trait Registry: fmt::Debug + Send + Sync + 'static {
    /// Its address for people, without password.
    fn address(&self) -> String;

    /// Lists `instance` and keeps it listed while the guard lives. Waits for the confirmation, at
    /// most 1 s and only while the registry answers.
    ///
    /// # Errors
    /// The instance holds what no registry takes (control characters, an address that is not
    /// `host:port`); the registry refuses us, or was shut down.
    async fn register(&self, instance: Instance) -> Result<Registration, Error>;

    /// Follows the list of `service`. Begins with the registry's list if it answers within 1 s,
    /// else with the disk cache's, else with a pending one.
    ///
    /// # Errors
    /// The registry refuses us and there is no list on disk, or it was shut down.
    async fn subscribe(&self, service: &ServiceKey) -> Result<Subscription, Error>;

    /// The instances of `service` now, for tools.
    ///
    /// # Errors
    /// The registry does not answer.
    async fn list(&self, service: &ServiceKey) -> Result<Vec<Instance>, Error>;

    /// Every service that has an instance now, sorted, for tools.
    ///
    /// # Errors
    /// The registry does not answer.
    async fn services(&self) -> Result<Vec<ServiceKey>, Error>;

    /// Whether only programs of this machine share it, so that its address names no host: providers
    /// then listen on loopback, unless they are told otherwise. By default it is not.
    fn is_local(&self) -> bool {
        false
    }

    /// Takes every instance off the lists and ends all subscriptions; waits at most 3 s.
    async fn shutdown(&self);
}
