//! One item of a rule: for whom it is, under which conditions, and what it orders.

use std::collections::BTreeMap;
use std::sync::Arc;

use rpc_core::{Instance, ServiceKey};

use super::conditions::{ANY, ANY_HOST, AddressMatch, TextMatch, split};
use super::orders::Orders;

/// The side of a call that a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartySide {
    Consumer,
    Provider,
}

/// The weight that need not be published.
const WEIGHT: u32 = 100;

/// Who reads rules: what items are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) side: PartySide,
    /// Name of the application, or the empty string.
    pub(crate) application: String,
    /// The addresses of this machine that are known, without port.
    pub(crate) hosts: Vec<String>,
}

/// An item of a rule, for one host. Those that come of one place share what is the same in them: a rule may
/// have thousands of hosts, and as many providers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RuleItem {
    /// Its place in the text, such as `configs[0]`.
    pub(super) place: String,
    pub(super) is_enabled: bool,
    /// Whether it sets only what nothing else sets: `absent://`.
    pub(super) is_absent: bool,
    /// `None` for both, as in the older form.
    pub(super) side: Option<PartySide>,
    /// The host that it is for, or [`ANY_HOST`]: this machine.
    pub(super) host: String,
    /// Whether it has the older form, in which a host without a port is that of a consumer.
    pub(super) is_old: bool,
    /// The providers that it is for, as `host:port` or `host`; empty for all.
    pub(super) providers: Arc<[String]>,
    /// Empty, or [`ANY`], for all.
    pub(super) application: String,
    /// The whole key of a service, or [`ANY`].
    pub(super) service: String,
    pub(super) conditions: Arc<Conditions>,
    pub(super) orders: Arc<Orders>,
}

/// Further conditions; those that are absent hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Conditions {
    pub(super) host: Option<AddressMatch>,
    pub(super) provider: Option<AddressMatch>,
    pub(super) service: Option<Vec<TextMatch>>,
    pub(super) application: Option<Vec<TextMatch>>,
    /// On what a provider publishes.
    pub(super) published: BTreeMap<String, TextMatch>,
}

impl RuleItem {
    /// Whether it is for calls of `service` by `party`, or for what `party` serves of it, at some
    /// instance at least.
    pub(super) fn is_for(&self, party: &Party, service: &ServiceKey) -> bool {
        self.is_for_party(party)
            && is_named(&self.service, service.as_str())
            && any(self.conditions.service.as_deref(), service.as_str())
    }

    /// Whether it is for `party`, whatever service that calls or serves.
    pub(super) fn is_for_party(&self, party: &Party) -> bool {
        let hosts = || party.hosts.iter();
        let is_here = match (self.is_old, party.side) {
            (true, PartySide::Provider) => self.host == ANY_HOST,
            _ => self.host == ANY_HOST || hosts().any(|host| *host == self.host),
        };
        let Conditions { host, application, .. } = &*self.conditions;
        self.is_enabled
            && self.side.is_none_or(|side| side == party.side)
            && is_here
            && is_named(&self.application, &party.application)
            && host.as_ref().is_none_or(|own| hosts().any(|host| own.holds(host)))
            && any(application.as_deref(), &party.application)
    }

    /// Whether it is for every instance of a service that it is for.
    pub(super) fn is_for_all(&self) -> bool {
        let any = [ANY_HOST.to_owned(), format!("{ANY_HOST}:{ANY}")];
        let Conditions { provider, published, .. } = &*self.conditions;
        (self.providers.is_empty() || self.providers.iter().any(|one| any.contains(one)))
            && provider.as_ref().is_none_or(AddressMatch::is_any)
            && published.is_empty()
    }

    /// The instances that it is for, in words that keys of settings have: `*` for all.
    pub(super) fn instances_shown(&self) -> String {
        match (self.is_for_all(), &self.providers[..]) {
            (true, _) => ANY.to_owned(),
            (false, []) => format!("those of {}", self.place),
            (false, providers) => providers.join(","),
        }
    }

