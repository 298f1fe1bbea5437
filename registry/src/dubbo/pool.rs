//! What many instances of a list have in common, kept once.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rpc_core::ServiceKey;

/// Entries up to which nothing is looked through.
const SMALL: usize = 64;

/// Shares equal service keys and metadata between the instances that are read with it.
///
/// Ten thousand instances of one service say the same of themselves but for address and start. A pool
/// forgets what no instance holds any more, so it is as large as the lists that are alive.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    services: HashSet<ServiceKey>,
    metadata: HashSet<Arc<BTreeMap<String, String>>>,
    swept_at: usize,
}

impl Pool {
    /// The same key, or an equal one from before.
    pub(super) fn service(&mut self, key: ServiceKey) -> ServiceKey {
        if let Some(known) = self.services.get(&key) {
            return known.clone();
        }
        // Keys do not tell who holds them; there are as many as services are read, at most.
        if self.services.len() > SMALL {
            self.services.clear();
        }
        self.services.insert(key.clone());
        key
    }

    /// The same map, or an equal one from before.
    pub(super) fn metadata(
        &mut self,
        map: BTreeMap<String, String>,
    ) -> Arc<BTreeMap<String, String>> {
        if let Some(known) = self.metadata.get(&map) {
            return known.clone();
        }
        if self.metadata.len() >= SMALL.max(self.swept_at * 2) {
            self.metadata.retain(|map| Arc::strong_count(map) > 1);
            self.swept_at = self.metadata.len();
        }
        let shared = Arc::new(map);
        self.metadata.insert(shared.clone());
        shared
    }

    /// How many maps it keeps.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.metadata.len()
    }
}
