//! The keys of etcd as a [`NodeTree`]: a path is its key.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use rpc_core::Error;
use tokio::time::{Instant, sleep, sleep_until};

use super::children::{Children, ListEffect, TooMany};
use super::joint_ranges::JointRanges;
use super::messages::{
    DeleteRangeRequest, EtcdCompare, EtcdKeyValue, EtcdOperation, PUT, PutRequest, PutResponse,
    RANGE, RangeRequest, RangeResponse, TXN, TxnRequest, TxnResponse,
};
use super::own_leases::OwnLeases;
use super::session::{EtcdLink, EtcdSession};
use super::watches::EtcdWatch;
use crate::dubbo::{
    ChangedNode, NodeSink, NodeTree, ReadChildren, ReadOf, TreeMark, TreeNode, ValueSink,
};
use crate::off_thread::off_thread_if_long;

/// Keys that are read at once.
const PAGE: i64 = 1000;

/// Of more keys no check asks what has changed: they are read page by page. To answer it, the server reads all of
/// them into its memory at once, which is some tens of megabytes for so many.
const MOST_COMPARED: i64 = 50_000;

/// How often an edit is tried against other writers.
const EDITS: u8 = 10;

/// By how much more each further try may come later.
const EDIT_SPREAD: Duration = Duration::from_millis(20);

/// The shortest time between two lists of a watch, and what each child adds to it.
const GAP: Duration = Duration::from_millis(20);
const GAP_PER_CHILD: Duration = Duration::from_micros(20);

/// The children of a path.
pub(super) struct EtcdList {
    children: Children,
    /// With their [`mark_of`].
    read: ReadChildren,
    /// The revision that they are read at.
    pub(super) at: i64,
}

/// A session's view of etcd's keys.
#[derive(Debug)]
pub(super) struct EtcdTree {
    session: EtcdSession,
    /// That of this session, and those of sessions before it.
    leases: Arc<OwnLeases>,
    /// Reads of checks, and of single keys.
    pub(super) joint: JointRanges,
}

impl EtcdTree {
    /// Of a session without others before it.
    pub(super) fn new(session: EtcdSession) -> Self {
        Self::after(session, &Arc::default())
    }

    /// Of a session after others, of which `leases` are.
    pub(super) fn after(session: EtcdSession, leases: &Arc<OwnLeases>) -> Self {
        leases.note(session.link.lease, session.link.lasts);
        Self { session, leases: Arc::clone(leases), joint: JointRanges::default() }
    }

    pub(super) fn link(&self) -> &EtcdLink {
        &self.session.link
    }

    /// The key, if it exists, and the revision of the answer.
    async fn read(&self, path: &str) -> Result<(Option<EtcdKeyValue>, i64), Error> {
        let request = RangeRequest { key: path.into(), ..RangeRequest::default() };
        let answer: RangeResponse = self.link().call(RANGE, &request).await?;
        let revision = revision(&answer);
        Ok((answer.kvs.into_iter().next(), revision))
    }

    async fn put(&self, path: &str, value: Bytes, lease: i64) -> Result<(), Error> {
        let request = PutRequest { key: path.into(), value: value.into(), lease };
        let _: PutResponse = self.link().write(PUT, path, &request).await?;
        Ok(())
    }

    /// Does `then` at `path` if the condition holds, and says whether it did.
    async fn transact(
        &self,
        path: &str,
        when: EtcdCompare,
        then: EtcdOperation,
    ) -> Result<bool, Error> {
        let request = TxnRequest { compare: vec![when], success: vec![then] };
        let answer: TxnResponse = self.link().write(TXN, path, &request).await?;
        Ok(answer.succeeded)
    }

    /// Deletes the key if it ends with this lease; says whether it did.
    async fn remove_of(&self, path: &str, lease: i64) -> Result<bool, Error> {
        let owned = EtcdCompare::owned_by(path.into(), lease);
        let delete = EtcdOperation::delete(DeleteRangeRequest { key: path.into() });
        self.transact(path, owned, delete).await
    }

    /// Reads the children page by page, all at the revision of the first page.
    pub(super) async fn list(&self, path: &str, read: ReadOf) -> Result<EtcdList, Error> {
        let mut children = Children::of(path, read);
        let mut nodes = Vec::new();
        let (mut key, range_end) = children.range();
        let (mut at, mut mark) = (0, None);
        loop {
            let request = RangeRequest {
                key: key.clone(),
                range_end: range_end.clone(),
                limit: PAGE,
                revision: at,
                keys_only: read == ReadOf::Names,
                ..RangeRequest::default()
            };
            let page: RangeResponse = self.link().call(RANGE, &request).await?;
            if at == 0 {
                (at, mark) = (revision(&page), mark_of(&page));
            }
            let next = page.kvs.last().map(|last| children.after(&last.key));
            let more;
            (children, more) = self.take_on(path, children, page.kvs).await?;
            nodes.extend(more.into_iter().filter_map(into_node));
            match next {
                Some(next) if page.more && next > key => key = next,
                Some(_) if page.more => return Err(self.link().lost("its keys are not in order")),
                _ => {
                    return Ok(EtcdList { children, read: ReadChildren { nodes, mark }, at });
                }
            }
        }
    }

