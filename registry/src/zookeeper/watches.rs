//! Which changes at the server somebody here waits for.
//!
//! A watch of ZooKeeper ends with the first change that it tells. It is entered here before the
//! request that sets it is sent, so that no change is lost between the two; who waits reads again and
//! so sets it again.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use super::message::WatchKind;
use super::name_set::NameSet;
use crate::lock::locked;

/// Paths that are left while the table is locked once. The longest list takes fewer times than orders find a place in a
/// queue.
const LEFT_AT_ONCE: usize = 256;

/// One who waits for changes, at any number of paths.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    told: Mutex<ToldChanges>,
    /// The children whose values it watches, if any. They are replaced as a whole, so that nobody who looks waits for
    /// who changes them.
    children: Mutex<Option<Arc<NameSet>>>,
}

/// What a [`Watcher`] has been told.
#[derive(Debug, Default)]
struct ToldChanges {
    /// The paths where something has changed.
    paths: BTreeSet<Arc<str>>,
    /// Whether there will be no more, as the connection has ended.
    are_all: bool,
    /// The one who waits, if it does.
    waiting: Option<Waker>,
}

impl Watcher {
    /// Waits for a change and takes all that there are by then: the paths where they were. `None` once there will be
    /// no more.
    pub(super) fn changed(&self) -> impl Future<Output = Option<BTreeSet<Arc<str>>>> {
        poll_fn(|cx| {
            let mut told = locked(&self.told);
            if !told.paths.is_empty() {
                return Poll::Ready(Some(mem::take(&mut told.paths)));
            }
            if told.are_all {
                return Poll::Ready(None);
            }
            let before = told.waiting.replace(cx.waker().clone());
            drop(told);
            // A task may end with the last that wakes it.
            drop(before);
            Poll::Pending
        })
    }

    /// Takes the changes that there are.
    pub(super) fn take(&self) -> BTreeSet<Arc<str>> {
        mem::take(&mut locked(&self.told).paths)
    }

    /// Whether it watches the value of this child, or has watched and not forgotten it.
    pub(super) fn has_child(&self, name: &str) -> bool {
        locked(&self.children).as_ref().is_some_and(|children| children.contains(name))
    }

    /// Forgets the children whose watches have ended, and returns them.
    pub(super) fn forget_children(&self, has_ended: impl Fn(&str) -> bool) -> NameSet {
        loop {
            let Some(known) = self.children() else { return NameSet::default() };
            let (ended, kept) = known.parted(&has_ended);
            if ended.len() == 0 || self.replace_children(Some(&known), Some(kept.into())) {
                return ended;
            }
        }
    }

    fn children(&self) -> Option<Arc<NameSet>> {
        locked(&self.children).clone()
    }

    /// Puts `new` in the place of `known`, unless others are there by now; says whether it did.
    fn replace_children(&self, known: Option<&Arc<NameSet>>, new: Option<Arc<NameSet>>) -> bool {
        let mut children = locked(&self.children);
        let is_same = children.as_ref().map(Arc::as_ptr) == known.map(Arc::as_ptr);
        if is_same {
            *children = new.filter(|new| new.len() > 0);
        }
        is_same
    }

    /// Notes a change; who waits is to be woken once no lock is held.
    fn tell(&self, path: &Arc<str>) -> Option<Waker> {
        let mut told = locked(&self.told);
        // Bounded by the paths that it watches.
        told.paths.insert(Arc::clone(path));
        told.waiting.take()
    }

    /// Notes the end, as [`tell`](Self::tell) does a change.
    fn end(&self) -> Option<Waker> {
        let mut told = locked(&self.told);
        told.are_all = true;
        told.waiting.take()
    }
}

/// The watches of a connection.
#[derive(Default)]
pub(super) struct WatchTable(Mutex<WatchesAtPaths>);

#[derive(Default)]
struct WatchesAtPaths {
    here: ByKind<WatchedPaths>,
    /// Who watches values of children of a path; each knows which.
    of_children: WatchedPaths,
    /// Whether the connection has ended.
    is_over: bool,
}

