//! Dubbo's configurators: rules of the keys `<application>.configurators` and
//! `<interface>:<version>:<group>.configurators` that override settings of calls and of instances.
//!
//! ```yaml
//! configVersion: v3.0
//! scope: service
//! key: shop.Stock
//! enabled: true
//! configs:
//!   - side: consumer
//!     match: { app: { oneof: [ { prefix: till- } ] } }
//!     parameters: { timeout: 300, reserve.retries: 0 }
//! ```

use std::collections::BTreeMap;

use rpc_core::Error;
use serde_json::Value;

use super::collected::{Configurators, Declared, no_effect};
use super::conditions::{ANY, ANY_HOST, AddressMatch, TextMatch};
use super::fields::{Fields, wrong};
use super::item::{Conditions, PartySide, RuleItem};
use super::orders::Orders;
use super::{override_url, text};

impl Configurators {
    /// Reads the text of a rule.
    ///
    /// # Errors
    /// What is wrong with it and where; nothing of it is to be put in force.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut all = match text::values(text)? {
            Value::Array(urls) => override_url::read_all(&urls)?,
            url @ Value::String(_) => return Err(wrong("", &url, KEYS_OR_URLS)),
            values => read(&Fields::of(&values, "")?)?,
        };
        // Those for every host first, so that those for one are stronger; of the same host, by
        // priority.
        let order = |item: &RuleItem| (item.host.clone(), item.orders.priority);
        all.items.sort_by_cached_key(|item| (item.host != ANY_HOST, order(item)));
        Ok(all)
    }
}

/// What a rule is, for who wrote a URL alone.
const KEYS_OR_URLS: &str =
    r#"an object with keys, or a JSON list such as ["override://HOST/SERVICE?KEY=VALUE"]"#;

/// The keys of a rule; the last three are of other kinds of rules, and change nothing.
const OF_RULE: [&str; 8] =
    ["configVersion", "scope", "key", "enabled", "configs", "priority", "runtime", "force"];

/// The keys of an item.
const OF_ITEM: [&str; 9] = [
    "side",
    "addresses",
    "providerAddresses",
    "applications",
    "services",
    "match",
    "parameters",
    "type",
    "enabled",
];

/// What the items of a rule share.
struct Head {
    version: String,
    /// Whether it is for an application, and not for a service.
    is_of_application: bool,
    key: String,
    is_enabled: bool,
}

fn read(fields: &Fields<'_>) -> Result<Configurators, Error> {
    let missing = |key: &str, what: &str| {
        Error::invalid_config(format!("{key}: it is missing, write {what}"))
    };
    let scope = fields.text("scope")?;
    let is_of_application = match scope.as_deref() {
        Some("application") => true,
        None | Some("service") => false,
        Some(other) => {
            let known = ["application", "service"];
            return Err(Error::unknown_name("scope", other, known).at("scope"));
        }
    };
    let what = if is_of_application { "the name of the application" } else { "the service" };
    let head = Head {
        version: fields.text("configVersion")?.unwrap_or_else(|| "v2.7".to_owned()),
        is_of_application,
        key: fields.text("key")?.ok_or_else(|| missing("key", what))?,
        is_enabled: fields.truth("enabled")?.unwrap_or(true),
    };
    if fields.value("configs").is_none() {
        // A slip in this one would leave a rule that changes nothing.
        fields.expect_only("key", &OF_RULE)?;
    }
    let declared = match is_of_application {
        true => Declared::Application(head.key.clone()),
        false => Declared::Service(head.key.clone()),
    };
    let mut all = Configurators { declared: Some(declared), ..Configurators::default() };
    let unknown: Vec<&str> = fields.unknown(&OF_RULE).collect();
    if !unknown.is_empty() {
        all.notes.push(no_effect(&unknown, &OF_RULE));
    }
    for item in fields.sections("configs")? {
        read_item(&head, &item, &mut all)?;
    }
    Ok(all)
}

