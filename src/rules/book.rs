//! The last good rule of each key, and what follows from all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use registry::OVERRIDES;
use rpc_core::{Instance, ServiceKey};
use serde_json::{Value, json};

use super::collected::Configurators;
use super::item::{Party, RuleItem};
use crate::config::{Layer, Origin, Setting};

/// What a rule is for; the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RuleScope {
    /// A service, as overrides beside its providers.
    Overrides,
    /// The whole application.
    Application,
    /// A service.
    Service,
}

impl RuleScope {
    /// The group in which it is kept.
    pub(super) const fn group(self) -> &'static str {
        match self {
            Self::Overrides => OVERRIDES,
            Self::Application | Self::Service => "dubbo",
        }
    }
}

/// Where a rule is kept, and what it is for. The order is that of strength.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RuleKey {
    pub(crate) scope: RuleScope,
    /// The service; `None` for a rule of the application.
    pub(crate) service: Option<ServiceKey>,
    /// The config centre, counted from the last, as the first is the strongest.
    pub(crate) rank: usize,
    /// Its key there, such as `shop.Stock::.configurators`.
    pub(crate) key: Arc<str>,
    /// The address of the config centre for people.
    pub(crate) centre: Arc<str>,
}

impl RuleKey {
    /// The origin of what it orders; `is_absent` if only where nothing else is set.
    fn origin(&self, is_absent: bool) -> Origin {
        Origin::ConfigCenter {
            rule: self.key.to_string(),
            address: self.centre.to_string(),
            is_of_service: self.service.is_some(),
            is_absent,
        }
    }
}

/// The last good rule of each key.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuleBook(BTreeMap<RuleKey, Arc<Configurators>>);

impl RuleBook {
    /// Replaces the rule of `key`, or takes it away.
    pub(crate) fn set(&mut self, key: &RuleKey, rule: Option<Arc<Configurators>>) {
        match rule {
            Some(rule) => self.0.insert(key.clone(), rule),
            None => self.0.remove(key),
        };
    }

    /// Forgets the rules of services of which `is_used` does not hold.
    pub(crate) fn retain(&mut self, is_used: impl Fn(&ServiceKey) -> bool) {
        self.0.retain(|key, _| key.service.as_ref().is_none_or(&is_used));
    }

    /// The rule of `key`.
    pub(crate) fn get(&self, key: &RuleKey) -> Option<&Arc<Configurators>> {
        self.0.get(key)
    }

    /// Every rule with its key, the weakest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RuleKey, &Arc<Configurators>)> {
        self.0.iter()
    }

    /// The keys that have a rule, the weakest first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &RuleKey> {
        self.0.keys()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rules of `service`: the items that are for it, the weakest first.
    fn items<'a>(
        &'a self,
        party: &'a Party,
        service: &'a ServiceKey,
    ) -> impl Iterator<Item = (&'a RuleKey, &'a RuleItem)> {
        let is_own = move |key: &RuleKey| key.service.as_ref().is_none_or(|own| own == service);
        let rules = self.0.iter().filter(move |(key, _)| is_own(key));
        let items = rules.flat_map(|(key, rule)| rule.items.iter().map(move |item| (key, item)));
        items.filter(move |(_, item)| item.is_for(party, service))
    }

    /// What follows for a consumer that calls `services`.
    pub(crate) fn for_calls<'a>(
        &self,
        party: &Party,
        services: impl IntoIterator<Item = &'a ServiceKey>,
    ) -> Effects {
        let mut effects = Effects::default();
        for service in services {
            let mut instances = Vec::new();
            for (key, item) in self.items(party, service) {
                if item.is_for_all() {
                    effects.order_calls(key, item, service);
                }
                if item.orders.weight.is_some() || item.orders.disabled.is_some() {
                    let (service, item, origin) =
                        (service.clone(), item.clone(), key.origin(false));
                    instances.push(InstanceOrder { service, item, origin });
                }
            }
            if !instances.is_empty() {
                effects.instances.insert(service.clone(), instances.into());
            }
        }
        effects
    }

    /// What follows for a provider of `instances`.
    pub(crate) fn for_instances<'a>(
        &self,
        party: &Party,
        instances: impl IntoIterator<Item = &'a Instance>,
    ) -> Effects {
        let mut effects = Effects::default();
        for instance in instances {
            let service = &instance.service;
            for (key, item) in self.items(party, service).filter(|(_, item)| item.fits(instance)) {
                let (weight, warmup) = (item.orders.weight, item.orders.warmup);
                let section = || path(["provider", "services", service.as_str()]);
                if let Some(weight) = weight {
                    effects.set(key, section(), "weight", json!(weight));
                }
                if let Some(warmup) = warmup {
                    effects.set(key, section(), "warmup", json!(format!("{warmup}ms")));
                }
                if let Some(disabled) = item.orders.disabled {
                    effects.set(key, section(), "disabled", json!(disabled));
                }
            }
        }
        effects
    }
}

