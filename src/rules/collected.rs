//! The items of a rule, whatever the form in which they are written.

use std::collections::{BTreeMap, BTreeSet};

use rpc_core::{Error, ServiceKey, nearest};

use super::item::{Conditions, Party, PartySide, RuleItem};
use super::orders::KNOWN;

/// Most items of a rule, counted for each host and application.
const MAX_ITEMS: usize = 10_000;

/// What a rule says that it is for, by its scope and its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Declared {
    Application(String),
    Service(String),
}

/// The items of one rule, the weakest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Configurators {
    pub(super) items: Vec<RuleItem>,
    /// What the text says that it is for; `None` for a list of addresses, of which each says so itself.
    pub(super) declared: Option<Declared>,
    /// What is written there and has no effect, for people.
    pub(super) notes: Vec<String>,
}

impl Configurators {
    /// What is written there and has no effect, for people.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether something of it is for `party`, of `service` if it stands at the key of one.
    pub(super) fn counts_for(&self, party: &Party, service: Option<&ServiceKey>) -> bool {
        let is_for = |item: &RuleItem| match service {
            Some(service) => item.is_for(party, service),
            None => item.is_for_party(party),
        };
        self.items.iter().any(is_for)
    }

    /// The methods for which it orders something of `service` by its name, and that are not among
    /// `known`: each with what there is.
    pub(crate) fn strangers(
        &self,
        party: &Party,
        service: &ServiceKey,
        known: &[&str],
    ) -> Vec<Error> {
        let of_service =
            |item: &&RuleItem| item.service == service.as_str() && item.is_for(party, service);
        let orders = self.items.iter().filter(of_service).map(|item| &item.orders.calls);
        let named: BTreeSet<&str> =
            orders.flat_map(BTreeMap::keys).filter_map(|(method, _)| method.as_deref()).collect();
        let strangers = named.into_iter().filter(|method| !known.contains(method));
        let kind = format!("method of {service}");
        strangers.map(|method| Error::unknown_name(&kind, method, known.iter().copied())).collect()
    }

    pub(super) fn push(&mut self, item: RuleItem) -> Result<(), Error> {
        if self.items.len() >= MAX_ITEMS {
            let told =
                format!("it has more than {MAX_ITEMS} items, hosts and names: make it shorter");
            return Err(Error::invalid_config(told));
        }
        self.items.push(item);
        Ok(())
    }

    /// Notes what has no effect in `item`.
    pub(super) fn note(&mut self, item: &RuleItem) {
        let Conditions { service, application, .. } = &*item.conditions;
        for (name, condition) in [("service", service), ("app", application)] {
            if condition.as_ref().is_some_and(Vec::is_empty) {
                self.notes.push(format!(
                    "{}.match.{name}.oneof: it is empty, so the item is for nobody: write a condition, \
                     or leave {name} out",
                    item.place
                ));
            }
        }
        let passed_over = &item.orders.passed_over;
        if !passed_over.is_empty() {
            self.notes.push(format!("{}: {}", item.place, no_effect(passed_over, &KNOWN)));
        }
        let of_calls = !item.orders.calls.is_empty();
        if of_calls && item.side != Some(PartySide::Provider) && !item.is_for_all() {
            // A call has its time, and what becomes of its failures, before it has a provider.
            let names: BTreeSet<&str> = item.orders.calls.keys().map(|(_, name)| *name).collect();
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            self.notes.push(format!(
                "{}: {names} have no effect for single providers: they are decided before one is \
                 chosen; weight and disabled have, and for all providers these have, too",
                item.place
            ));
        }
        if of_calls && item.side == Some(PartySide::Provider) {
            self.notes.push(format!(
                "{}: settings of calls have no effect at a provider, write side: consumer",
                item.place
            ));
        }
    }
}

/// That what has these names changes nothing, and which of the `known` ones may be meant. Of a name with
/// a dot the part behind it counts.
pub(super) fn no_effect(names: &[impl AsRef<str>], known: &[&str]) -> String {
    let have = if names.len() == 1 { "has" } else { "have" };
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let own = names.iter().map(|name| name.rsplit_once('.').map_or(*name, |(_, own)| own));
    // One that is known is no slip, even where it has no effect.
    let meant = own.filter(|name| !known.contains(name)).filter_map(|name| nearest(name, known));
    let meant = meant.map(|name| format!("`{name}`")).collect::<BTreeSet<_>>();
    let meant = match meant.is_empty() {
        true => String::new(),
        false => format!(" (did you mean {}?)", meant.into_iter().collect::<Vec<_>>().join(", ")),
    };
    format!("{} {have} no effect here{meant}", names.join(", ").escape_debug())
}
