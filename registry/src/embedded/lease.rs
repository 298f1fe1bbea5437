//! When an instance is evicted; the rules are those of Netflix's Eureka, for small fleets too.
//!
//! A registry that evicts wrongly does more harm than one that keeps a dead address, which callers
//! skip at once. So leases count monotonic time; a sweep that comes late (the machine slept, the
//! process was stopped) extends every lease by its lateness and holds still for one renewal, at
//! least for 5 s; one sweep evicts a small share, chosen at random, so that no application is wiped
//! out; and where many owners fall silent at once it is rather the server that is cut off, so none of
//! them is evicted. A closed connection is another matter: the process or the operating system closed it.
//!
//! | what happens | effect on an instance |
//! | --- | --- |
//! | its client renews, by default every 10 s | 30 s from then on |
//! | its client closes the connection | 3 s from then on |
//! | its client is silent, most others are not | evicted after 30 s, at most 15 % of all in one sweep |
//! | so many are silent that less than 85 % were renewed in time | kept, for at most 15 min |
//! | the server itself stood still | extended by that time |

use std::collections::HashSet;
use std::time::Duration;

use rand::Rng;
use rand::seq::SliceRandom as _;
use tokio::time::Instant;

use super::settings::RegistryServerConfig;
use super::table::{InstanceKey, InstanceTable};

/// A timer this late was not late by chance.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(1);

/// In this time a client comes back that has lost its session because the server stood still
/// ([`Pace::longest_pause`](crate::Pace), and the attempt).
const COMING_BACK: Duration = Duration::from_secs(5);

/// Longest time between two sweeps: what is needed to notice that the process stood still.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Shortest time between two sweeps.
pub(crate) const SWEEP_GAP: Duration = Duration::from_secs(1);

/// The state of eviction.
#[derive(Debug)]
pub(crate) struct Leases {
    /// When the next sweep is due, if one is.
    due: Option<Instant>,
    quiet_until: Instant,
    preserving_since: Option<Instant>,
}

impl Leases {
    pub(crate) fn new(now: Instant) -> Self {
        Self { due: None, quiet_until: now, preserving_since: None }
    }

    pub(crate) fn is_preserving(&self) -> bool {
        self.preserving_since.is_some()
    }

    /// Sets when the next sweep is due: never while nothing is registered.
    pub(crate) fn schedule(&mut self, table: &InstanceTable, now: Instant) -> Option<Instant> {
        let earliest = table.entries().map(|(_, entry)| entry.expires).min();
        self.due = earliest.map(|at| at.clamp(now + SWEEP_GAP, now + HEARTBEAT));
        self.due
    }

    /// Ends leases that have run out; returns the instances that were evicted.
    pub(crate) fn sweep(
        &mut self,
        table: &mut InstanceTable,
        config: &RegistryServerConfig,
        (now, rng): (Instant, &mut impl Rng),
    ) -> Vec<InstanceKey> {
        let late = self.due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        if late > TOLERANCE {
            for (_, entry) in table.entries_mut() {
                entry.expires += late;
                entry.renewed += late;
            }
            self.quiet_until = now + config.renew.max(COMING_BACK);
            tracing::warn!(
                target: "dubhe::registry::server",
                late_ms = late.as_millis(), "registry stood still, leases extended"
            );
        }
        if now < self.quiet_until {
            return Vec::new();
        }
        let preserves = self.preserves(table, config, now);
        let ended = |entry: &super::table::LeasedInstance| {
            entry.expires <= now && (entry.is_closed || !preserves)
        };
        let ended = table.entries().filter(|(_, entry)| ended(entry));
        let mut keys: Vec<InstanceKey> = ended.map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        keys.shuffle(rng);
        keys.truncate(share(table.len(), config.evict_share).max(1));
        keys.retain(|key| table.remove(key));
        keys
    }

    /// Whether silent instances are kept. One silent owner is a dead process; many are a network.
    fn preserves(
        &mut self,
        table: &InstanceTable,
        config: &RegistryServerConfig,
        now: Instant,
    ) -> bool {
        let (mut open, mut in_time, mut silent) = (0_usize, 0_usize, HashSet::new());
        for (_, entry) in table.entries().filter(|(_, entry)| !entry.is_closed) {
            open += 1;
            in_time += usize::from(entry.is_in_time(now, config));
            if entry.expires <= now {
                silent.insert(entry.owner);
            }
        }
        if silent.len() < 2 || in_time >= share(open, config.preserve_below) {
            if self.preserving_since.take().is_some() {
                tracing::info!(
                    target: "dubhe::registry::server",
                    "leases are renewed in time again, self-preservation ended"
                );
            }
            return false;
        }
        if self.preserving_since.is_none() {
            tracing::warn!(
                target: "dubhe::registry::server",
                in_time,
                open,
                "too few leases renewed in time, keeping silent instances"
            );
        }
        let since = *self.preserving_since.get_or_insert(now);
        now.saturating_duration_since(since) < config.preserve_limit
    }
}