/// What rules order, in a form that can be compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Effects {
    /// By the names of the key; later ones have replaced earlier ones.
    settings: BTreeMap<Vec<String>, (Value, Origin)>,
    /// The same of what is only for where nothing else is set. The earliest ones stay: to the later ones
    /// it is set.
    absent: BTreeMap<Vec<String>, (Value, Origin)>,
    /// Orders for instances of a service, the weakest first.
    instances: BTreeMap<ServiceKey, Arc<[InstanceOrder]>>,
}

impl Effects {
    /// The settings among them.
    pub(crate) fn layer(&self) -> Layer {
        let settings = self.absent.iter().chain(&self.settings);
        settings.fold(Layer::new(), |layer, (path, (value, origin))| {
            layer.ordered(path.iter().map(String::as_str), value.clone(), origin.clone())
        })
    }

    /// The orders for instances of `service`.
    pub(crate) fn instances(&self, service: &ServiceKey) -> Arc<[InstanceOrder]> {
        self.instances.get(service).cloned().unwrap_or_default()
    }

    fn order_calls(&mut self, key: &RuleKey, item: &RuleItem, service: &ServiceKey) {
        for ((method, name), value) in &item.orders.calls {
            let mut section = path(["consumer", "services", service.as_str()]);
            section.extend(method.iter().flat_map(|method| path(["methods", method])));
            match item.is_absent {
                true => {
                    section.push((*name).to_owned());
                    let first = || (value.clone(), key.origin(true));
                    self.absent.entry(section).or_insert_with(first);
                }
                false => self.set(key, section, name, value.clone()),
            }
        }
    }

    fn set(&mut self, key: &RuleKey, mut section: Vec<String>, name: &str, value: Value) {
        section.push(name.to_owned());
        self.settings.insert(section, (value, key.origin(false)));
    }
}

fn path<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).into()
}

/// What a rule orders for the instances that fit it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InstanceOrder {
    service: ServiceKey,
    item: RuleItem,
    origin: Origin,
}

impl InstanceOrder {
    /// The instance as `orders` have it; `None` if they disable it. Otherwise `by_settings` says
    /// what becomes of it.
    pub(crate) fn apply(
        orders: &[Self],
        instance: Instance,
        by_settings: impl FnOnce(Instance) -> Option<Instance>,
    ) -> Option<Instance> {
        let strongest = || orders.iter().rev().filter(|order| order.item.fits(&instance));
        let disabled = strongest().find_map(|order| order.item.orders.disabled);
        let weight = strongest().find_map(|order| order.item.orders.weight);
        let mut amended = match disabled {
            Some(true) => return None,
            // An order to call it is stronger than a setting not to.
            Some(false) => by_settings(instance.clone()).unwrap_or(instance),
            None => by_settings(instance)?,
        };
        amended.weight = weight.unwrap_or(amended.weight);
        Some(amended)
    }

    /// The order of `orders` that disables `instance`, as a setting.
    pub(crate) fn disabling(orders: &[Self], instance: &Instance) -> Option<Setting> {
        let mut found = orders.iter().rev().filter(|order| order.item.fits(instance));
        let found = found.find(|order| order.item.orders.disabled.is_some())?;
        let is_disabled = found.item.orders.disabled == Some(true);
        is_disabled.then(|| found.shown(&instance.address, "disabled", "true"))
    }