/// Something for each kind of change.
#[derive(Debug, Default)]
pub(super) struct ByKind<T> {
    of_values: T,
    of_children: T,
}

/// Who watches paths for one kind of change.
#[derive(Debug, Default)]
struct WatchedPaths {
    first: HashMap<Arc<str>, Arc<Watcher>>,
    /// Those beside the first; of most paths there are none.
    others: HashMap<Arc<str>, Vec<Arc<Watcher>>>,
}

// === impl ByKind ===

impl<T> ByKind<T> {
    pub(super) fn of(&mut self, kind: WatchKind) -> &mut T {
        match kind {
            WatchKind::Value => &mut self.of_values,
            WatchKind::Children => &mut self.of_children,
        }
    }

    pub(super) fn each(&self) -> [(WatchKind, &T); 2] {
        [(WatchKind::Value, &self.of_values), (WatchKind::Children, &self.of_children)]
    }
}

// === impl WatchedPaths ===

impl WatchedPaths {
    fn enter(&mut self, path: &Arc<str>, watcher: &Arc<Watcher>) {
        let Some(first) = self.first.get(path) else {
            self.first.insert(Arc::clone(path), Arc::clone(watcher));
            return;
        };
        if Arc::ptr_eq(first, watcher) {
            return;
        }
        let others = self.others.entry(Arc::clone(path)).or_default();
        if !others.iter().any(|other| Arc::ptr_eq(other, watcher)) {
            others.push(Arc::clone(watcher));
        }
    }

