//! Tells of the instances of a list that no consumer here can call, no more often than people read it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Instance, ServiceKey};
use tokio::time::Instant;

/// The least time between two warnings about one list.
const TOLD_EVERY: Duration = Duration::from_secs(600);

/// The most that is named of what instances speak, and of what one of them speaks.
const NAMED: usize = 8;

/// What was told of one list.
#[derive(Debug, Default)]
pub(super) struct UncallableTeller {
    told: Option<Instant>,
    /// How many instances it was about, and what they speak; empty once there was none again.
    about: (usize, BTreeSet<Arc<[String]>>),
}

impl UncallableTeller {
    /// Warns of `left_out`, which speak none of the `known` protocols, if they are others than it was
    /// about before; at most once in 10 minutes.
    pub(super) fn tell(
        &mut self,
        service: &ServiceKey,
        left_out: &[Arc<Instance>],
        known: impl FnOnce() -> Vec<&'static str>,
    ) {
        if !self.is_due(left_out) {
            return;
        }
        let (count, protocols) = &self.about;
        let mut spoken: Vec<String> = protocols.iter().take(NAMED).map(spoken_by).collect();
        if protocols.len() > NAMED {
            spoken.push(format!("and {} more", protocols.len() - NAMED));
        }
        tracing::warn!(
            target: "dubhe::directory",
            %service,
            left_out = count,
            spoken = spoken.join(", "),
            needed = known().join(", "),
            "instances left out: no common protocol"
        );
    }

    fn is_due(&mut self, left_out: &[Arc<Instance>]) -> bool {
        if left_out.is_empty() {
            self.about = Default::default();
            return false;
        }
        let protocols = left_out.iter().map(|instance| Arc::clone(&instance.protocols)).collect();
        let (about, now) = ((left_out.len(), protocols), Instant::now());
        let is_early = self.told.is_some_and(|at| now.saturating_duration_since(at) < TOLD_EVERY);
        if is_early || self.about == about {
            return false;
        }
        (self.told, self.about) = (Some(now), about);
        true
    }
}

fn spoken_by(protocols: &Arc<[String]>) -> String {
    let named = |name: &String| name.chars().take(40).collect::<String>();
    let more = if protocols.len() > NAMED { "+…" } else { "" };
    let named: Vec<_> = protocols.iter().take(NAMED).map(named).collect();
    named.join("+") + more
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn speaking(protocols: &[&str]) -> Vec<Arc<Instance>> {
        let instance = |protocol: &&str| {
            let mut instance = Instance::new(ServiceKey::new("shop.Stock"), "a:1", "id");
            instance.protocols = [(*protocol).to_owned()].into();
            Arc::new(instance)
        };
        protocols.iter().map(instance).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_out_is_told_when_it_changes_and_once_in_ten_minutes_at_most() {
        let mut teller = UncallableTeller::default();
        assert!(!teller.is_due(&[]));
        assert!(teller.is_due(&speaking(&["tri"])), "the first time");
        for left_out in [speaking(&["tri"]), speaking(&["tri", "tri"]), Vec::new()] {
            assert!(!teller.is_due(&left_out), "within 10 minutes");
        }
        advance(TOLD_EVERY).await;
        assert!(teller.is_due(&speaking(&["tri"])), "they have come back");
        advance(TOLD_EVERY * 10).await;
        assert!(!teller.is_due(&speaking(&["tri"])), "nothing is new");
        assert!(teller.is_due(&speaking(&["tri", "tri"])), "there are more");
        advance(TOLD_EVERY).await;
        assert!(teller.is_due(&speaking(&["tri", "rest"])), "one speaks something else");
    }
}