    /// Whether it is for this instance of a service that it is for.
    pub(super) fn fits(&self, instance: &Instance) -> bool {
        let Conditions { provider, published, .. } = &*self.conditions;
        let addresses = || std::iter::once(&instance.address).chain(instance.endpoints.values());
        (self.providers.is_empty()
            || addresses().any(|address| self.providers.iter().any(|one| is_at(one, address))))
            && provider.as_ref().is_none_or(|own| addresses().any(|address| own.holds(address)))
            && published.iter().all(|(key, own)| {
                published_by(instance, key).is_some_and(|value| own.holds(&value))
            })
    }
}

/// Whether `own` is meant by `name`.
fn is_named(name: &str, own: &str) -> bool {
    matches!(name, "" | ANY) || name == own
}

/// Whether one of the conditions holds, if there are any. An empty list holds for nothing, as in Dubbo.
fn any(conditions: Option<&[TextMatch]>, text: &str) -> bool {
    conditions.is_none_or(|all| all.iter().any(|one| one.holds(text)))
}

/// Whether the provider at `address` is meant by `named`.
fn is_at(named: &str, address: &str) -> bool {
    let (host, port) = split(address);
    match split(named) {
        _ if named == address => true,
        (ANY_HOST, None) => true,
        (ANY_HOST, own) => own == port,
        (own, None) => own == host,
        _ => false,
    }
}

/// What an instance publishes under `key`, in Dubbo's names. One of the weight that is meant without any
/// publishes none, and so a condition on it does not hold there.
fn published_by(instance: &Instance, key: &str) -> Option<String> {
    let Instance { service, application, weight, metadata, .. } = instance;
    let own = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    metadata.get(key).cloned().or_else(|| match key {
        "interface" => own(service.interface()),
        "group" => own(service.group()),
        "version" => own(service.version()),
        "remote.application" => own(application),
        "weight" => (*weight != WEIGHT).then(|| weight.to_string()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::override_url::read_all;
    use super::*;

    fn item(url: &str) -> RuleItem {
        read_all(&[json!(url)]).unwrap().items.remove(0)
    }

    #[test]
    fn in_the_older_form_a_host_without_a_port_is_that_of_a_consumer() {
        let party = |side| {
            let (application, hosts) = (String::new(), vec!["10.0.0.7".to_owned()]);
            Party { side, application, hosts }
        };
        for (url, at_consumer, at_provider) in [
            ("override://10.0.0.7/*?weight=7", true, false),
            ("override://10.0.0.7/*?weight=7&configVersion=v3.0", true, true),
            ("override://10.0.0.7:1/*?weight=7", true, true),
            ("override://0.0.0.0/*?weight=7", true, true),
        ] {
            let (item, service) = (item(url), ServiceKey::new("shop.Stock"));
            let sides = [PartySide::Consumer, PartySide::Provider];
            let found = sides.map(|side| item.is_for(&party(side), &service));
            assert_eq!(found, [at_consumer, at_provider], "{url}");
        }
    }

    #[test]
    fn an_instance_is_meant_by_any_of_its_addresses() {
        let mut instance = Instance::new(ServiceKey::new("shop.Stock"), "10.0.0.7:1", "start-1");
        instance.endpoints.insert("json".to_owned(), "10.0.0.7:2".into());
        for (port, fits) in [(1, true), (2, true), (3, false)] {
            let named = item(&format!("override://10.0.0.7:{port}/*?weight=7"));
            assert_eq!(named.fits(&instance), fits, "{port}");
            let mut matched = item("override://0.0.0.0/*?weight=7");
            let address = AddressMatch::Exact(format!("10.0.0.7:{port}"));
            let provider = Some(address);
            matched.conditions = Arc::new(Conditions { provider, ..Conditions::default() });
            assert_eq!(matched.fits(&instance), fits, "{port}");
        }
    }
}