    /// Each order as a setting, for people.
    pub(crate) fn settings(orders: &[Self]) -> Vec<Setting> {
        let shown = |order: &Self| {
            let who = order.item.instances_shown();
            let weight = order.item.orders.weight.map(|weight| weight.to_string());
            let disabled = order.item.orders.disabled.map(|disabled| disabled.to_string());
            let all = [("weight", weight), ("disabled", disabled)];
            let all = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
            all.map(|(name, value)| order.shown(&who, name, &value)).collect::<Vec<_>>()
        };
        orders.iter().flat_map(shown).collect()
    }

    fn shown(&self, who: &str, name: &str, value: &str) -> Setting {
        let path = ["consumer", "services", self.service.as_str(), "instances", who, name];
        Setting::ordered(path, value, self.origin.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::PartySide;

    fn key(service: Option<&str>, rank: usize) -> RuleKey {
        let name = service.map_or_else(|| "till".to_owned(), |service| format!("{service}::"));
        RuleKey {
            scope: if service.is_some() { RuleScope::Service } else { RuleScope::Application },
            service: service.map(|service| service.parse().unwrap()),
            rank,
            key: format!("{name}.configurators").into(),
            centre: format!("zookeeper://{rank}").into(),
        }
    }

    fn book(rules: &[(RuleKey, Value)]) -> RuleBook {
        let mut book = RuleBook::default();
        for (key, rule) in rules {
            let rule = Configurators::parse(&rule.to_string()).unwrap();
            book.set(key, Some(Arc::new(rule)));
        }
        book
    }

    fn party(side: PartySide) -> Party {
        let (application, hosts) = ("till".to_owned(), vec!["10.0.0.7".to_owned()]);
        Party { side, application, hosts }
    }

    fn stock() -> ServiceKey {
        ServiceKey::with_parts("shop.Stock", "blue", "1.0.0")
    }

    fn instance(address: &str) -> Instance {
        let mut instance = Instance::new(stock(), address, "start-1");
        instance.metadata = Arc::new([("region".to_owned(), "hz".to_owned())].into());
        instance
    }

    /// A rule of one item for `blue/shop.Stock:1.0.0`, or with `item`'s own words for the whole.
    fn rule(item: Value, parameters: Value) -> Value {
        let mut item = item;
        let whole = item.as_object_mut().unwrap().remove("whole");
        item["parameters"] = parameters;
        item["side"] = item.get("side").cloned().unwrap_or_else(|| json!("consumer"));
        let mut rule =
            json!({ "configVersion": "v3.0", "key": stock().as_str(), "configs": [item] });
        for (key, value) in whole.iter().flat_map(|whole| whole.as_object().unwrap()) {
            rule[key] = value.clone();
        }
        rule
    }

    /// The settings that follow, as `key = value`.
    fn calls(book: &RuleBook) -> Vec<String> {
        let effects = book.for_calls(&party(PartySide::Consumer), [&stock()]);
        let shown = effects
            .settings
            .iter()
            .map(|(path, (value, _))| format!("{} = {value}", path[3..].join(".")));
        shown.collect()
    }

    /// Whether a rule with these conditions counts for the calls of the application `till` at
    /// 10.0.0.7.
    fn counts(item: Value) -> bool {
        let parameters = json!({ "timeout": 300 });
        !calls(&book(&[(key(Some("blue/shop.Stock:1.0.0"), 0), rule(item, parameters))])).is_empty()
    }

    #[test]
    fn an_item_counts_where_all_of_its_conditions_hold() {
        for (item, expected) in [
            (json!({}), true),
            (json!({ "side": "provider" }), false),
            (json!({ "whole": { "enabled": false } }), false),
            (json!({ "whole": { "enabled": false }, "type": "weight" }), true),
            (json!({ "enabled": false }), true),
            (json!({ "enabled": false, "type": "weight" }), false),
            (json!({ "whole": { "key": "shop.Stock:1.0.0" } }), false),
            (json!({ "whole": { "key": "*" } }), true),
            (json!({ "addresses": ["0.0.0.0"] }), true),
            (json!({ "addresses": ["10.0.0.8", "10.0.0.7"] }), true),
            (json!({ "addresses": ["10.0.0.8"] }), false),
            (json!({ "applications": ["till"] }), true),
            (json!({ "applications": ["*"] }), true),
            (json!({ "applications": ["web"] }), false),
            (json!({ "providerAddresses": ["0.0.0.0"] }), true),
            (json!({ "providerAddresses": ["0.0.0.0:*"] }), true),
            // For single instances there are no settings of calls.
            (json!({ "providerAddresses": ["10.0.0.5:20880"] }), false),
            (json!({ "match": { "address": { "wildcard": "10.0.*:*" } } }), true),
            (json!({ "match": { "address": { "cird": "10.0.0.0/29" } } }), true),
            (json!({ "match": { "address": { "exact": "10.0.0.8" } } }), false),
            (json!({ "match": { "providerAddress": { "wildcard": "*" } } }), true),
            (json!({ "match": { "service": { "oneof": [{ "exact": stock().as_str() }] } } }), true),
            (json!({ "match": { "service": { "oneof": [{ "prefix": "shop." }] } } }), false),
            (
                json!({ "match": { "app": { "oneof": [{ "exact": "web" }, { "prefix": "ti" }] } } }),
                true,
            ),
            (json!({ "match": { "app": { "oneof": [{ "exact": "web" }] } } }), false),
            (json!({ "match": { "app": { "oneof": [] } } }), false),
        ] {
            assert_eq!(counts(item.clone()), expected, "{item}");
        }
    }

    #[test]
    fn a_rule_of_an_application_is_for_the_services_that_it_names() {
        for (item, expected) in [
            (json!({}), true),
            (json!({ "services": ["*"] }), true),
            (json!({ "services": [stock().as_str()] }), true),
            (json!({ "services": ["shop.Cart"] }), false),
            (json!({ "whole": { "key": "web" } }), false),
        ] {
            let mut whole = json!({ "scope": "application", "key": "till" });
            for (key, value) in item["whole"].as_object().into_iter().flatten() {
                whole[key] = value.clone();
            }
            let mut item = item.clone();
            item["whole"] = whole;
            let rule = rule(item.clone(), json!({ "timeout": 300 }));
            let found = calls(&book(&[(key(None, 0), rule)]));
            assert_eq!(!found.is_empty(), expected, "{item}");
        }
    }

    #[test]
    fn parameters_become_settings_of_the_service_and_of_its_methods() {
        let parameters = json!({
            "timeout": "3000", "default.retries": -1, "reserve.retries": 3,
            "com.acme.reserve.timeout": 7, "loadbalance": "roundrobin", "cluster": "failfast",
        });
        let found =
            calls(&book(&[(key(Some("blue/shop.Stock:1.0.0"), 0), rule(json!({}), parameters))]));
        assert_eq!(
            found,
            [
                "cluster = \"failfast\"",
                "loadbalance = \"roundrobin\"",
                "methods.com.acme.reserve.timeout = \"7ms\"",
                "methods.reserve.retries = 3",
                "retries = 0",
                "timeout = \"3000ms\"",
            ]
        );
    }

    #[test]
    fn the_service_goes_before_the_application_and_the_first_config_centre_before_the_second() {
        let of_application = |timeout: u32| {
            let whole = json!({ "whole": { "scope": "application", "key": "till" } });
            rule(whole, json!({ "timeout": timeout, "retries": timeout }))
        };
        let of_service = |timeout: u32| rule(json!({}), json!({ "timeout": timeout }));
        let own = Some("blue/shop.Stock:1.0.0");
        let rules = [
            (key(own, 1), of_service(4)),
            (key(None, 1), of_application(2)),
            (key(own, 0), of_service(3)),
            (key(None, 0), of_application(1)),
            (key(Some("shop.Cart"), 1), of_service(5)),
        ];
        let book = book(&rules);
        assert_eq!(calls(&book), ["retries = 2", "timeout = \"4ms\""]);
        let effects = book.for_calls(&party(PartySide::Consumer), [&stock()]);
        let origins: Vec<String> =
            effects.settings.values().map(|(_, origin)| origin.to_string()).collect();
        assert_eq!(origins[0], "config centre, rule till.configurators of zookeeper://1");
        let own = "config centre, rule blue/shop.Stock:1.0.0::.configurators of zookeeper://1";
        assert_eq!(origins[1], own);
    }

    #[test]
    fn orders_for_instances_are_held_against_what_each_publishes() {
        for (item, fits) in [
            (json!({}), [true, true, true]),
            (json!({ "providerAddresses": ["10.0.0.5:20880"] }), [true, false, false]),
            (json!({ "providerAddresses": ["10.0.0.5"] }), [true, true, false]),
            (json!({ "providerAddresses": ["0.0.0.0:20880"] }), [true, false, true]),
            (
                json!({ "match": { "providerAddress": { "wildcard": "10.0.0.*:20881" } } }),
                [false, true, false],
            ),
            (
                json!({ "match": { "param": [{ "key": "region", "value": { "exact": "hz" } }] } }),
                [true, true, true],
            ),
            (
                json!({ "match": { "param": [{ "key": "zone", "value": { "exact": "hz" } }] } }),
                [false; 3],
            ),
            // As in Dubbo, what is meant without being set is not published.
            (
                json!({ "match": { "param": [{ "key": "weight", "value": { "exact": "100" } }] } }),
                [false; 3],
            ),
        ] {
            let rule = rule(item.clone(), json!({ "weight": 7 }));
            let effects = book(&[(key(Some("blue/shop.Stock:1.0.0"), 0), rule)])
                .for_calls(&party(PartySide::Consumer), [&stock()]);
            let orders = effects.instances(&stock());
            let found = ["10.0.0.5:20880", "10.0.0.5:20881", "10.0.0.6:20880"].map(|address| {
                InstanceOrder::apply(&orders, instance(address), Some).unwrap().weight == 7
            });
            assert_eq!(found, fits, "{item}");
        }
    }

    #[test]
    fn what_is_disabled_gets_no_call_until_a_stronger_rule_lets_it() {
        let own = || key(Some("blue/shop.Stock:1.0.0"), 0);
        let all = rule(
            json!({ "whole": { "scope": "application", "key": "till" } }),
            json!({ "disabled": true, "weight": 9 }),
        );
        let one = json!({ "providerAddresses": ["10.0.0.5:1"] });
        let one = rule(one, json!({ "disabled": false, "weight": 3 }));
        let effects = book(&[(own(), one), (key(None, 0), all)])
            .for_calls(&party(PartySide::Consumer), [&stock()]);
        let orders = effects.instances(&stock());
        let kept = |address: &str, is_on: bool| {
            InstanceOrder::apply(&orders, instance(address), |one| is_on.then_some(one))
        };
        assert_eq!(kept("10.0.0.6:1", true), None);
        assert_eq!(kept("10.0.0.5:1", true).unwrap().weight, 3);
        // It is stronger than a setting that disables it.
        assert!(kept("10.0.0.5:1", false).is_some());
        let by = InstanceOrder::disabling(&orders, &instance("10.0.0.6:1")).unwrap().to_string();
        let place = "consumer.services.\"blue/shop.Stock:1.0.0\".instances.\"10.0.0.6:1\".disabled";
        let origin = "config centre, rule till.configurators of zookeeper://0";
        assert_eq!(by, format!("{place} = true ({origin})"));
        assert_eq!(InstanceOrder::disabling(&orders, &instance("10.0.0.5:1")), None);
        let shown: Vec<String> =
            InstanceOrder::settings(&orders).iter().map(|setting| setting.key.clone()).collect();
        let section = "consumer.services.\"blue/shop.Stock:1.0.0\".instances";
        assert_eq!(
            shown,
            [
                format!("{section}.*.weight"),
                format!("{section}.*.disabled"),
                format!("{section}.\"10.0.0.5:1\".weight"),
                format!("{section}.\"10.0.0.5:1\".disabled"),
            ]
        );
    }

    #[test]
    fn a_provider_follows_what_is_for_its_side_and_its_address() {
        for (item, expected) in [
            (json!({ "side": "provider" }), true),
            (json!({ "side": "consumer" }), false),
            (json!({ "side": "provider", "addresses": ["10.0.0.7:20880"] }), true),
            (json!({ "side": "provider", "addresses": ["10.0.0.7:20881"] }), false),
            (json!({ "side": "provider", "addresses": ["10.0.0.8"] }), false),
            (json!({ "side": "provider", "providerAddresses": ["10.0.0.7"] }), true),
        ] {
            let parameters = json!({ "weight": 7, "warmup": 1000, "disabled": true });
            let rule = rule(item.clone(), parameters);
            let effects = book(&[(key(Some("blue/shop.Stock:1.0.0"), 0), rule)])
                .for_instances(&party(PartySide::Provider), [&instance("10.0.0.7:20880")]);
            let found: Vec<String> = effects
                .settings
                .iter()
                .map(|(path, (value, _))| format!("{} = {value}", path[3]))
                .collect();
            let all = ["disabled = true", "warmup = \"1000ms\"", "weight = 7"];
            assert_eq!(found, if expected { &all[..] } else { &[] }, "{item}");
        }
    }

    #[test]
    fn of_what_sets_only_the_absent_the_weakest_stays() {
        let own = || key(Some("blue/shop.Stock:1.0.0"), 0);
        let of = |text: &str| json!([format!("absent://0.0.0.0/*?{text}")]);
        let book = book(&[
            (own(), of("timeout=3&retries=3")),
            (key(None, 0), of("timeout=2&reserve.timeout=2")),
        ]);
        let effects = book.for_calls(&party(PartySide::Consumer), [&stock()]);
        assert!(effects.settings.is_empty());
        let shown = effects.absent.iter().map(|(path, (value, origin))| {
            (path[3..].join("."), value.to_string(), origin.to_string())
        });
        let of_application = "config centre, rule till.configurators of zookeeper://0 (absent)";
        let of_service =
            "config centre, rule blue/shop.Stock:1.0.0::.configurators of zookeeper://0 (absent)";
        let expected = [
            ("methods.reserve.timeout", "\"2ms\"", of_application),
            ("retries", "3", of_service),
            ("timeout", "\"2ms\"", of_application),
        ];
        let expected = expected
            .map(|(key, value, origin)| (key.to_owned(), value.to_owned(), origin.to_owned()));
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_older_form_means_a_provider_with_a_port_and_a_consumer_without() {
        for (url, is_call, fits) in [
            ("override://0.0.0.0/*?timeout=1&weight=7", true, true),
            ("override://10.0.0.7/*?timeout=1&weight=7", true, true),
            ("override://10.0.0.8/*?timeout=1&weight=7", false, false),
            ("override://10.0.0.5:1/*?timeout=1&weight=7", false, true),
            ("override://10.0.0.5:2/*?timeout=1&weight=7", false, false),
            (
                "override://0.0.0.0/shop.Stock?group=blue&version=1.0.0&timeout=1&weight=7",
                true,
                true,
            ),
            ("override://0.0.0.0/shop.Stock?timeout=1&weight=7", false, false),
            ("override://0.0.0.0/*?application=web&timeout=1&weight=7", false, false),
            ("override://0.0.0.0/*?side=provider&timeout=1&weight=7", false, false),
            ("override://0.0.0.0/*?enabled=false&timeout=1&weight=7", false, false),
            ("override://0.0.0.0/*?~region=hz&timeout=1&weight=7", false, true),
            ("override://0.0.0.0/*?~region=bj&timeout=1&weight=7", false, false),
            ("override://0.0.0.0/*?~region=*&timeout=1&weight=7", true, true),
        ] {
            let book = book(&[(key(Some("blue/shop.Stock:1.0.0"), 0), json!([url]))]);
            assert_eq!(calls(&book) == ["timeout = \"1ms\""], is_call, "{url}");
            let effects = book.for_calls(&party(PartySide::Consumer), [&stock()]);
            let orders = effects.instances(&stock());
            let found = InstanceOrder::apply(&orders, instance("10.0.0.5:1"), Some).unwrap();
            assert_eq!(found.weight == 7, fits, "{url}");
        }
    }
}
