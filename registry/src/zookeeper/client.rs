//! The operations of a session, as futures, and watches that end with whoever waits for them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use futures_util::future::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot, watch};

use super::connection::{AnswersTo, ConnectionState, Order, RequestFailure, RequestOutcome, drive};
use super::jute::NotJute;
use super::message::{self, MAX_REQUEST, NewNode, NodeStat, ServerCode, WatchKind, ZooKeeperOp};
use super::name_set::NameSet;
use super::ticket::SessionTicket;
use super::watches::{ByKind, WatchTable, Watcher};
use crate::dubbo::{NodeName, TreeMark};
use crate::lock::locked;
use crate::off_thread::off_thread_if_long;

/// Requests that may wait to be sent.
const QUEUE: usize = 256;

/// Bytes of a short name; longer ones take longer to read.
const SHORT_NAME: usize = 64;

/// Why an operation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpFailure {
    Request(RequestFailure),
    /// The request has this many bytes.
    TooLarge(usize),
    /// The answer cannot be read.
    Unreadable,
}

impl OpFailure {
    pub(super) fn code(self) -> Option<ServerCode> {
        match self {
            Self::Request(RequestFailure::Code(code)) => Some(code),
            Self::Request(_) | Self::TooLarge(_) | Self::Unreadable => None,
        }
    }
}

impl From<NotJute> for OpFailure {
    fn from(NotJute: NotJute) -> Self {
        Self::Unreadable
    }
}

impl From<RequestFailure> for OpFailure {
    fn from(failure: RequestFailure) -> Self {
        Self::Request(failure)
    }
}

impl From<ServerCode> for OpFailure {
    fn from(code: ServerCode) -> Self {
        Self::Request(RequestFailure::Code(code))
    }
}

/// The names of the children of a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReadNames {
    pub(super) names: Vec<NodeName>,
    /// Whatever is read of them from now on has all transactions up to `seen`; `children` is the one that changed the
    /// names last.
    pub(super) mark: TreeMark,
}

impl ReadNames {
    /// Those of a node that is not there.
    pub(super) const fn none() -> Self {
        Self { names: Vec::new(), mark: TreeMark { seen: 0, children: -1 } }
    }
}

/// An open session. Its task closes it once the last handle is dropped; one that it goes on with only if it was handed out.
#[derive(Debug)]
pub(super) struct ZooKeeperClient {
    state: Arc<ConnectionState>,
    orders: mpsc::Sender<Order>,
    /// Its drop is noticed at once, also behind orders that wait.
    _held: oneshot::Sender<Infallible>,
}

impl ZooKeeperClient {
    /// Drives a new session, that of `ticket`, over `stream`, in a task that ends with the connection, or within
    /// a second after this is dropped.
    pub(super) fn start<S>(stream: S, ticket: Arc<SessionTicket>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let client = Self::go_on(stream, ticket);
        client.hand_out();
        client
    }

    /// Goes on with the session of `ticket` over `stream`, as [`start`](Self::start) does with a new one. Until it is
    /// handed out, dropping this ends the connection alone.
    pub(super) fn go_on<S>(stream: S, ticket: Arc<SessionTicket>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (orders, queue) = mpsc::channel(QUEUE);
        let end = watch::Sender::new(None);
        let (watches, is_handed_out) = (WatchTable::default(), AtomicBool::new(false));
        let state = Arc::new(ConnectionState { ticket, watches, is_handed_out, end });
        let (held, is_held) = oneshot::channel();
        tokio::spawn(drive(stream, Arc::clone(&state), (queue, is_held)));
        Self { state, orders, _held: held }
    }

    /// Somebody has it now: the session ends with the last handle.
    pub(super) fn hand_out(&self) {
        self.state.is_handed_out.store(true, Ordering::Release);
    }

    /// The number of the session, which its nodes carry.
    pub(super) fn session(&self) -> i64 {
        self.state.ticket.id
    }

    /// The newest transaction that it has seen: what is read from now on has all up to it.
    pub(super) fn seen(&self) -> i64 {
        self.state.ticket.seen()
    }

    async fn request(&self, frame: BytesMut) -> Result<Bytes, OpFailure> {
        if frame.len() > MAX_REQUEST {
            return Err(OpFailure::TooLarge(frame.len()));
        }
        let (to, answered) = oneshot::channel();
        let outcome: RequestOutcome = self.asked(frame, AnswersTo::One(to), answered).await?;
        Ok(outcome?)
    }

    async fn asked<T>(
        &self,
        frames: BytesMut,
        answers: AnswersTo,
        answered: oneshot::Receiver<T>,
    ) -> Result<T, RequestFailure> {
        let sent = self.orders.send(Order { frames, answers }).await;
        sent.map_err(|_| RequestFailure::Lost)?;
        answered.await.map_err(|_| RequestFailure::Lost)
    }