    /// Takes a watcher out; says whether it was the last.
    fn leave(&mut self, path: &str, watcher: &Arc<Watcher>) -> bool {
        let is_first = self.first.get(path).is_some_and(|first| Arc::ptr_eq(first, watcher));
        let others = self.others.get_mut(path);
        let next = others.and_then(|others| {
            others.retain(|other| !Arc::ptr_eq(other, watcher));
            if is_first { others.pop() } else { None }
        });
        if self.others.get(path).is_some_and(Vec::is_empty) {
            self.others.remove(path);
        }
        match (is_first, next) {
            (true, Some(next)) => {
                if let Some(first) = self.first.get_mut(path) {
                    *first = next;
                }
                false
            }
            (true, None) => self.first.remove(path).is_some(),
            (false, _) => false,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Watcher>> {
        self.first.values().chain(self.others.values().flatten())
    }

    /// All watchers of a path.
    fn at(&self, path: &str) -> impl Iterator<Item = &Arc<Watcher>> {
        self.first.get(path).into_iter().chain(self.others.get(path).into_iter().flatten())
    }

    /// Takes out all watchers of a path.
    fn take(&mut self, path: &str) -> impl Iterator<Item = Arc<Watcher>> {
        let first = self.first.remove(path);
        first.into_iter().chain(self.others.remove(path).into_iter().flatten())
    }
}

// === impl WatchesAtPaths ===

impl WatchesAtPaths {
    /// Who watches the value at `path` as that of a child.
    fn of_child<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Arc<Watcher>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or_default();
        self.of_children.at(folder).filter(move |watcher| watcher.has_child(name))
    }

    fn tell_end(&self, watcher: &Watcher) -> Option<Waker> {
        if self.is_over { watcher.end() } else { None }
    }

    /// Whether anybody watches the value at `path`.
    fn has_value(&self, path: &str) -> bool {
        self.here.of_values.first.contains_key(path) || self.of_child(path).next().is_some()
    }
}

// === impl WatchTable ===

impl WatchTable {
    /// Enters a watch; to be called before the request that sets it at the server is sent.
    pub(super) fn enter(&self, kind: WatchKind, path: &Arc<str>, watcher: &Arc<Watcher>) {
        let waiting = {
            let mut table = locked(&self.0);
            table.here.of(kind).enter(path, watcher);
            table.tell_end(watcher)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// As [`enter`](Self::enter), of the values of these children of `folder`.
    pub(super) fn enter_children<'a>(
        &self,
        folder: &Arc<str>,
        names: impl Iterator<Item = &'a str> + Clone,
        watcher: &Arc<Watcher>,
    ) {
        loop {
            // Without the lock, as there may be many.
            let known = watcher.children();
            let all = NameSet::joined(known.as_ref(), names.clone());
            let (waiting, are_entered) = {
                let mut table = locked(&self.0);
                table.of_children.enter(folder, watcher);
                // What is not put there is dropped without the lock, too.
                let are_entered = watcher.replace_children(known.as_ref(), all.clone());
                (table.tell_end(watcher), are_entered)
            };
            waiting.into_iter().for_each(Waker::wake);
            if are_entered {
                return;
            }
        }
    }

    /// Tells all watchers, and those who come later, that the connection has ended.
    pub(super) fn end(&self) {
        let waiting: Vec<_> = {
            let mut table = locked(&self.0);
            table.is_over = true;
            let here = table.here.each().map(|(_, paths)| paths);
            let all = here.into_iter().chain([&table.of_children]).flat_map(WatchedPaths::all);
            all.filter_map(|watcher| watcher.end()).collect()
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Takes a watch out. If nobody else has one there, `unset` is to remove it at the server; it is
    /// called before anybody can enter another, so that the two requests cannot overtake each other.
    pub(super) fn leave(
        &self,
        kind: WatchKind,
        path: &str,
        watcher: &Arc<Watcher>,
        unset: impl FnOnce(),
    ) {
        let mut table = locked(&self.0);
        let is_last = table.here.of(kind).leave(path, watcher);
        if is_last && !(kind == WatchKind::Value && table.has_value(path)) {
            unset();
        }
    }

    /// As [`leave`](Self::leave), for all children of `folder`; `unset` is given the paths of some at a time.
    pub(super) fn leave_children(
        &self,
        folder: &str,
        watcher: &Arc<Watcher>,
        unset: impl Fn(&[String]),
    ) {
        locked(&self.0).of_children.leave(folder, watcher);
        let names = watcher.forget_children(|_| true);
        let mut paths = names.iter().map(|name| format!("{folder}/{name}"));
        loop {
            let mut some: Vec<String> = paths.by_ref().take(LEFT_AT_ONCE).collect();
            if some.is_empty() {
                return;
            }
            // Locked anew for the next: there may be many.
            let table = locked(&self.0);
            some.retain(|path| !table.has_value(path));
            if !some.is_empty() {
                unset(&some);
            }
        }
    }

    /// Tells the watchers of `path` of a change, which ends their watches.
    pub(super) fn fire(&self, kinds: &[WatchKind], path: &str) {
        let path: Arc<str> = path.into();
        // Those that are taken out are dropped at the end, without the lock.
        let (mut fired, mut waiting) = (Vec::new(), Vec::new());
        {
            let mut table = locked(&self.0);
            for kind in kinds {
                fired.extend(table.here.of(*kind).take(&path));
            }
            waiting.extend(fired.iter().filter_map(|watcher| watcher.tell(&path)));
            if kinds.contains(&WatchKind::Value) {
                waiting.extend(table.of_child(&path).filter_map(|watcher| watcher.tell(&path)));
            }
        }
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How many watches there are: one for each kind at a path, and one for each watcher of a child.
    pub(super) fn len(&self) -> usize {
        let table = locked(&self.0);
        let here = table.here.each().map(|(_, paths)| paths.first.len());
        let children = |watcher: &Arc<Watcher>| watcher.children().map_or(0, |names| names.len());
        here.iter().sum::<usize>() + table.of_children.all().map(children).sum::<usize>()
    }
}

impl fmt::Debug for WatchTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WatchTable({} watches)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Wake};

    use super::*;

    /// Fails where it is woken or dropped while the table is locked.
    struct OpenToTheWoken(Arc<WatchTable>);

    impl Wake for OpenToTheWoken {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for OpenToTheWoken {
        fn drop(&mut self) {
            assert!(self.0.0.try_lock().is_ok(), "the table is locked");
        }
    }

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
        assert_eq!(one.changed().await, Some(BTreeSet::from([path("/a")])));
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

    #[tokio::test]
    async fn a_child_is_watched_beside_its_own_path_and_by_each_who_entered_it() {
        let (table, one, two) = (WatchTable::default(), Arc::default(), Arc::default());
        let folder = path("/a");
        table.enter_children(&folder, ["b", "c"].into_iter(), &one);
        table.enter_children(&folder, ["b"].into_iter(), &two);
        table.enter(WatchKind::Value, &path("/a/c"), &two);
        assert_eq!(format!("{table:?}"), "WatchTable(4 watches)");
        table.fire(&[WatchKind::Children], "/a/b");
        table.fire(&[WatchKind::Value], "/a");
        table.fire(&[WatchKind::Value], "/a/d");
        assert!(one.take().is_empty() && two.take().is_empty());
        table.fire(&[WatchKind::Value], "/a/b");
        assert_eq!(one.changed().await, Some(BTreeSet::from([path("/a/b")])));
        assert_eq!(two.changed().await, Some(BTreeSet::from([path("/a/b")])));
        let leave = |watcher| {
            let unset = Mutex::<Vec<String>>::default();
            table.leave_children("/a", watcher, |paths| locked(&unset).extend_from_slice(paths));
            unset.into_inner().unwrap()
        };
        assert!(leave(&one).is_empty(), "the other one has both");
        assert_eq!(leave(&two), ["/a/b"]);
        table.leave(WatchKind::Value, "/a/c", &two, || {});
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn names_are_taken_on_while_the_table_is_open_to_others() {
        let (table, watcher) = (WatchTable::default(), Arc::<Watcher>::default());
        let names = ["c", "a", "b", "a"].into_iter().inspect(|_| {
            // They come one by one while they are joined with those that are known.
            assert!(table.0.try_lock().is_ok(), "a long list holds up nobody");
            assert!(watcher.children.try_lock().is_ok(), "nor who looks for a child");
        });
        table.enter_children(&path("/a"), names, &watcher);
        table.enter_children(&path("/a"), ["b", "d"].into_iter(), &watcher);
        let gone = watcher.forget_children(|name| {
            assert!(watcher.children.try_lock().is_ok(), "nor does what goes");
            name != "b"
        });
        assert_eq!(gone.iter().collect::<Vec<_>>(), ["a", "c", "d"]);
        assert!(watcher.has_child("b") && table.len() == 1);
    }

    #[tokio::test]
    async fn whoever_watches_or_comes_to_watch_hears_of_the_end_after_what_changed() {
        let table = WatchTable::default();
        let watchers: [Arc<Watcher>; 4] = Default::default();
        let [value, children, child, late] = &watchers;
        table.enter(WatchKind::Value, &path("/a"), value);
        table.enter(WatchKind::Children, &path("/a"), children);
        table.enter_children(&path("/a"), ["b"].into_iter(), child);
        table.fire(&[WatchKind::Value], "/a/b");
        table.end();
        table.enter_children(&path("/a"), ["b"].into_iter(), late);
        assert!(child.changed().await.is_some());
        for watcher in &watchers {
            assert_eq!(watcher.changed().await, None);
        }
    }

    #[test]
    fn who_waits_is_woken_while_the_table_is_open() {
        let table = Arc::<WatchTable>::default();
        // The last that holds one of these is who wakes it.
        let wait = |watcher: &Watcher| {
            let waker = Arc::new(OpenToTheWoken(Arc::clone(&table))).into();
            pin!(watcher.changed()).as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        };
        let (watcher, late) = (Arc::<Watcher>::default(), Arc::<Watcher>::default());
        for kind in [WatchKind::Value, WatchKind::Children] {
            table.enter(kind, &path("/a"), &watcher);
            assert!(wait(&watcher) && wait(&watcher));
            table.fire(&[kind], "/a");
            assert_eq!(watcher.take().len(), 1);
        }
        table.enter_children(&path("/a"), ["b"].into_iter(), &watcher);
        assert!(wait(&watcher));
        table.fire(&[WatchKind::Value], "/a/b");
        assert_eq!(watcher.take().len(), 1);
        assert!(wait(&watcher) && wait(&late));
        table.end();
        table.enter(WatchKind::Value, &path("/a"), &late);
        assert!(!wait(&watcher) && !wait(&late));
    }
}