fn read_item(head: &Head, fields: &Fields<'_>, all: &mut Configurators) -> Result<(), Error> {
    fields.expect_only("key", &OF_ITEM)?;
    let place = fields.at("");
    let place = place.trim_end_matches('.').to_owned();
    let side = match fields.text("side")?.as_deref() {
        Some("consumer") => PartySide::Consumer,
        Some("provider") => PartySide::Provider,
        // Nobody follows it, in Dubbo either.
        None => {
            all.notes.push(format!("{place}: it is for neither side, write side: consumer"));
            return Ok(());
        }
        Some(other) => {
            let error = Error::unknown_name("side", other, ["consumer", "provider"]);
            return Err(error.at(fields.at("side")));
        }
    };
    let is_general = matches!(fields.text("type")?.as_deref(), None | Some("general"));
    let own = fields.truth("enabled")?.unwrap_or(true);
    let parameters = fields.section("parameters")?.filter(|fields| fields.iter().next().is_some());
    let parameters = parameters.ok_or_else(|| {
        let at = fields.at("parameters");
        Error::invalid_config(format!("{at}: it is empty, write what is to be changed"))
    })?;
    let hosts = fields.texts("addresses")?;
    let mut providers = fields.texts("providerAddresses")?;
    if providers.is_empty() && side == PartySide::Provider {
        providers.clone_from(&hosts);
    }
    let item = RuleItem {
        place,
        is_enabled: if is_general { head.is_enabled } else { own },
        is_absent: false,
        side: Some(side),
        host: String::new(),
        is_old: false,
        providers: providers.into(),
        application: String::new(),
        service: String::new(),
        conditions: conditions(head, fields)?.into(),
        orders: Orders::read(&parameters)?.into(),
    };
    all.note(&item);
    spread(head, fields, &item, &hosts, all)
}

/// Puts the item into `all` for each of its hosts, applications and services.
fn spread(
    head: &Head,
    fields: &Fields<'_>,
    item: &RuleItem,
    hosts: &[String],
    all: &mut Configurators,
) -> Result<(), Error> {
    let or_any = |names: Vec<String>, any: &str| match names.is_empty() {
        true => vec![any.to_owned()],
        false => names,
    };
    let (applications, services) = match head.is_of_application {
        true => (vec![head.key.clone()], or_any(fields.texts("services")?, ANY)),
        false => (or_any(fields.texts("applications")?, ANY), vec![head.key.clone()]),
    };
    for host in or_any(hosts.to_vec(), ANY_HOST) {
        // A port is that of a provider, and is tested with its address.
        let host = super::conditions::split(&host).0.to_owned();
        for application in &applications {
            for service in &services {
                let (application, service) = (application.clone(), service.clone());
                all.push(RuleItem { host: host.clone(), application, service, ..item.clone() })?;
            }
        }
    }
    Ok(())
}

