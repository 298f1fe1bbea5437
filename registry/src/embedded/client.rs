//! A session with an embedded registry, over whatever stream leads to it.
//!
//! Three tasks: one always reads (the server writes while it does not read, so we must), one writes
//! what the operations queue, one renews the leases. They end with the session.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use rpc_core::{Error, Instance, ServiceKey};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::pushed::PushedList;
use super::secret::Identity;
use super::table::InstanceKey;
use super::wire::{
    Ask, ClientMessage, FrameError, FrameReader, FromServer, MAX_FROM_SERVER, ServerAnswer,
    VERSION, Version, frame,
};
use crate::backend::{Listing, Session, Updates};
use crate::check::Diagnosis;
use crate::diagnosis::ToldTime;
use crate::lock::locked;
use crate::off_thread::off_thread_if_long;
use crate::sound::{self, UnsoundInstances};

/// Requests that may wait to be written.
const QUEUE: usize = 256;

/// About how many bytes of a message an instance takes.
const BYTES_OF_ONE: usize = 256;

/// How long a renewal may take before the session counts as lost.
const RENEW_LIMIT: Duration = Duration::from_secs(5);

/// The reason to give when a peer hangs up silently, as a provider does that gets a registry's
/// frame.
const NOT_A_WORD: &str = "it closed the connection without a word; check host and port: what \
                          listens there may be a provider rather than a registry";

/// An open session.
pub(crate) struct Client {
    shared: Arc<SessionShared>,
    server: ToldServer,
    _tasks: JoinSet<()>,
}

/// What a server says of itself when a session begins.
#[derive(Debug)]
pub(crate) struct ToldServer {
    /// Its release, if it tells it.
    pub(crate) release: Option<String>,
    /// How many clients it had, this one among them.
    pub(crate) clients: usize,
    /// Its clock, if it tells it.
    pub(crate) time: Option<ToldTime>,
}

/// The list of a subscribed service.
#[derive(Default)]
struct FollowedList {
    newest: watch::Sender<Option<Listing>>,
    pushed: PushedList,
}

/// State that the operations of a session share with its tasks.
struct SessionShared {
    address: String,
    identity: Arc<Identity>,
    /// Frames for the task that writes.
    outgoing: mpsc::Sender<Bytes>,
    next_id: AtomicU64,
    /// Requests without an answer, by their number.
    waiting: Mutex<HashMap<u64, oneshot::Sender<ServerAnswer>>>,
    /// Lists of subscribed services, for the watches of this process.
    lists: Mutex<HashMap<ServiceKey, FollowedList>>,
    /// The instances that this session has registered, to notice if the registry forgets one.
    registered: Mutex<HashSet<InstanceKey>>,
    /// How many clients the registry last said it has; 0 if it does not say.
    peers: AtomicUsize,
    /// Why the session ended, once it has.
    end: watch::Sender<Option<String>>,
}

impl Client {
    /// Says hello over `stream` and waits for the welcome.
    pub(crate) async fn open<S>(
        stream: S,
        (address, token): (&str, &str),
        identity: &Arc<Identity>,
    ) -> Result<Arc<Self>, Error>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(SessionShared {
            address: address.to_owned(),
            identity: Arc::clone(identity),
            outgoing,
            next_id: AtomicU64::new(0),
            waiting: Mutex::default(),
            lists: Mutex::default(),
            registered: Mutex::default(),
            peers: AtomicUsize::new(0),
            end: watch::Sender::new(None),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(read_all(Arc::clone(&shared), read));
        tasks.spawn(write_all(Arc::clone(&shared), write, queue));
        let (token, asked) = (token.to_owned(), SystemTime::now());
        let secret = identity.secret.clone();
        match shared.exchange(Ask::Hello { version: VERSION, token, secret }).await? {
            // Every further hello would be refused the same way.
            ServerAnswer::Refused { why } => Err(Error::refused(shared.text(&why))),
            ServerAnswer::Welcome { renew_ms, clients, now_ms, release } => {
                shared.peers.store(clients, Ordering::Relaxed);
                tasks.spawn(renew(Arc::clone(&shared), Duration::from_millis(renew_ms.max(1))));
                let release = Some(sound::plain(release)).filter(|release| !release.is_empty());
                let time = (now_ms > 0).then(|| ToldTime::of_ms(asked, now_ms));
                let server = ToldServer { release, clients, time };
                Ok(Arc::new(Self { shared, server, _tasks: tasks }))
            }
            other => Err(shared.unexpected(&other)),
        }
    }
}

impl SessionShared {
    /// Asks, and takes a refusal for an error.
    async fn ask(&self, ask: Ask) -> Result<ServerAnswer, Error> {
        match self.exchange(ask).await? {
            ServerAnswer::Refused { why } => Err(self.error(&why)),
            answer => Ok(answer),
        }
    }