    /// The value of a node, if there is one.
    pub(super) async fn get(&self, path: &str) -> Result<Option<(Bytes, NodeStat)>, OpFailure> {
        self.read_value(path, false).await
    }

    async fn read_value(
        &self,
        path: &str,
        is_watched: bool,
    ) -> Result<Option<(Bytes, NodeStat)>, OpFailure> {
        match self.request(message::read(ZooKeeperOp::GetData, path, is_watched)).await {
            Ok(body) => Ok(Some(message::value_and_stat(body)?)),
            Err(failure) if failure.code() == Some(ServerCode::NoNode) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// What is known of these nodes beside their values, in one write: of each there is.
    pub(super) async fn stats(
        &self,
        paths: impl IntoIterator<Item = String>,
    ) -> Result<Vec<Option<NodeStat>>, OpFailure> {
        let (mut frames, mut left) = (BytesMut::new(), 0);
        for path in paths {
            frames.extend_from_slice(&message::read(ZooKeeperOp::Exists, &path, false));
            left += 1;
        }
        if left == 0 {
            return Ok(Vec::new());
        }
        let (to, answered) = oneshot::channel();
        let answers = AnswersTo::All { left, came: Vec::with_capacity(left), to };
        let answers: Vec<RequestOutcome> = self.asked(frames, answers, answered).await?;
        answers.into_iter().map(|outcome| stat_of(outcome.map_err(OpFailure::Request))).collect()
    }

    /// What is known of a node beside its value, if there is one.
    pub(super) async fn stat(&self, path: &str) -> Result<Option<NodeStat>, OpFailure> {
        self.read_stat(path, false).await
    }

    async fn read_stat(&self, path: &str, is_watched: bool) -> Result<Option<NodeStat>, OpFailure> {
        stat_of(self.request(message::read(ZooKeeperOp::Exists, path, is_watched)).await)
    }

    /// The names of the children of a node, if there is one.
    pub(super) async fn children(&self, path: &str) -> Result<Option<ReadNames>, OpFailure> {
        self.read_children(path, false).await
    }

    async fn read_children(
        &self,
        path: &str,
        is_watched: bool,
    ) -> Result<Option<ReadNames>, OpFailure> {
        match self.request(message::read(ZooKeeperOp::GetChildren2, path, is_watched)).await {
            Ok(body) => {
                // The names of providers are long.
                let read =
                    off_thread_if_long(body.len() / SHORT_NAME, || message::names_and_stat(body));
                let (names, stat) = read.await.map_err(|_| RequestFailure::Lost)??;
                let mark = TreeMark { seen: self.seen(), children: stat.names_changed };
                Ok(Some(ReadNames { names, mark }))
            }
            Err(failure) if failure.code() == Some(ServerCode::NoNode) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn create(&self, node: NewNode<'_>) -> Result<(), OpFailure> {
        self.request(message::create(node)).await.map(drop)
    }

    /// Puts `node` in the place of the one at its path, both steps or neither.
    pub(super) async fn replace(&self, node: NewNode<'_>) -> Result<(), OpFailure> {
        let body = self.request(message::replace(node)).await?;
        match message::multi_code(body)? {
            None => Ok(()),
            Some(code) => Err(code.into()),
        }
    }

    /// Puts a value in the place of the one with this version; returns what is known of the node then.
    pub(super) async fn set(
        &self,
        path: &str,
        value: &[u8],
        version: i32,
    ) -> Result<NodeStat, OpFailure> {
        let body = self.request(message::set_data(path, value, version)).await?;
        Ok(message::stat_alone(body)?)
    }

    pub(super) async fn delete(&self, path: &str, version: i32) -> Result<(), OpFailure> {
        self.request(message::delete(path, version)).await.map(drop)
    }

    /// One who can watch `path` and its children; what it watches is forgotten when it is dropped.
    pub(super) fn watching<'a>(&'a self, path: &'a Arc<str>) -> PathWatches<'a> {
        PathWatches { client: self, path, watcher: Arc::default(), entered: Mutex::default() }
    }

    /// Waits until the connection has ended.
    pub(super) async fn ended(&self) {
        let mut end = self.state.end.subscribe();
        // The sender lives in `state`, so this returns only at the end.
        let _ = end.wait_for(Option::is_some).await;
    }

    /// Why the connection has ended, if it has.
    pub(super) fn end(&self) -> Option<String> {
        self.state.end.borrow().clone()
    }

    /// Ends the session at the servers, as its expiry does, and waits until they have done so.
    pub(super) async fn end_session(&self) {
        self.state.ticket.end();
        let _ = self.request(message::plain(ZooKeeperOp::Close, 0)).await;
        self.ended().await;
    }

    /// How many paths are watched.
    #[cfg(test)]
    pub(super) fn watched(&self) -> usize {
        self.state.watches.len()
    }
}

/// What an answer says of a node, if there is one.
fn stat_of(answer: Result<Bytes, OpFailure>) -> Result<Option<NodeStat>, OpFailure> {
    match answer {
        Ok(body) => Ok(Some(message::stat_alone(body)?)),
        Err(failure) if failure.code() == Some(ServerCode::NoNode) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Reads at a path, and of the values of its children, that set watches, and the changes that they then tell.
pub(super) struct PathWatches<'a> {
    client: &'a ZooKeeperClient,
    path: &'a Arc<str>,
    watcher: Arc<Watcher>,
    /// What it watches at the path itself, or has watched and not forgotten.
    entered: Mutex<ByKind<bool>>,
}

impl PathWatches<'_> {
    /// The name of the child at `path`, if it is one.
    pub(super) fn name_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&**self.path)?.strip_prefix('/')
    }

    /// Whether the value of this child is watched, or was and is not forgotten.
    pub(super) fn has_child(&self, name: &str) -> bool {
        self.watcher.has_child(name)
    }

    /// Forgets children whose watches have ended at the server, or were not set there, and returns them.
    pub(super) fn forget_children(&self, has_ended: impl Fn(&str) -> bool) -> NameSet {
        self.watcher.forget_children(has_ended)
    }

    /// The value of the node, as [`ZooKeeperClient::get`]; changes of it, and of whether there is one, are told.
    pub(super) async fn get(&self) -> Result<Option<(Bytes, NodeStat)>, OpFailure> {
        self.enter(WatchKind::Value);
        let value = self.client.read_value(self.path, true).await;
        self.leave_unless(matches!(value, Ok(Some(_))), WatchKind::Value);
        value
    }

    /// Enters watches of the values of these children; to be called before [`get_child`](Self::get_child).
    pub(super) fn enter_children<'n>(&self, names: impl Iterator<Item = &'n str> + Clone) {
        self.client.state.watches.enter_children(self.path, names, &self.watcher);
    }

    /// The value of a child that was entered, as [`get`](Self::get). Where there is none, or none for us, the server
    /// has set no watch, and the child is to be forgotten.
    pub(super) async fn get_child(
        &self,
        name: &str,
    ) -> Result<Option<(Bytes, NodeStat)>, OpFailure> {
        self.client.read_value(&format!("{}/{name}", self.path), true).await
    }

    /// As [`ZooKeeperClient::children`]; changes of the names are told if there is a node.
    pub(super) async fn children(&self) -> Result<Option<ReadNames>, OpFailure> {
        self.enter(WatchKind::Children);
        let names = self.client.read_children(self.path, true).await?;
        self.leave_unless(names.is_some(), WatchKind::Children);
        Ok(names)
    }

    /// Whether there is a node; a change of that is told.
    pub(super) async fn exists(&self) -> Result<bool, OpFailure> {
        self.enter(WatchKind::Value);
        Ok(self.client.read_stat(self.path, true).await?.is_some())
    }

    fn enter(&self, kind: WatchKind) {
        *locked(&self.entered).of(kind) = true;
        self.client.state.watches.enter(kind, self.path, &self.watcher);
    }

    /// Where there is no node, or none for us, the server has set no watch.
    fn leave_unless(&self, is_set: bool, kind: WatchKind) {
        if !is_set {
            *locked(&self.entered).of(kind) = false;
            self.client.state.watches.leave(kind, self.path, &self.watcher, || {});
        }
    }

    /// Has the server remove watches, by one order: as many as the names of a list find no place in the queue.
    fn unset(&self, kind: WatchKind, paths: &[impl AsRef<str>]) {
        let mut frames = BytesMut::new();
        for path in paths {
            frames.extend_from_slice(&message::remove_watch(kind, path.as_ref()));
        }
        let (to, _) = oneshot::channel();
        let answers = AnswersTo::All { left: paths.len(), came: Vec::new(), to };
        // If the queue is full, the watches tell one more change, which nobody hears.
        let _ = self.client.orders.try_send(Order { frames, answers });
    }

    /// Waits for changes and takes all that there are: the paths where they were.
    ///
    /// # Errors
    /// The connection has ended.
    pub(super) fn changed(&self) -> impl Future<Output = Result<BTreeSet<Arc<str>>, OpFailure>> {
        let changed = self.watcher.changed();
        changed.map(|changes| changes.ok_or(OpFailure::Request(RequestFailure::Lost)))
    }

    /// Takes the changes that there are.
    pub(super) fn take_changes(&self) -> BTreeSet<Arc<str>> {
        self.watcher.take()
    }
}

impl Drop for PathWatches<'_> {
    fn drop(&mut self) {
        let watches = &self.client.state.watches;
        for (kind, _) in locked(&self.entered).each().into_iter().filter(|(_, is)| **is) {
            watches.leave(kind, self.path, &self.watcher, || self.unset(kind, &[self.path]));
        }
        let unset = |paths: &[String]| self.unset(WatchKind::Value, paths);
        watches.leave_children(self.path, &self.watcher, unset);
    }
}

impl fmt::Debug for PathWatches<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PathWatches").field(self.path).finish()
    }
}
