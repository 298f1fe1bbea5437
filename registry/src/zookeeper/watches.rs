//! Which changes at the server somebody here waits for.
//!
//! A watch of ZooKeeper ends with the first change that it tells. It is entered here before the
//! request that sets it is sent, so that no change is lost between the two; who waits reads again and
//! so sets it again.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::message::WatchKind;
use crate::lock::locked;

/// One who waits for changes, at any number of paths.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    changed: Mutex<HashSet<Arc<str>>>,
    news: Notify,
}

impl Watcher {
    /// Waits for a change and takes all that there are by then: the paths where they were.
    pub(super) async fn changed(&self) -> HashSet<Arc<str>> {
        loop {
            let changed = self.take();
            if !changed.is_empty() {
                return changed;
            }
            self.news.notified().await;
        }
    }

    /// Takes the changes that there are.
    pub(super) fn take(&self) -> HashSet<Arc<str>> {
        std::mem::take(&mut *locked(&self.changed))
    }

    fn tell(&self, path: &Arc<str>) {
        // Bounded by the paths that it watches.
        locked(&self.changed).insert(Arc::clone(path));
        self.news.notify_one();
    }
}

/// What is watched: which kind of change, and where.
pub(super) type WatchedPath = (WatchKind, Arc<str>);

/// The watches of a connection.
#[derive(Default)]
pub(super) struct WatchTable(Mutex<HashMap<WatchedPath, Vec<Arc<Watcher>>>>);

impl WatchTable {
    /// Enters a watch; to be called before the request that sets it at the server is sent.
    pub(super) fn enter(&self, kind: WatchKind, path: &Arc<str>, watcher: &Arc<Watcher>) {
        let mut table = locked(&self.0);
        let watchers = table.entry((kind, Arc::clone(path))).or_default();
        if !watchers.iter().any(|other| Arc::ptr_eq(other, watcher)) {
            watchers.push(Arc::clone(watcher));
        }
    }

    /// Takes a watch out. If nobody else has one there, `unset` is to remove it at the server; it is
    /// called before anybody can enter another, so that the two requests cannot overtake each other.
    pub(super) fn leave(
        &self,
        kind: WatchKind,
        path: &Arc<str>,
        watcher: &Arc<Watcher>,
        unset: impl FnOnce(),
    ) {
        let mut table = locked(&self.0);
        let key = (kind, Arc::clone(path));
        let Some(watchers) = table.get_mut(&key) else { return };
        watchers.retain(|other| !Arc::ptr_eq(other, watcher));
        if watchers.is_empty() {
            table.remove(&key);
            unset();
        }
    }

    /// Tells the watchers of `path` of a change, which ends their watches.
    pub(super) fn fire(&self, kinds: &[WatchKind], path: &str) {
        let path: Arc<str> = path.into();
        let mut table = locked(&self.0);
        for kind in kinds {
            for watcher in table.remove(&(*kind, Arc::clone(&path))).unwrap_or_default() {
                watcher.tell(&path);
            }
        }
    }

    /// How many paths are watched.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        locked(&self.0).len()
    }
}

impl fmt::Debug for WatchTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WatchTable({} paths)", locked(&self.0).len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Arc<str> {
        text.into()
    }

    #[tokio::test]
    async fn a_change_is_told_once_and_to_all_who_watch_its_kind() {
        let (table, one, two) = (WatchTable::default(), Arc::default(), Arc::default());
        table.enter(WatchKind::Children, &path("/a"), &one);
        table.enter(WatchKind::Children, &path("/a"), &one);
        table.enter(WatchKind::Children, &path("/a"), &two);
        table.enter(WatchKind::Value, &path("/a"), &two);
        table.fire(&[WatchKind::Children], "/a");
        table.fire(&[WatchKind::Children], "/a");
        assert_eq!(one.changed().await, HashSet::from([path("/a")]));
        assert_eq!(two.take().len(), 1);
        assert!(one.take().is_empty());
        table.fire(&[WatchKind::Value, WatchKind::Children], "/a");
        assert_eq!((one.take().len(), two.take().len()), (0, 1));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn only_the_last_who_leaves_a_path_removes_its_watch_at_the_server() {
        let (table, one, two) = (WatchTable::default(), Arc::default(), Arc::default());
        let leave = |watcher| {
            let mut is_unset = false;
            table.leave(WatchKind::Value, &path("/a"), watcher, || is_unset = true);
            is_unset
        };
        table.enter(WatchKind::Value, &path("/a"), &one);
        table.enter(WatchKind::Value, &path("/a"), &two);
        assert_eq!(
            (leave(&one), leave(&one), leave(&two), leave(&two)),
            (false, false, true, false)
        );
    }
}