    /// Whether there is no key below `path` that came or changed since `mark`, and none less. The answer is short; the
    /// server reads all keys for it.
    async fn is_unchanged(&self, path: &str, mark: TreeMark) -> Result<bool, Error> {
        let (key, range_end) = Children::of(path, ReadOf::Names).range();
        let request = RangeRequest {
            key,
            range_end,
            limit: 1,
            keys_only: true,
            min_mod_revision: mark.seen.saturating_add(1),
            ..RangeRequest::default()
        };
        let answer = self.joint.read(self.link(), request).await?;
        // A revision that is older is of a server that was set back.
        let is_as_marked = |now: TreeMark| now.children == mark.children && now.seen >= mark.seen;
        Ok(answer.kvs.is_empty() && mark_of(&answer).is_some_and(is_as_marked))
    }

    /// Takes on the keys of a page; returns what they change.
    async fn take_on(
        &self,
        path: &str,
        mut children: Children,
        kvs: Vec<EtcdKeyValue>,
    ) -> Result<(Children, Vec<ChangedNode>), Error> {
        let items = kvs.len();
        let take_on = move || {
            let mut changes = Vec::with_capacity(kvs.len());
            for kv in kvs {
                if let ListEffect::Changed(change) = children.apply(kv)? {
                    changes.push(change);
                }
            }
            Ok((children, changes))
        };
        off_thread_if_long(items, take_on).await?.map_err(|TooMany| self.too_many(path))
    }

    fn too_many(&self, path: &str) -> Error {
        let what = format!("there is more below {path} than a list may hold; remove what is old");
        self.link().lost(&what)
    }

    /// The next changes of a watch.
    pub(super) async fn changes(&self, watch: &EtcdWatch) -> Result<Vec<EtcdKeyValue>, Error> {
        let next = tokio::select! {
            biased;
            next = watch.next() => next,
            // A server that stands still ends no watch.
            () = self.link().closed() => None,
        };
        let Some(answer) = next else {
            return Err(self.link().lost("a watch ended, or its changes came too fast"));
        };
        if answer.compact_revision > 0 {
            return Err(self.link().lost("changes were compacted away before they were read"));
        }
        if answer.canceled {
            let reason = answer.cancel_reason.replace(char::is_control, " ");
            return Err(self.link().lost(&format!("it ended a watch: {reason}")));
        }
        Ok(answer.events.into_iter().filter_map(|event| event.kv).collect())
    }
}

fn into_node(ChangedNode { name, value }: ChangedNode) -> Option<TreeNode> {
    Some(TreeNode { name, value: value? })
}

fn revision(answer: &RangeResponse) -> i64 {
    answer.header.as_ref().map_or(0, |header| header.revision)
}

/// Of which revision an answer is, of how many keys, and of which cluster; none of more than [`MOST_COMPARED`] keys.
fn mark_of(answer: &RangeResponse) -> Option<TreeMark> {
    let cluster = answer.header.as_ref().map_or(0, |header| header.cluster_id);
    // One cluster in the place of another has another number in all bits.
    let children = answer.count ^ cluster;
    (answer.count <= MOST_COMPARED).then(|| TreeMark { seen: revision(answer), children })
}

#[async_trait]
impl NodeTree for EtcdTree {
    async fn put_owned(&self, path: &str, value: Bytes) -> Result<(), Error> {
        let lease = self.link().lease;
        let (present, _) = self.read(path).await?;
        if present.is_some_and(|kv| kv.lease == lease && kv.value == value) {
            return Ok(());
        }
        self.put(path, value, lease).await
    }

    async fn remove_owned(&self, path: &str) -> Result<(), Error> {
        let ours = self.link().lease;
        if self.remove_of(path, ours).await? {
            return Ok(());
        }
        let earlier = self.leases.beside(ours);
        if earlier.is_empty() {
            return Ok(());
        }
        let owner = self.read(path).await?.0.map(|kv| kv.lease);
        if let Some(owner) = owner.filter(|owner| earlier.contains(owner)) {
            self.remove_of(path, owner).await?;
        }
        Ok(())
    }

