//! The settings: plain structs with one `impl Default` each, listed in `docs/configuration.md`; a
//! test compares the two.
//!
//! A new key is one field here. The loader knows where a value comes from, and the files beside
//! this folder say what is in force for a service or a method.

mod address;
mod consumer;
mod ejection;
mod instances;
mod provider;
mod registry;
mod secret;
mod selector;
mod value;

use rpc_core::ServiceKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::address::{AdvertisedAddress, HostName, ParseAddressError, RegistryAddress};
pub use self::consumer::{
    CallOverrides, CallScope, ConsumerConfig, ConsumerLimits, MethodOverrides, RetryBudgetConfig,
    ServiceOverrides,
};
pub use self::ejection::EjectionSettings;
pub use self::instances::InstanceRule;
pub use self::provider::{
    Gate, HandlerOverrides, InstanceOverrides, ProtocolNames, ProviderConfig, ProviderLimits,
};
pub(super) use self::registry::{AddressPlace, RegistryEntry};
pub use self::registry::{RegistryAddresses, RegistryConfig};
pub use self::secret::Secret;
pub use self::selector::Selector;
use super::loader::{ANY, Key, Repeated, Sections};

/// The scheme of registries inside this process.
const OWN: &str = "memory";

/// Every section.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tree {
    pub(super) application: ApplicationConfig,
    pub(super) registry: RegistryConfig,
    pub(super) provider: ProviderConfig,
    pub(super) consumer: ConsumerConfig,
}

/// `[application]`: whose process this is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ApplicationConfig {
    /// Name of the application, as registries and peers show it. Default: none.
    pub name: String,
}

impl Sections for Tree {
    const REPEATED: Option<Repeated> =
        Some(Repeated { section: "registry", key: "address", own: &["token", "zone"] });

    fn example() -> Self {
        let mut example = Self::default();
        let rule = || InstanceRule {
            metadata: [(ANY.to_owned(), String::new())].into(),
            ..InstanceRule::default()
        };
        let any = ServiceOverrides {
            methods: [(ANY.to_owned(), MethodOverrides::default())].into(),
            instances: [(ANY.to_owned(), rule())].into(),
            ..ServiceOverrides::default()
        };
        let own = InstanceOverrides {
            methods: [(ANY.to_owned(), HandlerOverrides::default())].into(),
            ..InstanceOverrides::default()
        };
        example.provider.services.insert(ServiceKey::new(ANY), own);
        example.consumer.instances.insert(ANY.to_owned(), rule());
        example.provider.metadata.insert(ANY.to_owned(), String::new());
        example.consumer.services.insert(ServiceKey::new(ANY), any);
        example
    }

    /// Whether a setting in code is a registry inside this process, which no other source replaces.
    fn stays(key: &Key, value: &Value) -> bool {
        if *key != Key::dotted("registry.address") {
            return false;
        }
        // An unreadable value is an error elsewhere.
        let addresses: RegistryAddresses =
            serde_json::from_value(value.clone()).unwrap_or_default();
        !addresses.is_empty() && addresses.iter().all(|address| address.scheme() == OWN)
    }
}
