//! Makes lists of one service from what is known of it, again and again: what has not changed is not read
//! again.

use std::mem;
use std::sync::Arc;

use rpc_core::{Error, InstancePool, ServiceKey};

use super::super::merged::{Merged, ReadRecord, merge};
use super::super::shared_instances::{PlacedInstances, SharedTurns, pool_of};
use super::applications::{KnownProcess, Processes};
use super::providers::Providers;
use crate::off_thread::off_thread_if_long;
use crate::sound::UnsoundInstances;

/// Up to how many processes that changed are compared with what they were.
const FEW: usize = 16;

/// What is known of a service.
#[derive(Default)]
pub(super) struct KnownParts {
    pub(super) providers: Providers,
    pub(super) processes: Vec<Processes>,
    /// The instances of all lists, whoever reads them.
    pub(super) shared: Arc<SharedTurns>,
}

/// What makes lists of one service from what is known.
#[derive(Default)]
pub(super) struct ListMaker {
    /// What processes mean to this service, by the numbers of their readings.
    read: Vec<(u64, ReadRecord)>,
    /// What was known last.
    known: Option<Arc<KnownParts>>,
}

// === impl KnownParts ===

impl KnownParts {
    fn len(&self) -> usize {
        let processes = self.processes.iter().map(Processes::node_count);
        self.providers.node_count() + processes.sum::<usize>()
    }

    /// Whether these are those, each read once. Processes may be in another order.
    pub(super) fn are_same(&self, other: &Self) -> bool {
        let has = |all: &[Processes], one: &Processes| all.iter().any(|known| known.are_same(one));
        self.providers.are_same(&other.providers)
            && self.processes.len() == other.processes.len()
            && self.processes.iter().all(|one| has(&other.processes, one))
            && other.processes.iter().all(|one| has(&self.processes, one))
    }

    /// What could not be read.
    pub(super) fn left_out(&self) -> impl Iterator<Item = &Arc<UnsoundInstances>> {
        let parts = self.processes.iter().map(|processes| &processes.left_out);
        parts.chain([&self.providers.left_out])
    }
}

// === impl ListMaker ===

impl ListMaker {
    /// Takes on what is known; the list of `service` if it may be another one, or is wanted anyway. Apart
    /// from the runtime's threads if it is long.
    ///
    /// # Errors
    /// The runtime shuts down.
    pub(super) async fn make(
        &mut self,
        service: &ServiceKey,
        known: &Arc<KnownParts>,
        is_wanted: bool,
    ) -> Result<Option<Merged>, Error> {
        let (service, parts) = (service.clone(), Arc::clone(known));
        let mut maker = mem::take(self);
        let make = move || {
            let is_news = maker.read(&service, &parts);
            let merged = (is_news || is_wanted).then(|| {
                let records = maker.read.iter().map(|(_, record)| record);
                merge(&service, parts.providers.iter(), records)
            });
            (maker, merged)
        };
        let (maker, merged) = off_thread_if_long(known.len(), make).await?;
        *self = maker;
        Ok(merged)
    }

    /// Reads what the processes mean to `service`; those that have not changed are not read again. Says
    /// whether its list may be another one.
    fn read(&mut self, service: &ServiceKey, known: &Arc<KnownParts>) -> bool {
        let is_same = self.read_records(service, known);
        let before = self.known.replace(Arc::clone(known));
        let has_same = |before: Arc<KnownParts>| {
            before.providers.are_same(&known.providers) && before.left_out().eq(known.left_out())
        };
        !(is_same && before.is_some_and(has_same))
    }

    /// Whether the records say what they did before, as far as that is soon compared.
    fn read_records(&mut self, service: &ServiceKey, known: &KnownParts) -> bool {
        let mut before = mem::take(&mut self.read);
        let held = before.iter().flat_map(|(_, record)| record.instances());
        let mut pool = pool_of(held.chain(known.providers.instances()));
        let (mut new, mut providers) = (Vec::new(), None);
        let all = known.processes.iter().flat_map(Processes::readings);
        let mut all: Vec<(u64, &KnownProcess)> = all.collect();
        all.sort_unstable_by_key(|(reading, _)| *reading);
        self.read.reserve_exact(all.len());
        let mut old = mem::take(&mut before).into_iter().peekable();
        for (reading, process) in all {
            while let Some(gone) = old.next_if(|(old, _)| *old < reading) {
                before.push(gone);
            }
            let same = old.next_if(|(old, _)| *old == reading);
            let read = same.unwrap_or_else(|| {
                new.push(self.read.len());
                let mut read = read_one(service, process, &mut pool);
                let providers = providers
                    .get_or_insert_with(|| PlacedInstances::of(known.providers.instances()));
                read.share_with(providers, &known.shared);
                (reading, read)
            });
            self.read.push(read);
        }
        before.extend(old);
        let was_known = |at: &usize| before.iter().any(|(_, record)| *record == self.read[*at].1);
        before.len() == new.len() && new.len() <= FEW && new.iter().all(was_known)
    }
}

/// What a process means to those who want `service`.
pub(super) fn read_one(
    service: &ServiceKey,
    process: &KnownProcess,
    pool: &mut InstancePool,
) -> ReadRecord {
    let metadata = process.metadata.as_deref();
    ReadRecord::new(service, &process.record.whole(), metadata, pool)
}
