//! Configuration: one typed tree, filled from code, file and environment.
//!
//! Weakest first: defaults, the attribute on the trait, the builder, the file (`DUBHE_CONFIG`, else
//! `dubhe.toml`), the environment (`DUBHE_CONSUMER__CODEC=json`), arguments of a tool. A call's own options are stronger
//! than all and are no part of this. A registry `memory://` that the builder names is replaced by arguments alone. Keys, defaults and rules are in `docs/configuration.md`.
//!
//! Three floors: `loader/` makes values of sources and keeps where each comes from, whatever can be set;
//! `sections/` are what can be set, plain structs; the files here answer what is in force for a service or
//! a method. What a name means (which codecs exist) is left to the caller, who has the extensions, through
//! [`Config::check_extensions`].

mod extension_names;
mod handlers;
mod in_force;
mod instances;
mod live;
mod loader;
mod method;
mod registries;
mod sections;

#[cfg(test)]
mod tests;

pub use self::extension_names::{Kind, LeftOut};
pub use self::in_force::Config;
pub(crate) use self::instances::InstanceRules;
pub(crate) use self::loader::Overruled;
pub use self::loader::{ConfigFile, Layer, Origin, Setting, Sources, Strength};
pub use self::method::{Decided, MethodConfig, MethodDefaults};
pub use self::sections::{
    AdvertisedAddress, ApplicationConfig, CallOverrides, CallScope, ConsumerConfig, ConsumerLimits,
    EjectionSettings, Gate, HandlerOverrides, HostName, InstanceOverrides, InstanceRule,
    MethodOverrides, ParseAddressError, ProtocolNames, ProviderConfig, ProviderLimits,
    RegistryAddress, RegistryAddresses, RegistryConfig, RetryBudgetConfig, Secret, Selector,
    ServiceOverrides,
};
pub use rpc_core::{AccessLog, TraceForwarding};