/// `part` of `whole`, rounded down, without floats beyond 2^52.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn share(whole: usize, part: f64) -> usize {
    (whole as f64 * part.clamp(0.0, 1.0)) as usize
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use rpc_core::{Instance, ServiceKey};

    use super::super::caller::Registrant;
    use super::*;

    /// A table in which `n` owners hold one instance each.
    struct World {
        table: InstanceTable,
        leases: Leases,
        config: RegistryServerConfig,
        start: Instant,
        rng: StdRng,
    }

    impl World {
        fn new(n: u64) -> Self {
            let (mut table, config, start) =
                (InstanceTable::new(), RegistryServerConfig::default(), Instant::now());
            for owner in 0..n {
                let address = format!("10.0.0.1:{owner}");
                let instance = Instance::new(ServiceKey::new("shop.Inventory"), &address, "id");
                let caller = Registrant::numbered(owner);
                table.register(instance, &caller, (start, &config)).unwrap();
            }
            Self { table, leases: Leases::new(start), config, start, rng: StdRng::seed_from_u64(7) }
        }

        fn renew(&mut self, owners: std::ops::Range<u64>, at: u64) {
            let now = self.start + Duration::from_secs(at);
            for owner in owners {
                self.table.owned_mut(owner, |entry| {
                    entry.renewed = now;
                    entry.expires = now + self.config.lease;
                });
            }
        }

        /// Sweeps in time at second `at`; returns how many are left.
        fn sweep(&mut self, at: u64) -> usize {
            let now = self.start + Duration::from_secs(at);
            self.leases.due = None;
            self.sweep_late(now)
        }

        fn sweep_late(&mut self, now: Instant) -> usize {
            self.leases.sweep(&mut self.table, &self.config, (now, &mut self.rng));
            self.table.len()
        }
    }

    #[test]
    fn one_silent_owner_of_three_is_evicted_after_its_lease() {
        let mut world = World::new(3);
        world.renew(0..2, 10);
        world.renew(0..2, 20);
        assert_eq!(world.sweep(29), 3);
        assert_eq!(world.sweep(30), 2);
        assert!(!world.leases.is_preserving());
    }

    #[test]
    fn one_sweep_evicts_at_most_its_share_in_random_order() {
        let mut world = World::new(100);
        for owner in 0..100 {
            world.table.owned_mut(owner, |entry| entry.is_closed = true);
        }
        assert_eq!(world.sweep(30), 85);
        let mut left: Vec<_> = world.table.entries().map(|(key, _)| key.clone()).collect();
        left.sort_unstable();
        let mut all: Vec<_> = World::new(100).table.entries().map(|(key, _)| key.clone()).collect();
        all.sort_unstable();
        assert!(left != all[15..] && left != all[..85], "they were evicted in their order");
        assert_eq!(world.sweep(31), 73);
    }

    #[test]
    fn many_silent_owners_at_once_are_kept_until_the_limit() {
        let mut world = World::new(20);
        for at in [10, 20, 30, 40] {
            world.renew(0..10, at);
        }
        assert_eq!(world.sweep(40), 20);
        assert!(world.leases.is_preserving());
        world.renew(0..10, 940);
        assert_eq!(world.sweep(945), 17);
    }

    #[test]
    fn preservation_ends_when_leases_are_renewed_again() {
        let mut world = World::new(20);
        world.renew(0..10, 30);
        assert_eq!(world.sweep(40), 20);
        world.renew(0..19, 45);
        assert_eq!(world.sweep(46), 19);
        assert!(!world.leases.is_preserving());
    }

    #[test]
    fn a_late_sweep_evicts_nobody_and_extends_every_lease() {
        let mut world = World::new(3);
        let due = world.leases.schedule(&world.table, world.start).unwrap();
        assert_eq!(due, world.start + HEARTBEAT);
        world.table.owned_mut(0, |entry| {
            entry.is_closed = true;
            entry.expires = world.start;
        });
        assert_eq!(world.sweep_late(world.start + Duration::from_secs(65)), 3);
        assert_eq!(world.sweep(74), 3);
        assert_eq!(world.sweep(75), 2);
        world.renew(1..3, 80);
        assert_eq!(world.sweep(91), 2);
    }

    #[test]
    fn after_standing_still_it_waits_for_clients_that_come_back_however_often_they_renew() {
        let mut world = World::new(3);
        (world.config.lease, world.config.renew) = (Duration::from_secs(6), Duration::from_secs(2));
        world.leases.schedule(&world.table, world.start);
        // It has lost its session meanwhile, and pauses before it opens the next.
        world.table.owned_mut(0, |entry| {
            entry.is_closed = true;
            entry.expires = world.start;
        });
        assert_eq!(world.sweep_late(world.start + Duration::from_secs(65)), 3);
        world.renew(1..3, 66);
        assert_eq!(world.sweep(69), 3);
        world.renew(1..3, 69);
        assert_eq!(world.sweep(70), 2);
    }
}
