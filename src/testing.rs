//! Providers and consumers for tests, isolated from everything outside of the test.
//!
//! They meet in a private registry in this process, take a free port on loopback and shut down
//! without a notice period. They read no configuration file and no environment variable, so a
//! `dubhe.toml` in the working directory changes nothing.
//!
//! [`serve`] is a provider and a consumer of it in one call:
//!
//! ```
//! use dubhe::prelude::*;
//!
//! #[dubhe::service]
//! trait Greeter {
//!     #[rpc(idempotent)]
//!     async fn hello(&self, name: String) -> Result<String>;
//! }
//!
//! struct Me;
//!
//! impl Greeter for Me {
//!     async fn hello(&self, name: String) -> Result<String> {
//!         Ok(format!("hi {name}"))
//!     }
//! }
//!
//! // In a program's tests this is `#[tokio::test]`.
//! # #[tokio::main]
//! # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! let pair = dubhe::testing::serve(GreeterServer::new(Me)).await?;
//! let greeter: GreeterClient = pair.client().await?;
//! assert_eq!(greeter.hello("bob".into()).await?, "hi bob");
//! # Ok(())
//! # }
//! ```
//!
//! A [`Sandbox`] makes the builders, for tests with settings, layers, several services or several
//! providers:
//!
//! ```
//! # use dubhe::prelude::*;
//! # #[dubhe::service]
//! # trait Greeter {
//! #     #[rpc(idempotent)]
//! #     async fn hello(&self, name: String) -> Result<String>;
//! # }
//! # struct Me(&'static str);
//! # impl Greeter for Me {
//! #     async fn hello(&self, name: String) -> Result<String> {
//! #         Ok(format!("{} greets {name}", self.0))
//! #     }
//! # }
//! # #[tokio::main]
//! # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! let sandbox = dubhe::testing::Sandbox::new();
//! let one = sandbox.provider().serve(GreeterServer::new(Me("one"))).start().await?;
//! let two = sandbox.provider().serve(GreeterServer::new(Me("two"))).start().await?;
//! let consumer = sandbox.consumer().set("consumer.loadbalance", "roundrobin").build()?;
//! let greeter: GreeterClient = consumer.client().await?;
//! assert!(greeter.hello("bob".into()).await?.ends_with("greets bob"));
//! one.shutdown().await;
//! assert_eq!(greeter.hello("bob".into()).await?, "two greets bob");
//! # drop(two);
//! # Ok(())
//! # }
//! ```

use protocols::DrainReport;
use rpc_core::Error;
use rpc_core::client::ServiceClient;
use rpc_core::server::Handler;

use crate::config::Sources;
use crate::consumer::{Consumer, ConsumerBuilder};
use crate::provider::{Provider, RunningProvider};

/// A private registry in this process, and builders of providers and consumers in it.
///
/// Settings of the builders count; file and environment do not.
#[derive(Debug, Clone)]
pub struct Sandbox {
    registry: String,
}

impl Sandbox {
    /// A new registry under a unique name; it ends with its last user.
    #[must_use]
    pub fn new() -> Self {
        Self { registry: format!("memory://sandbox-{}", uuid::Uuid::now_v7()) }
    }

    /// A provider in it: on a free port of loopback, with its full weight at once, shutting down
    /// without a notice period.
    pub fn provider(&self) -> Provider {
        Provider::new(&self.registry)
            .sources(Sources::default())
            .set("provider.port", 0)
            .set("provider.warmup", "0s")
            .set("provider.notice", "0s")
    }

    /// A consumer of the providers in it.
    pub fn consumer(&self) -> ConsumerBuilder {
        Consumer::new(&self.registry).sources(Sources::default())
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

/// A provider of `handler`, a generated server, and a consumer of it, in a [`Sandbox`] of their own.
///
/// # Errors
/// As [`Provider::start`], such as no free port; the settings cannot be wrong.
///
/// # Cancel safety
/// Dropping the future closes the provider again.
pub async fn serve(handler: impl Handler) -> Result<Pair, Error> {
    let sandbox = Sandbox::new();
    let provider = sandbox.provider().serve(handler).start().await?;
    let consumer = sandbox.consumer().build()?;
    Ok(Pair { consumer, provider, sandbox })
}

/// A provider and a consumer of it that [`serve`] has made; dropping it closes the provider.
#[derive(Debug)]
#[must_use = "the provider is closed when this is dropped"]
pub struct Pair {
    consumer: Consumer,
    provider: RunningProvider,
    sandbox: Sandbox,
}

impl Pair {
    /// A client of the provider; hold the pair as long as the client is used.
    ///
    /// # Errors
    /// As [`Consumer::client`].
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn client<C: ServiceClient>(&self) -> Result<C, Error> {
        self.consumer.client().await
    }

    /// The consumer, such as for its metrics.
    #[must_use]
    pub fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// The provider, such as for its address.
    pub fn provider(&self) -> &RunningProvider {
        &self.provider
    }

    /// The sandbox of the pair, for further providers and consumers.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Waits for running calls, within `provider.drain_timeout`, and closes the provider.
    ///
    /// # Cancel safety
    /// Dropping the future closes everything at once and cuts the calls that run.
    pub async fn shutdown(self) -> DrainReport {
        self.provider.shutdown().await
    }
}
