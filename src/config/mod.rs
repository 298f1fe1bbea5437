//! Configuration: one typed tree, filled from code, file and environment.
//!
//! Weakest first: defaults, the attribute on the trait, the builder, the file (`DUBHE_CONFIG`, else
//! `dubhe.toml`), the environment (`DUBHE_CONSUMER__CODEC=json`), arguments of a tool. A call's own options are stronger
//! than all and are no part of this. A registry `memory://` that the builder names is replaced by arguments alone. Keys, defaults and rules are in `docs/configuration.md`.
//!
//! Every source becomes a [`Layer`]; [`Config::load`] checks each setting by itself, so that an
//! error names its place, and merges them. What a name means (which codecs exist) is left to
//! whoever has the extensions, through [`Config::check_extensions`].

mod address;
mod consumer;
mod ejection;
mod environment;
mod file;
mod instances;
mod key;
mod layer;
mod live;
mod load;
mod method;
mod names;
mod origin;
mod overruled;
mod places;
mod process;
mod provider;
mod registry;
mod schema;
mod selector;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub use self::address::{AdvertisedAddress, HostName, ParseAddressError, RegistryAddress};
pub use self::consumer::{
    CallOverrides, CallScope, ConsumerConfig, ConsumerLimits, MethodOverrides, RetryBudgetConfig,
    ServiceOverrides,
};
pub use self::ejection::EjectionSettings;
pub use self::file::ConfigFile;
pub use self::instances::InstanceRule;
pub(crate) use self::instances::InstanceRules;
pub use self::layer::Layer;
pub use self::load::Sources;
pub use self::method::{Decided, MethodConfig, MethodDefaults};
pub use self::names::{Kind, LeftOut};
pub use self::origin::{Origin, Setting, Strength};
pub(crate) use self::overruled::Overruled;
pub use self::provider::{
    Gate, HandlerOverrides, InstanceOverrides, ProtocolNames, ProviderConfig, ProviderLimits,
};
pub use self::registry::{RegistryAddresses, RegistryConfig};
pub use self::selector::Selector;
pub use self::tree::{ApplicationConfig, Config, Secret};
pub use rpc_core::{AccessLog, TraceForwarding};
