//! Configuration: one typed tree, filled from code, file and environment.
//!
//! Sources, the weakest first: defaults, the attribute on the trait, the builder, the file
//! (`DUBHE_CONFIG`, or `dubhe.toml`), the environment (`DUBHE_CONSUMER__CODEC=json`), arguments of
//! a tool. A call's own options override all of these and are not part of this module. A registry
//! `memory://` in the builder is replaced only by arguments. Keys, defaults and rules are in
//! `docs/configuration.md`.
//!
//! There are three floors: `loader/` reads values from sources and remembers where each comes from,
//! without knowing the settings; `sections/` has the settings as plain structs; the files here say
//! what is in force for a service or a method. The caller, which has the extensions, checks whether
//! a name exists, through [`Config::check_extensions`].

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