    async fn edit(
        &self,
        path: &str,
        edit: &(dyn for<'a> Fn(Option<&'a [u8]>) -> Option<Bytes> + Send + Sync),
    ) -> Result<(), Error> {
        for attempt in 0..EDITS {
            // Apart from who came first last time.
            sleep(EDIT_SPREAD.mul_f64(rand::random::<f64>() * f64::from(attempt))).await;
            let (present, _) = self.read(path).await?;
            let Some(value) = edit(present.as_ref().map(|kv| &kv.value[..])) else {
                return Ok(());
            };
            let changed_at = present.map_or(0, |kv| kv.mod_revision);
            let unchanged = EtcdCompare::changed_at(path.into(), changed_at);
            let put = PutRequest { key: path.into(), value: value.into(), lease: 0 };
            if self.transact(path, unchanged, EtcdOperation::put(put)).await? {
                return Ok(());
            }
        }
        let what = format!("{path} was changed by others {EDITS} times while it was to be changed");
        Err(self.link().lost(&what))
    }

    async fn remove_lasting(&self, path: &str) -> Result<(), Error> {
        let success = vec![EtcdOperation::delete(DeleteRangeRequest { key: path.into() })];
        let request = TxnRequest { compare: Vec::new(), success };
        let _: TxnResponse = self.link().call(TXN, &request).await?;
        Ok(())
    }

    async fn value(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let request = RangeRequest { key: path.into(), ..RangeRequest::default() };
        let answer = self.joint.read(self.link(), request).await?;
        Ok(answer.kvs.into_iter().next().map(|kv| kv.value.into()))
    }

    async fn children_since(
        &self,
        path: &str,
        read: ReadOf,
        mark: Option<TreeMark>,
    ) -> Result<Option<ReadChildren>, Error> {
        match mark {
            Some(mark) if self.is_unchanged(path, mark).await? => Ok(None),
            _ => Ok(Some(self.list(path, read).await?.read)),
        }
    }

    async fn count(&self, path: &str) -> Result<usize, Error> {
        let (key, range_end) = Children::of(path, ReadOf::Names).range();
        let request = RangeRequest { key, range_end, count_only: true, ..RangeRequest::default() };
        let answer: RangeResponse = self.link().call(RANGE, &request).await?;
        Ok(usize::try_from(answer.count).unwrap_or(0))
    }

    async fn watch_children(
        &self,
        path: &str,
        read: ReadOf,
        sink: &dyn NodeSink,
    ) -> Result<(), Error> {
        let EtcdList { mut children, read: all, mut at } = Box::pin(self.list(path, read)).await?;
        sink.put_all(all);
        let (mut due, mut behind) = (Instant::now(), Vec::new());
        let watch = Box::pin(self.link().watch(children.range(), at + 1)).await?;
        loop {
            let changes = tokio::select! {
                biased;
                () = sleep_until(due), if !behind.is_empty() => {
                    sink.put_changes(std::mem::take(&mut behind));
                    let size = u32::try_from(children.len()).unwrap_or(u32::MAX);
                    due = Instant::now() + GAP + GAP_PER_CHILD.saturating_mul(size);
                    continue;
                }
                changes = self.changes(&watch) => changes?,
            };
            let mut is_unclear = false;
            for kv in changes.into_iter().filter(|kv| kv.mod_revision > at) {
                match children.apply(kv).map_err(|TooMany| self.too_many(path))? {
                    ListEffect::None => {}
                    ListEffect::Changed(node) => behind.push(node),
                    ListEffect::Unclear => is_unclear = true,
                }
            }
            if is_unclear {
                let all;
                EtcdList { children, read: all, at } = Box::pin(self.list(path, read)).await?;
                behind.clear();
                sink.put_all(all);
            }
        }
    }

    async fn watch_value(&self, path: &str, sink: &dyn ValueSink) -> Result<(), Error> {
        let (present, at) = Box::pin(self.read(path)).await?;
        sink.put_value(present.map(|kv| kv.value.into()));
        let range = (path.into(), Vec::new());
        let watch = Box::pin(self.link().watch(range, at + 1)).await?;
        loop {
            let changes = self.changes(&watch).await?;
            let Some(last) = changes.into_iter().next_back() else {
                continue;
            };
            sink.put_value((last.version != 0).then(|| last.value.into()));
        }
    }

    async fn end(&self) {
        let ours = self.link().lease;
        let all = self.leases.beside(ours).into_iter().chain([ours]);
        join_all(all.map(|lease| self.link().revoke(lease))).await;
    }

    async fn closed(&self) {
        self.link().closed().await;
    }

    fn reason(&self) -> Option<Error> {
        self.link().reason()
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::EtcdHeader;
    use super::*;

    #[test]
    fn a_mark_is_of_one_cluster_and_long_lists_have_none() {
        let mark = |count, cluster_id| {
            let header = Some(EtcdHeader { cluster_id, revision: 7 });
            mark_of(&RangeResponse { header, count, ..RangeResponse::default() })
        };
        let first = mark(2, -5).unwrap();
        assert_eq!((first.seen, mark(2, -5)), (7, Some(first)));
        for other in [mark(3, -5), mark(2, -6)] {
            assert_ne!(other.unwrap().children, first.children);
        }
        assert!(mark(MOST_COMPARED, -5).is_some());
        assert_eq!(mark(MOST_COMPARED + 1, -5), None);
    }
}