    /// Asks, and waits for the answer or the end of the session.
    async fn exchange(&self, ask: Ask) -> Result<ServerAnswer, Error> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let _waiting = Waiting::new(self, id, answer);
        let mut end = self.end.subscribe();
        let exchange = async {
            self.outgoing.send(frame(&ClientMessage { id, ask })).await.ok()?;
            answered.await.ok()
        };
        tokio::select! {
            biased;
            answer = exchange => answer.ok_or_else(|| self.ended()),
            _ = end.wait_for(Option::is_some) => Err(self.ended()),
        }
    }

    /// Asks for something that has no answer but success.
    async fn order(&self, ask: Ask) -> Result<(), Error> {
        match self.ask(ask).await? {
            ServerAnswer::Done {} => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    fn error(&self, why: &str) -> Error {
        Error::unreachable(self.text(why))
    }

    /// A server's text without control characters, because errors print it.
    fn text(&self, why: &str) -> String {
        format!("registry {}: {}", self.address, why.replace(char::is_control, " "))
    }

    fn ended(&self) -> Error {
        let why = self.end.borrow().clone();
        self.error(why.as_deref().unwrap_or("the session ended"))
    }

    fn unexpected(&self, answer: &ServerAnswer) -> Error {
        let name: String = format!("{answer:?}").chars().take(40).collect();
        self.error(&format!("unexpected answer {name}"))
    }

    fn finish(&self, why: String) {
        self.end.send_if_modified(|end| {
            let is_first = end.is_none();
            end.get_or_insert(why);
            is_first
        });
        // Dropped after the lock, as that wakes who waits.
        let _waiting = mem::take(&mut *locked(&self.waiting));
    }

    /// Reads a message and passes it on: an answer to its request, a list to the watches of its service.
    ///
    /// # Errors
    /// It is none, or the server says goodbye.
    fn deliver(&self, body: &[u8]) -> Result<(), String> {
        match serde_json::from_slice(body).map_err(|error| FrameError::Json(error).to_string())? {
            FromServer::Answer { id, answer } => {
                // The request was given up; nothing waits for its answer.
                if let Some(waiting) = locked(&self.waiting).remove(&id) {
                    let _ = waiting.send(answer);
                }
            }
            FromServer::Push { service, listing } => {
                // Messages are read one after the other, so nobody misses it meanwhile.
                let pushed = |list: &mut FollowedList| mem::take(&mut list.pushed);
                let Some(mut pushed) = locked(&self.lists).get_mut(&service).map(pushed) else {
                    return Ok(());
                };
                let (listing, left_out) = pushed.read(&listing);
                if let Some(list) = locked(&self.lists).get_mut(&service) {
                    list.pushed = pushed;
                    list.newest.send_replace(Some(listing));
                }
                self.identity.told.tell(&self.address, &service, &left_out);
            }
            FromServer::Bye { why } => return Err(format!("it closed the connection: {why}")),
        }
        Ok(())
    }
}

impl From<Version> for Listing {
    fn from(version: Version) -> Self {
        Self { revision: version.revision, instances: version.instances }
    }
}

/// Forgets a request when its future ends or is dropped.
struct Waiting<'a>(&'a SessionShared, u64);

impl<'a> Waiting<'a> {
    fn new(shared: &'a SessionShared, id: u64, answer: oneshot::Sender<ServerAnswer>) -> Self {
        locked(&shared.waiting).insert(id, answer);
        Self(shared, id)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        locked(&self.0.waiting).remove(&self.1);
    }
}

async fn read_all<S: AsyncRead>(shared: Arc<SessionShared>, stream: ReadHalf<S>) {
    let mut reader = FrameReader::new(stream, MAX_FROM_SERVER);
    let mut is_silent = true;
    let why = loop {
        match reader.next_body().await {
            Ok(None) | Err(FrameError::Io(_)) if is_silent => break NOT_A_WORD.to_owned(),
            Ok(Some(body)) => {
                is_silent = false;
                let (shared, items) = (Arc::clone(&shared), body.len() / BYTES_OF_ONE);
                let delivered = off_thread_if_long(items, move || shared.deliver(&body)).await;
                match delivered {
                    Ok(Ok(())) => {}
                    Ok(Err(why)) => break why,
                    Err(error) => break error.to_string(),
                }
            }
            Ok(None) => break "it closed the connection".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    shared.finish(why);
}

async fn write_all<S: AsyncWrite>(
    shared: Arc<SessionShared>,
    mut stream: WriteHalf<S>,
    mut queue: mpsc::Receiver<Bytes>,
) {
    while let Some(frame) = queue.recv().await {
        if let Err(error) = stream.write_all(&frame).await {
            return shared.finish(format!("connection broken: {error}"));
        }
    }
}

async fn renew(shared: Arc<SessionShared>, every: Duration) {
    let why = loop {
        sleep(every.mul_f64(rand::random_range(0.8..=1.0))).await;
        let expected = locked(&shared.registered).len();
        match timeout(RENEW_LIMIT, shared.ask(Ask::Renew {})).await {
            Ok(Ok(ServerAnswer::Renewed { held, clients })) if held >= expected => {
                shared.peers.store(clients, Ordering::Relaxed);
            }
            Ok(Ok(ServerAnswer::Renewed { held, .. })) => {
                break format!("it holds {held} of {expected} instances, registering them again");
            }
            Ok(Ok(_)) => break "it answered a renewal with something else".to_owned(),
            Ok(Err(_)) => break "a renewal failed".to_owned(),
            Err(_) => break format!("it did not answer a renewal within {RENEW_LIMIT:?}"),
        }
    };
    shared.finish(why);
}

// === impl Client ===

impl Client {
    /// What the server said of itself.
    pub(crate) fn server(&self) -> &ToldServer {
        &self.server
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.shared.address).finish()
    }
}

#[async_trait]
impl Session for Client {
    async fn register(&self, instance: &Instance) -> Result<(), Error> {
        let key = InstanceKey::of(instance);
        self.shared.order(Ask::Register { instance: instance.clone() }).await?;
        locked(&self.shared.registered).insert(key);
        Ok(())
    }

    async fn unregister(&self, instance: &Instance) -> Result<(), Error> {
        let key = InstanceKey::of(instance);
        locked(&self.shared.registered).remove(&key);
        let InstanceKey { service, address, id } = key;
        self.shared.order(Ask::Unregister { service, address, id }).await
    }

    async fn watch(&self, service: &ServiceKey, updates: &Updates) -> Result<(), Error> {
        let mut watched = Watched::new(&self.shared, service);
        let (service, known) = (service.clone(), updates.known());
        self.shared.order(Ask::Subscribe { service, known }).await?;
        loop {
            let is_closed = tokio::select! {
                biased;
                changed = watched.list.changed() => changed.is_err(),
                () = self.closed() => true,
            };
            // Also at the end: a list that came whole before it counts.
            if !is_closed || watched.list.has_changed().unwrap_or(false) {
                let newest = watched.list.borrow_and_update().clone();
                newest.into_iter().for_each(|listing| updates.put(listing));
            }
            if is_closed {
                return Err(self.shared.ended());
            }
        }
    }

    async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error> {
        match self.shared.ask(Ask::Fetch { service: service.clone() }).await? {
            ServerAnswer::Listing(version) => {
                self.shared.identity.told.tell(&self.shared.address, service, &version.left_out);
                Ok(version.into())
            }
            other => Err(self.shared.unexpected(&other)),
        }
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        match self.shared.ask(Ask::Services {}).await? {
            ServerAnswer::Services { services } => Ok(services),
            other => Err(self.shared.unexpected(&other)),
        }
    }

    async fn survey(&self) -> Result<Vec<Diagnosis>, Error> {
        let ServerAnswer::Services { services } = self.shared.ask(Ask::Services {}).await? else {
            return Ok(Vec::new());
        };
        let (mut left_out, mut instances) = (UnsoundInstances::default(), 0);
        for service in &services {
            let asked = self.shared.ask(Ask::Fetch { service: service.clone() }).await?;
            if let ServerAnswer::Listing(version) = asked {
                instances += version.instances.len();
                left_out.join(&version.left_out);
            }
        }
        let seen = format!("{} services, {instances} instances", services.len());
        let layout = Diagnosis::ok("layout", &self.shared.address, seen);
        Ok(vec![layout, Diagnosis::of_left_out(&left_out, &self.shared.address)])
    }

    async fn closed(&self) {
        let mut end = self.shared.end.subscribe();
        // The sender lives in `shared`, so this returns only at the end.
        let _ = end.wait_for(Option::is_some).await;
    }

    fn reason(&self) -> Option<Error> {
        self.shared.end.borrow().as_deref().map(|why| self.shared.error(why))
    }

    fn peers(&self) -> Option<usize> {
        Some(self.shared.peers.load(Ordering::Relaxed)).filter(|peers| *peers > 0)
    }
}

/// One local watch of a service; the last one of it ends the subscription at the server.
struct Watched<'a> {
    shared: &'a SessionShared,
    service: ServiceKey,
    list: watch::Receiver<Option<Listing>>,
}

impl<'a> Watched<'a> {
    fn new(shared: &'a SessionShared, service: &ServiceKey) -> Self {
        let mut lists = locked(&shared.lists);
        let mut list = lists.entry(service.clone()).or_default().newest.subscribe();
        list.mark_changed();
        Self { shared, service: service.clone(), list }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let mut lists = locked(&self.shared.lists);
        if lists.get(&self.service).is_some_and(|list| list.newest.receiver_count() <= 1) {
            lists.remove(&self.service);
            let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
            let ask = Ask::Unsubscribe { service: self.service.clone() };
            // Full or closed: pushes for it are ignored from here on anyway.
            let _ = self.shared.outgoing.try_send(frame(&ClientMessage { id, ask }));
        }
    }
}
