//! The items of a rule, whatever the form in which they are written.

use std::collections::BTreeSet;

use rpc_core::Error;

use super::item::{PartySide, RuleItem};

/// Most items of a rule, counted for each host and application.
const MAX_ITEMS: usize = 10_000;

/// The items of one rule, the weakest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Configurators {
    pub(super) items: Vec<RuleItem>,
    /// What is written there and has no effect, for people.
    pub(super) notes: Vec<String>,
}

impl Configurators {
    /// What is written there and has no effect, for people.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
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
        let passed_over = &item.orders.passed_over;
        if !passed_over.is_empty() {
            self.notes.push(format!("{}: {}", item.place, no_effect(passed_over)));
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

/// That what has these names changes nothing.
pub(super) fn no_effect(names: &[impl AsRef<str>]) -> String {
    let have = if names.len() == 1 { "has" } else { "have" };
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    format!("{} {have} no effect here", names.join(", ").escape_debug())
}
