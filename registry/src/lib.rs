//! Where providers are listed: one contract, and every registry behind it.
//!
//! A [`Registry`] registers [`Instance`](rpc_core::Instance)s and lets consumers follow complete lists
//! of them. The scheme of an address chooses one:
//!
//! | address | registry | for |
//! | --- | --- | --- |
//! | `dev://`, `dev://name` | [`Dev`](embedded::Dev): one of the providers hosts it | development on one machine |
//! | `dubhe://host:port` | [`Dubhe`](embedded::Dubhe), a client of an [`EmbeddedServer`](embedded::EmbeddedServer) | small teams |
//! | `dns://name:port` | `Dns`: the records of a name (feature `dns`) | headless services, plain networks |
//! | `etcd://host:port,…` | `Etcd`: etcd, in the layout of dubbo-go (feature `etcd`) | fleets that run etcd |
//! | `nacos://host:port,…` | `Nacos`: Nacos 2 and 3 (feature `nacos`) | fleets that run Nacos |
//! | `static://host:port,…` | [`Fixed`]: a list in the address | providers that never move |
//! | `memory://name` | [`Memory`]: inside this process | tests |
//! | `zookeeper://host:port,…` | `ZooKeeper`: ZooKeeper, in Dubbo's layout (feature `zookeeper`) | fleets that run ZooKeeper |
//!
//! The parts that all registries share exist once, in [`supervise`]: sessions that are opened again,
//! backoff, repair and the disk cache. So a new registry is a [`Backend`] in one file and one line in
//! [`builtin`]; a program outside of this crate adds its own to a consumer or provider instead.
//!
//! A registry that is down is not an error here: the last list stays, and whatever was to be
//! registered is registered once the registry answers. This crate never sees a call and never connects
//! to a provider. [`rpc_core::hold`] decides how far a list that shrank is believed, because that takes
//! the connections to its instances.
//!
//! # Example
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), rpc_core::Error> {
//! use rpc_core::{Instance, ServiceKey};
//!
//! let registry = dubhe_registry::connect("memory://shop")?;
//! let stock = ServiceKey::new("shop.Stock");
//! let listed = registry.register(Instance::new(stock.clone(), "10.0.0.1:20880", "start-1")).await?;
//! let subscription = registry.subscribe(&stock).await?;
//! assert_eq!(&*subscription.latest().instances[0].address, "10.0.0.1:20880");
//! listed.unregister().await?;
//! # Ok(())
//! # }
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod backend;
mod cache;
mod check;
mod config;
mod config_center;
mod diagnosis;
mod disk_turns;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "_dubbo")]
mod dubbo;
pub mod embedded;
#[cfg(feature = "etcd")]
mod etcd;
mod fixed;
#[cfg(feature = "_grpc")]
mod grpc;
#[cfg(feature = "nacos")]
mod joint_work;
mod listed_consumer;
mod lock;
mod memory;
#[cfg(feature = "nacos")]
mod nacos;
mod newest;
mod off_thread;
mod recover;
mod registration;
mod registry;
mod several;
mod sound;
#[cfg(feature = "_tls")]
mod tls;
mod url;
#[cfg(feature = "zookeeper")]
mod zookeeper;

use std::sync::Arc;

use rpc_core::{Error, ExtensionPoint, Params};

pub use self::backend::{Backend, Demand, Listing, Session, Updates};
pub use self::check::{CheckResult, Diagnosis};
pub use self::config::RegistryParams;
pub use self::config_center::{
    ConfigCenter, ConfigSession, ConfigUpdates, ConfigValue, ConfigWatch, OVERRIDES,
};
pub use self::diagnosis::reach;
#[cfg(feature = "dns")]
pub use self::dns::Dns;
#[cfg(feature = "etcd")]
pub use self::etcd::Etcd;
pub use self::fixed::Fixed;
pub use self::listed_consumer::ListedConsumer;
pub use self::memory::Memory;
#[cfg(feature = "nacos")]
pub use self::nacos::Nacos;
pub use self::recover::{Pace, supervise};
pub use self::registration::Registration;
pub use self::registry::Registry;
pub use self::several::several;
pub use self::url::{Host, RegistryUrl, redacted};
#[cfg(feature = "zookeeper")]
pub use self::zookeeper::ZooKeeper;

/// The registries of this crate, by scheme.
///
/// ```
/// let schemes: Vec<_> = dubhe_registry::builtin().names().collect();
/// assert!(["dev", "dubhe", "memory", "static"].iter().all(|scheme| schemes.contains(scheme)));
/// ```
#[must_use]
pub fn builtin() -> ExtensionPoint<dyn Registry> {
    let registries = ExtensionPoint::new("registry")
        .without(&["consul", "redis"])
        .by_feature(&["dns", "etcd", "nacos", "zookeeper"])
        .also_called(&ALIASES)
        .with::<embedded::Dev>()
        .with::<embedded::Dubhe>()
        .with::<Fixed>()
        .with::<Memory>();
    #[cfg(feature = "dns")]
    let registries = registries.with::<Dns>();
    #[cfg(feature = "etcd")]
    let registries = registries.with::<Etcd>();
    #[cfg(feature = "nacos")]
    let registries = registries.with::<Nacos>();
    #[cfg(feature = "zookeeper")]
    let registries = registries.with::<ZooKeeper>();
    registries
}

/// Schemes that other programs have for registries. `http://` is how clients of etcd write its servers.
const ALIASES: [(&str, &str); 8] = [
    ("etcdv3", "etcd"),
    ("http", "etcd"),
    ("https", "etcd"),
    ("k8s", "dns"),
    ("kubernetes", "dns"),
    ("nacos3", "nacos"),
    ("zk", "zookeeper"),
    ("zks", "zookeeper"),
];

/// Makes the built-in registry at `url`, without disk cache; nothing is connected before first use.
///
/// # Errors
/// A malformed address, an unknown scheme or parameter.
///
/// ```
/// let unknown = dubhe_registry::connect("dvv://").unwrap_err().to_string();
/// assert!(unknown.contains("did you mean `dev`?"), "{unknown}");
/// let short = dubhe_registry::connect("zk://10.0.0.1").unwrap_err().to_string();
/// assert!(short.contains("did you mean `zookeeper`?"), "{short}");
/// ```
pub fn connect(url: &str) -> Result<Arc<dyn Registry>, Error> {
    open(&builtin(), &RegistryParams::new(url))
}

/// Makes the registry that `config` describes; its scheme is looked up among `registries`.
///
/// Nothing is connected before first use. A table with a program's own registries is
/// [`builtin`]`().with::<Mine>()`.
///
/// # Errors
/// A malformed address, an unknown scheme or parameter.
pub fn open(
    registries: &ExtensionPoint<dyn Registry>,
    config: &RegistryParams,
) -> Result<Arc<dyn Registry>, Error> {
    let url = RegistryUrl::parse(&config.url)?;
    let mut params = Params::new();
    params.insert("url".to_owned(), config.url.as_str().into());
    for (key, dir) in [("cache_dir", &config.cache_dir), ("runtime_dir", &config.runtime_dir)] {
        if let Some(dir) = dir {
            let text = dir.to_str().ok_or_else(|| {
                Error::invalid_config(format!("{key} `{}` is not UTF-8", dir.display()))
            })?;
            params.insert(key.to_owned(), text.into());
        }
    }
    let texts =
        [("token", &config.token), ("application", &config.application), ("zone", &config.zone)];
    for (key, text) in texts {
        if let Some(text) = text {
            params.insert(key.to_owned(), text.as_str().into());
        }
    }
    registries.build(&url.scheme, params)
}
