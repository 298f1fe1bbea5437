//! A consumer's overrides of single instances, whatever they publish.

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster::publishes_disabled;
use rpc_core::{Instance, ServiceKey};

use super::in_force::Config;
use super::loader::{Key, Setting};
use super::sections::InstanceRule;

/// A consumer's overrides of the instances of a service; the strongest rule first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct InstanceRules(Arc<[BTreeMap<String, InstanceRule>]>);

impl InstanceRules {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The instance with its overrides; `None` if it is disabled, by a rule or as it publishes.
    pub(crate) fn apply(&self, mut instance: Instance) -> Option<Instance> {
        let rules: Vec<&InstanceRule> = self.of(&instance.address).collect();
        let published = || publishes_disabled(&instance);
        if rules.iter().find_map(|rule| rule.disabled).unwrap_or_else(published) {
            return None;
        }
        if let Some(weight) = rules.iter().find_map(|rule| rule.weight) {
            instance.weight = weight;
        }
        if rules.iter().any(|rule| !rule.metadata.is_empty()) {
            let mut metadata = (*instance.metadata).clone();
            let weakest_first = rules.iter().rev().flat_map(|rule| &rule.metadata);
            metadata.extend(weakest_first.map(|(key, value)| (key.clone(), value.clone())));
            instance.metadata = metadata.into();
        }
        Some(instance)
    }

    /// The rules for `address`: of each section the one for the port before the one for the host.
    fn of<'a>(&'a self, address: &'a str) -> impl Iterator<Item = &'a InstanceRule> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        self.0
            .iter()
            .flat_map(move |rules| [rules.get(address), rules.get(host)].into_iter().flatten())
    }
}

impl Config {
    /// The overrides for the instances of `service`: by its whole key, its interface, and in
    /// general.
    pub(crate) fn instance_rules(&self, service: &ServiceKey) -> InstanceRules {
        let interface = ServiceKey::new(service.interface());
        let own =
            [service, &interface].into_iter().filter_map(|key| self.consumer.services.get(key));
        let own = own.map(|service| &service.instances);
        let all = own.chain([&self.consumer.instances]);
        InstanceRules(all.filter(|rules| !rules.is_empty()).cloned().collect())
    }

    /// The setting that disables the instance of `service` at `address`, if one does.
    pub(crate) fn disables(&self, service: &ServiceKey, address: &str) -> Option<Setting> {
        let consumer = Key::of(["consumer"]);
        let interface = ServiceKey::new(service.interface());
        let own = [service, &interface].into_iter().filter_map(|key| {
            let section = consumer.child("services").child(key.as_str());
            Some((section, &self.consumer.services.get(key)?.instances))
        });
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let mut all = own.chain([(consumer.clone(), &self.consumer.instances)]);
        let (key, disabled) = all.find_map(|(section, rules)| {
            let of = |name: &str| Some((section.child("instances").child(name), rules.get(name)?));
            let mut found = [address, host].into_iter().filter_map(of);
            found.find_map(|(key, rule)| Some((key.child("disabled"), rule.disabled?)))
        })?;
        let (shown, origin) = (key.to_string(), self.origins.of(&key).clone());
        disabled.then(|| Setting { key: shown, value: "true".to_owned(), origin })
    }
}

#[cfg(test)]
mod tests {
    use cluster::DISABLED;

    use super::*;
    use crate::config::{Layer, Sources};

    fn rules(settings: &[(&str, serde_json::Value)]) -> InstanceRules {
        let set =
            |layer: Layer, (key, value): &(&str, serde_json::Value)| layer.set(key, value.clone());
        let builder = settings.iter().fold(Layer::new(), set);
        let config = Config::load(Sources { builder, ..Sources::default() }).unwrap();
        config.instance_rules(&ServiceKey::with_parts("shop.Stock", "", "2"))
    }

    fn instance(address: &str) -> Instance {
        let mut instance = Instance::new(ServiceKey::new("shop.Stock"), address, "id");
        instance.metadata = BTreeMap::from([("zone".to_owned(), "east".to_owned())]).into();
        instance
    }

    #[test]
    fn an_instance_is_taken_for_what_the_nearest_rule_says() {
        let rules = rules(&[
            ("consumer.instances.\"10.0.0.1\".weight", 10.into()),
            ("consumer.instances.\"10.0.0.1:7\".weight", 20.into()),
            ("consumer.services.\"shop.Stock\".instances.\"10.0.0.1\".metadata.tag", "gray".into()),
            ("consumer.services.\"shop.Stock:2\".instances.\"10.0.0.1:8\".weight", 30.into()),
        ]);
        let taken = |address: &str| rules.apply(instance(address)).unwrap();
        assert_eq!([7, 8, 9].map(|port| taken(&format!("10.0.0.1:{port}")).weight), [20, 30, 10]);
        let tagged = taken("10.0.0.1:7").metadata;
        assert_eq!((&*tagged["tag"], &*tagged["zone"]), ("gray", "east"));
        assert_eq!(taken("10.0.0.2:7"), instance("10.0.0.2:7"));
    }

    #[test]
    fn a_disabled_instance_gets_no_call_unless_a_nearer_rule_lets_it() {
        let rules = rules(&[
            ("consumer.instances.\"10.0.0.1\".disabled", true.into()),
            ("consumer.instances.\"10.0.0.1:7\".disabled", false.into()),
        ]);
        assert_eq!(rules.apply(instance("10.0.0.1:8")), None);
        assert!(rules.apply(instance("10.0.0.1:7")).is_some());
    }

    #[test]
    fn an_instance_that_publishes_that_it_is_disabled_gets_no_call_unless_a_rule_lets_it() {
        let mut closed = instance("10.0.0.1:7");
        closed.metadata = BTreeMap::from([(DISABLED.to_owned(), "true".to_owned())]).into();
        assert_eq!(InstanceRules::default().apply(closed.clone()), None);
        let rules = rules(&[("consumer.instances.\"10.0.0.1\".disabled", false.into())]);
        assert!(rules.apply(closed).is_some());
    }
}
