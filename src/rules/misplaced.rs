//! Whether a rule stands at the key of what its text is for.
//!
//! Dubbo goes by the text, wherever that stands: a rule for another service is read, and changes nothing.

use rpc_core::ServiceKey;

use super::book::{RuleKey, RuleScope};
use super::collected::{Configurators, Declared};
use super::conditions::ANY;
use super::followed::name_of;
use super::item::RuleItem;

impl Configurators {
    /// Why it does not stand at the key of what it is for, and the remedy; `None` if it does.
    pub(super) fn misplaced(&self, key: &RuleKey) -> Option<String> {
        match (&self.declared, &key.service) {
            (Some(Declared::Service(named)), Some(service)) => {
                let is_own = [ANY, service.as_str()].contains(&&**named);
                (!is_own).then(|| of_other_service(named, service))
            }
            (Some(Declared::Application(named)), Some(service)) => {
                let named = named.escape_debug();
                Some(format!(
                    "scope: it is for the application `{named}` and stands at the key of a service, where \
                     it changes that service at most: store it under {named}.configurators, or write \
                     scope: service and key: {service}"
                ))
            }
            (Some(Declared::Application(named)), None) => {
                let own = key.key.strip_suffix(SUFFIX).unwrap_or(&key.key);
                let is_own = [ANY, own].contains(&&**named);
                let named = named.escape_debug();
                (!is_own).then(|| {
                    format!(
                        "key: it is for the application `{named}` and changes nothing at the key of \
                         `{own}`: write key: {own}, or store it under {named}{SUFFIX}"
                    )
                })
            }
            (Some(Declared::Service(named)), None) => (named != ANY).then(|| {
                let (own, stored) = (key.key.strip_suffix(SUFFIX).unwrap_or(&key.key), stored(named));
                format!(
                    "scope: it is for the service `{}` and stands at the key of an application, where it \
                     changes that service at most: write scope: application and key: {own}, or store it under \
                     {stored}",
                    named.escape_debug()
                )
            }),
            (None, Some(service)) => self.of_others(key, service),
            (None, None) => None,
        }
    }

    /// The same for a list of addresses. Overrides stand beside the providers of an interface, with
    /// those of its other groups and versions.
    fn of_others(&self, key: &RuleKey, service: &ServiceKey) -> Option<String> {
        let is_other = |item: &&RuleItem| match (&*item.service, key.scope) {
            ("" | ANY, _) => false,
            (named, RuleScope::Overrides) => named
                .parse()
                .map_or(true, |named: ServiceKey| named.interface() != service.interface()),
            (named, _) => named != service.as_str(),
        };
        let item = self.items.iter().find(is_other)?;
        Some(format!(
            "{}: it is for the service `{}` and changes nothing at the key of `{service}`: store it at the \
             key of its own",
            item.place,
            item.service.escape_debug()
        ))
    }
}

/// The end of the keys of rules that are no overrides.
const SUFFIX: &str = ".configurators";

fn of_other_service(named: &str, service: &ServiceKey) -> String {
    format!(
        "key: it is for the service `{}` and changes nothing at the key of `{service}`: write key: \
         {service}, or store it under {}",
        named.escape_debug(),
        stored(named)
    )
}

/// Where a rule of the service of this name belongs.
fn stored(named: &str) -> String {
    match named.parse() {
        Ok(service) => format!("{}{SUFFIX}", name_of(&service)),
        Err(_) => "the key of its service".to_owned(),
    }
}
