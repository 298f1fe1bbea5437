//! What the processes of a revision serve: read by revision, and remembered in a session for those that were used
//! last.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use rpc_core::Error;
use tokio::time::{Instant, timeout_at};

use super::super::metadata_info::MetadataInfo;
use super::super::paths::{TreePaths, is_segment};
use super::super::tree::NodeTree;
use crate::lock::locked;
use crate::sound;

/// Most revisions that are remembered. Lists hold what they use themselves; one that is remembered no more and comes
/// back is read again.
const MAX_REMEMBERED: usize = 64;

/// Most revisions that are read at the same time.
const AT_ONCE: usize = 8;

/// How long the revisions of one application may take to be read; what is missing then is read later.
const READ_LIMIT: Duration = Duration::from_secs(4);

/// Reads metadata by application and revision, and remembers the [`MAX_REMEMBERED`] that were used last: a revision
/// never changes.
pub(super) struct MetadataReader {
    tree: Arc<dyn NodeTree>,
    paths: Arc<TreePaths>,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    by_revision: HashMap<(String, String), (Arc<MetadataInfo>, u64)>,
    /// Counts uses, so that the one that was not used for longest goes first.
    uses: u64,
}

impl MetadataReader {
    pub(super) fn new(tree: Arc<dyn NodeTree>, paths: Arc<TreePaths>) -> Self {
        Self { tree, paths, remembered: Mutex::default() }
    }

    /// The metadata of these revisions of an application, as far as it can be read now.
    pub(super) async fn read(
        &self,
        application: &str,
        revisions: HashSet<String>,
    ) -> HashMap<String, Arc<MetadataInfo>> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        for revision in revisions {
            match self.recall(application, &revision) {
                Some(metadata) => {
                    found.insert(revision, metadata);
                }
                None => missing.push(revision),
            }
        }
        let until = Instant::now() + READ_LIMIT;
        let reads = missing.into_iter().map(|revision| self.read_one(application, revision));
        let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
        while let Ok(Some((revision, read))) = timeout_at(until, reads.next()).await {
            match read {
                Ok(metadata) => {
                    found.insert(revision, metadata);
                }
                Err(why) => tracing::debug!(
                    target: "dubhe::registry::list",
                    application, revision, why, "the services of a revision cannot be read yet"
                ),
            }
        }
        found
    }

    async fn read_one(
        &self,
        application: &str,
        revision: String,
    ) -> (String, Result<Arc<MetadataInfo>, String>) {
        let read = self.read_from_tree(application, &revision).await.map(Arc::new);
        if let Ok(metadata) = &read {
            self.remember(application, &revision, metadata);
        }
        (revision, read)
    }

    async fn read_from_tree(
        &self,
        application: &str,
        revision: &str,
    ) -> Result<MetadataInfo, String> {
        if !is_segment(revision) {
            return Err(format!("`{}` is no revision", sound::plain(revision)));
        }
        let said = |error: Error| error.to_string();
        for path in self.paths.metadata(application, revision) {
            if let Some(json) = self.tree.value(&path).await.map_err(said)? {
                return MetadataInfo::from_json(&json);
            }
        }
        Err("the registry does not have them".to_owned())
    }

    fn recall(&self, application: &str, revision: &str) -> Option<Arc<MetadataInfo>> {
        let mut remembered = locked(&self.remembered);
        remembered.uses += 1;
        let uses = remembered.uses;
        let key = (application.to_owned(), revision.to_owned());
        let (metadata, used) = remembered.by_revision.get_mut(&key)?;
        *used = uses;
        Some(Arc::clone(metadata))
    }

    fn remember(&self, application: &str, revision: &str, metadata: &Arc<MetadataInfo>) {
        let mut remembered = locked(&self.remembered);
        remembered.uses += 1;
        let Remembered { by_revision, uses } = &mut *remembered;
        if by_revision.len() >= MAX_REMEMBERED {
            let oldest = by_revision.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                by_revision.remove(&oldest);
            }
        }
        let key = (application.to_owned(), revision.to_owned());
        by_revision.insert(key, (Arc::clone(metadata), *uses));
    }
}

impl fmt::Debug for MetadataReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = locked(&self.remembered).by_revision.len();
        f.debug_struct("MetadataReader").field("remembered", &remembered).finish_non_exhaustive()
    }
}
