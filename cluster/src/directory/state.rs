//! The state of a directory, for people, and the reason if there is no endpoint to call.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Delivery, Instance, LostRegistry, Source, Status, Trouble};

use super::Directory;

/// The state of a directory at one time, for people.
///
/// `Display` shows how far its list can be trusted: `live`, `kept (registry lost for 12 s: …)`,
/// `from cache, age 90 s (…)`, `pending (…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryState {
    /// The source of the list.
    pub source: Source,
    /// How old the list is: since it arrived, plus its age in the cache if it came from there.
    pub age: Duration,
    /// How many endpoints there are, those held included.
    pub endpoints: usize,
    /// How many of them the registry no longer lists.
    pub held: usize,
    /// How many more the registry lists that speak no protocol of this consumer.
    pub left_out: usize,
    /// How many more the registry lists that are disabled on this side.
    pub disabled: usize,
    /// The number of instances for which a layer, filter or protocol of the program's own panicked
    /// while it was made: calls go to them as before, or not at all if they are new. It is tried
    /// again, after 1 s, then less often, at least every 36 s.
    pub broken: usize,
    /// How many of them calls may go to now.
    pub candidates: usize,
    /// How many of them are ejected or on probation because their calls failed.
    pub ejected: usize,
    /// How many of them do not have the service: their address belongs to another program now.
    pub stale: usize,
    /// How often one was ejected, as far as its counter goes back.
    pub ejections: u64,
    /// Address of the registry; empty if it has none.
    pub registry: Arc<str>,
    /// The reason why the registry does not confirm the list at present, and since when; `None` if
    /// it does.
    pub trouble: Option<Trouble>,
}

impl fmt::Display for DirectoryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.source, &self.trouble) {
            (Source::Pending, _) => f.write_str("pending")?,
            (Source::Cache { .. }, _) => write!(f, "from cache, age {} s", self.age.as_secs())?,
            (_, None) => f.write_str("live")?,
            (_, Some(_)) => f.write_str("kept")?,
        }
        match &self.trouble {
            Some(trouble) => write!(f, " ({trouble})"),
            None => Ok(()),
        }
    }
}

impl Directory {
    /// Its present state.
    #[must_use]
    pub fn state(&self) -> DirectoryState {
        let list = self.shared.list.load();
        let cached = match list.source {
            Source::Cache { age } => age,
            _ => Duration::ZERO,
        };
        DirectoryState {
            source: list.source,
            age: list.received.elapsed() + cached,
            endpoints: list.endpoints.len(),
            held: list.held,
            left_out: list.left_out.len(),
            disabled: list.disabled.len(),
            broken: list.broken,
            candidates: self.candidates().len(),
            ejected: list
                .endpoints
                .iter()
                .filter(|e| e.condition().is_out() && !e.is_stale())
                .count(),
            stale: list.endpoints.iter().filter(|e| e.is_stale()).count(),
            ejections: self.shared.ejection.ejections(),
            registry: self.shared.registry.clone(),
            trouble: self.shared.trouble.borrow().clone(),
        }
    }

    /// The status of a call for which there is no endpoint, with the reason.
    #[must_use]
    pub fn no_instance(&self) -> Status {
        let (service, state) = (&self.shared.service, self.state());
        let left_out = &self.shared.list.load().left_out;
        let why = match left_out.is_empty() {
            true => state.why_empty(),
            false => state.why_left_out(left_out, &self.shared.connector.protocols()),
        };
        Status::unavailable(format!("no instance of {service}: {why}"))
            .with_delivery(Delivery::NotSent)
    }
}

/// How many addresses an error names.
const NAMED: usize = 3;

impl DirectoryState {
    fn registry(&self) -> String {
        match &*self.registry {
            "" => "the registry".to_owned(),
            address => format!("registry {address}"),
        }
    }

    /// Why there is no instance to call, given that these are all there are and calls need one of
    /// the protocols `needed`.
    pub(super) fn why_left_out(&self, left_out: &[Arc<Instance>], needed: &[&str]) -> String {
        let (registry, count) = (self.registry(), left_out.len());
        let spoken: BTreeSet<&str> =
            left_out.iter().flat_map(|instance| &*instance.protocols).map(String::as_str).collect();
        let spoken = spoken.into_iter().collect::<Vec<_>>().join(" and ");
        let named: Vec<&str> = left_out.iter().take(NAMED).map(|one| &*one.address).collect();
        let more = match count.saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "{registry} lists {count} (at {}{more}), all left out because they speak only {spoken} \
             and this consumer needs {}; add `{}` to their `provider.protocols`",
            named.join(", "),
            needed.join(" or "),
            needed.join("` or `"),
        )
    }

    /// The registry that is lost, and why.
    fn lost(&self) -> Option<String> {
        let Trouble { error, lost, .. } = self.trouble.as_ref()?;
        Some(match &**lost {
            [] => format!("{} is lost ({error})", self.registry()),
            [LostRegistry { address, error }] => format!(
                "the others of its registries list none, registry {address} is lost ({error})"
            ),
            [..] => format!("several of its registries are lost ({error})"),
        })
    }

    /// Why the list has no instance to call, and the remedy. The time is only in the state, so that
    /// the text stays the same as long as the cause does.
    pub(super) fn why_empty(&self) -> String {
        let registry = self.registry();
        let trouble = self.lost();
        if self.disabled > 0 {
            return format!(
                "{registry} lists {}, all disabled, by their providers or by this consumer: look at \
                 `disabled` in what they publish, in `[consumer.instances]` here and in the rules of \
                 both",
                self.disabled
            );
        }
        if self.broken > 0 {
            return format!(
                "{registry} lists {}, and a layer, filter or protocol of this program panicked while \
                 it was made for each of them; the log has the panics",
                self.broken
            );
        }
        match (self.source, trouble) {
            // Each cause comes with its own remedy: what a registry needs differs.
            (Source::Pending, _) => match &self.trouble {
                Some(trouble) => format!("{registry} gives no list: {}", trouble.error),
                None => format!(
                    "{registry} has not answered yet; check that it is running and reachable"
                ),
            },
            (Source::Cache { .. }, trouble) => {
                let trouble = trouble.unwrap_or_else(|| format!("{registry} is not reachable"));
                format!("{trouble} and the cached list is empty")
            }
            (_, Some(trouble)) => format!("{trouble} and its last list was empty"),
            (_, None) => format!(
                "{registry} is reachable and lists none; start a provider, or check that its \
                 registry, group and version are those of this consumer"
            ),
        }
    }
}