fn conditions(head: &Head, fields: &Fields<'_>) -> Result<Conditions, Error> {
    let Some(fields) = fields.section("match")? else { return Ok(Conditions::default()) };
    if !head.version.starts_with("v3.0") {
        let told = "conditions need configVersion: v3.0, else they are passed over";
        return Err(Error::invalid_config(told).at(fields.at("").trim_end_matches('.')));
    }
    fields.expect_only("condition", &["address", "providerAddress", "service", "app", "param"])?;
    let mut published = BTreeMap::new();
    for param in fields.sections("param")? {
        param.expect_only("condition", &["key", "value"])?;
        let missing =
            |key: &str| Error::invalid_config(format!("{}: it is missing", param.at(key)));
        let key = param.text("key")?.ok_or_else(|| missing("key"))?;
        let value = param.section("value")?.ok_or_else(|| missing("value"))?;
        published.insert(key, TextMatch::read(&value)?);
    }
    Ok(Conditions {
        host: AddressMatch::at(&fields, "address")?,
        provider: AddressMatch::at(&fields, "providerAddress")?,
        service: TextMatch::one_of(&fields, "service")?,
        application: TextMatch::one_of(&fields, "app")?,
        published,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(rule: Value) -> String {
        Configurators::parse(&rule.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn items_of_many_hosts_hold_once_what_they_have_alike() {
        let hosts: Vec<_> = (0..3000).map(|i| format!("10.0.{}.{}", i / 256, i % 256)).collect();
        let config =
            json!({ "side": "provider", "addresses": hosts, "parameters": { "weight": 1 } });
        let rule = json!({ "configVersion": "v3.0", "key": "a", "configs": [config] });
        let items = Configurators::parse(&rule.to_string()).unwrap().items;
        let held = |item: &RuleItem| (item.providers.len(), item.providers.as_ptr());
        assert_eq!((items.len(), items[0].providers.len()), (3000, 3000));
        assert!(items.iter().all(|item| held(item) == held(&items[0])));
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_told_with_its_place() {
        let item = |item: Value| json!({ "configVersion": "v3.0", "key": "a", "configs": [item] });
        for (rule, told) in [
            // In JSON only what begins as an object or a list is read.
            #[cfg(feature = "yaml")]
            (json!(7), "`7` is not an object with keys"),
            (json!({ "configs": [] }), "key: it is missing, write the service"),
            (
                json!({ "scope": "application" }),
                "key: it is missing, write the name of the application",
            ),
            (json!({ "scope": "app", "key": "a" }), "scope: unknown scope `app`"),
            (json!({ "key": "a", "enabled": 7 }), "enabled: `7` is not true or false"),
            (json!({ "key": "a", "configs": {} }), "configs: `{}` is not a list"),
            (json!({ "key": "a", "configs": [7] }), "configs[0]: `7` is not an object"),
            (item(json!({ "side": "both" })), "configs[0].side: unknown side `both`"),
            (item(json!({ "side": "consumer" })), "configs[0].parameters: it is empty, write what"),
            #[cfg(feature = "yaml")]
            (
                json!("override://0.0.0.0/a?timeout=1"),
                "is not an object with keys, or a JSON list such as [\"override://HOST/SERVICE?KEY=VALUE\"]",
            ),
            (
                item(json!({
                    "side": "consumer", "parameters": { "weight": 1 }, "match": { "tag": "a" }
                })),
                "unknown condition in configs[0].match `tag`, available: address, providerAddress",
            ),
            (
                item(json!({
                    "side": "consumer", "parameters": { "weight": 1 },
                    "match": { "param": [{ "key": "a" }] }
                })),
                "configs[0].match.param[0].value: it is missing",
            ),
            (
                json!({ "configVersion": "v2.7", "key": "a", "configs": [{
                    "side": "consumer", "parameters": { "weight": 1 }, "match": {}
                }] }),
                "configs[0].match: conditions need configVersion: v3.0",
            ),
        ] {
            let error = error(rule);
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_parameter_is_told_with_its_place() {
        for (key, value, told) in [
            ("timeout", json!("soon"), "`soon` is not a number of milliseconds"),
            (
                "timeout",
                json!(0),
                "`0` is not a number of milliseconds from 1 to 4294967295, such as",
            ),
            ("timeout", json!(9_999_999_999_999_u64), "is not a number of milliseconds from 1 to"),
            ("reserve.retries", json!([1]), "`[1]` is not a text or a number"),
            ("weight", json!(-1), "`-1` is not a weight"),
            ("disabled", json!("no"), "`no` is not true or false"),
        ] {
            let item = json!({ "side": "consumer", "parameters": { key: value } });
            let error = error(json!({ "configVersion": "v3.0", "key": "a", "configs": [item] }));
            let place = format!("configs[0].parameters.{key}: ");
            assert!(error.contains(&place) && error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_key_that_is_not_known_is_told_with_the_one_that_was_meant() {
        let item = |item: Value| json!({ "key": "a", "configs": [item] });
        for (rule, told) in [
            (
                json!({ "key": "a", "config": [{ "side": "consumer" }] }),
                "unknown key `config` (did you mean `configs`?), available: configVersion, scope",
            ),
            (
                item(json!({ "side": "consumer", "providerAddress": ["a:1"] })),
                "unknown key in configs[0] `providerAddress` (did you mean `providerAddresses`?)",
            ),
            (
                item(json!({ "side": "consumer", "paramters": { "timeout": 3 } })),
                "unknown key in configs[0] `paramters` (did you mean `parameters`?)",
            ),
            (
                item(json!([{ "side": "consumer" }])),
                "configs[0]: `[{\"side\":\"consumer\"}]` is not an object with keys",
            ),
        ] {
            let error = error(rule);
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_rule_that_multiplies_is_refused() {
        let many: Vec<String> = (0..200).map(|at| format!("a{at}")).collect();
        let rule = json!({ "key": "a", "configs": [{
            "side": "consumer", "addresses": many, "applications": many, "parameters": { "weight": 1 }
        }] });
        assert!(error(rule).contains("it has more than 10000 items"));
    }

    #[test]
    fn what_has_no_effect_is_noted_and_the_rest_counts() {
        let rule = json!({ "key": "a", "author": "ann", "priority": 1, "configs": [
            { "side": "consumer", "parameters": { "mock": "force:return null", "timeout": 3 } },
            { "parameters": { "timeout": 3 } },
            {
                "side": "consumer", "providerAddresses": ["a:1"],
                "parameters": { "timeout": 3, "weight": 1 }
            },
            { "side": "provider", "parameters": { "timeout": 3, "weight": 1 } },
        ] });
        let rule = Configurators::parse(&rule.to_string()).unwrap();
        assert_eq!(rule.items.len(), 3);
        assert_eq!(
            rule.notes(),
            [
                "author has no effect here",
                "configs[0]: mock has no effect here",
                "configs[1]: it is for neither side, write side: consumer",
                "configs[2]: timeout have no effect for single providers: they are decided before one \
                 is chosen; weight and disabled have, and for all providers these have, too",
                "configs[3]: settings of calls have no effect at a provider, write side: consumer",
            ]
        );
    }

    #[test]
    fn a_slip_is_told_with_what_may_be_meant() {
        let rule = json!({ "key": "a", "runtme": true, "configs": [{
            "side": "consumer",
            "parameters": { "timout": 3, "take.retires": 1, "take.weight": 1, "mock": "force" },
        }] });
        let rule = Configurators::parse(&rule.to_string()).unwrap();
        assert_eq!(
            rule.notes(),
            [
                "runtme has no effect here (did you mean `runtime`?)",
                "configs[0]: mock, take.retires, take.weight, timout have no effect here (did you mean \
                 `retries`, `timeout`?)",
            ]
        );
    }

    #[test]
    fn an_empty_condition_holds_for_nobody_and_is_noted() {
        let rule = json!({ "configVersion": "v3.0", "key": "a", "configs": [{
            "side": "consumer", "parameters": { "weight": 1 }, "match": { "app": { "oneof": [] } }
        }] });
        let rule = Configurators::parse(&rule.to_string()).unwrap();
        assert_eq!(
            rule.notes(),
            [
                "configs[0].match.app.oneof: it is empty, so the item is for nobody: write a condition, or \
              leave app out"
            ]
        );
    }

    #[test]
    fn what_is_for_one_host_is_stronger_and_then_what_has_the_higher_priority() {
        let item = |hosts: &[&str], priority: i64, weight: u32| {
            let parameters = json!({ "weight": weight, "priority": priority });
            json!({ "side": "consumer", "addresses": hosts, "parameters": parameters })
        };
        let rule = json!({ "key": "a", "configs": [
            item(&["10.0.0.1"], 0, 4),
            item(&[], 2, 3),
            item(&["10.0.0.1:20880"], -1, 0),
            item(&[], 0, 1),
            item(&[], 0, 2),
        ] });
        let rule = Configurators::parse(&rule.to_string()).unwrap();
        let weights: Vec<_> = rule.items.iter().filter_map(|item| item.orders.weight).collect();
        assert_eq!(weights, [1, 2, 3, 0, 4]);
    }

    #[test]
    fn no_text_at_all_makes_it_panic() {
        let rule = json!({ "configVersion": "v3.0", "key": "a", "configs": [{
            "side": "consumer", "addresses": ["0.0.0.0"], "providerAddresses": ["10.0.0.5:20880"],
            "parameters": { "timeout": 3000, "a.retries": 0 },
            "match": { "address": { "wildcard": "10.20.*:*" }, "param": [] },
        }] })
        .to_string();
        // Each byte in turn is another, or is missing.
        for at in 0..rule.len() {
            let (before, after) = (&rule[..at], &rule[at + 1..]);
            for other in ["", "\"", "[", "-", "9", "\u{1}", "ä"] {
                let _ = Configurators::parse(&format!("{before}{other}{after}"));
            }
            let _ = Configurators::parse(before);
        }
    }
}
