//! One client of an embedded registry, as its server sees it.
//!
//! A connection begins with a hello that fits in version and token. After that it answers requests
//! in the order in which they can be answered: a change waits until it is saved, others do not wait
//! for it. Lists that have changed are pushed at most every 100 ms, each as a whole, so that a slow
//! reader is sent only the newest; long lists at longer intervals, so that changes of some of their
//! instances gather. A frame that is not a request ends the connection, and shortens
//! the leases of its instances as closing it would.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rpc_core::ServiceKey;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until, timeout};

use super::caller::Registrant;
use super::host::{Outbox, RegistryHost};
use super::lease::TOLERANCE;
use super::secret::{ClientSecret, MAX_SECRET, is_same};
use super::store::SAFE_LIMIT;
use super::table::{InstanceKey, ServiceList};
use super::wire::{
    Ask, ClientMessage, FrameReader, MAX_FROM_SERVER, ServerAnswer, ServerMessage, VERSION, frame,
};
use crate::sound;

/// Most changes of one connection that wait until they are safe; past it nothing more is read.
const MAX_UNSAFE: usize = 1024;

/// How many bytes of lists a connection is sent each second while they change all the time.
const PUSHED_EACH_SECOND: u32 = 8 * 1024 * 1024;

/// Serves one client until it or the server goes.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(
    host: Arc<RegistryHost>,
    stream: S,
) {
    let (read, mut write) = tokio::io::split(stream);
    let Some((id, outbox)) = host.admit() else {
        let max = host.config.max_connections;
        let why = format!("the registry serves {max} connections, its limit (max_connections)");
        // The reason is sent if that is possible; the client is gone either way.
        let _ =
            timeout(host.config.patience, send(&mut write, &frame(&ServerMessage::Bye { why })))
                .await;
        return;
    };
    let mut leaving = Leaving { host, id, was_closed: false };
    let caller = Registrant { connection: id, secret: ClientSecret::random() };
    let mut connection = Connection {
        reader: FrameReader::new(read, leaving.host.config.max_frame),
        write,
        caller,
        outbox,
        watched: HashMap::new(),
        next_push: Instant::now(),
        unsafe_changes: VecDeque::new(),
        host: Arc::clone(&leaving.host),
    };
    let end = connection.run().await;
    // A connection that breaks the protocol counts as closed: its instances must not outlast it.
    leaving.was_closed = matches!(end, End::Closed | End::Bye(_));
    if let End::Bye(why) = end {
        tracing::debug!(
            target: "dubhe::registry::server",
            connection = id, why, "registry closes a connection"
        );
        let _ = connection.send(&frame(&ServerMessage::Bye { why })).await;
    }
}

/// Reports the end of a connection to the host, also when its task is aborted.
struct Leaving {
    host: Arc<RegistryHost>,
    id: u64,
    was_closed: bool,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.host.leave(self.id, self.was_closed);
    }
}

/// Why a connection ends.
enum End {
    /// The client closed it, or its process did not live on.
    Closed,
    /// The client is silent or does not read; it may well be alive.
    Silent,
    /// The server closes it for this reason.
    Bye(String),
}

/// A change whose answer waits until it is safe.
struct Unsafe {
    id: u64,
    change: u64,
    /// When it is answered at the latest.
    until: Instant,
}

/// The state of a connection that its own task holds.
struct Connection<S> {
    reader: FrameReader<ReadHalf<S>>,
    write: WriteHalf<S>,
    caller: Registrant,
    host: Arc<RegistryHost>,
    outbox: Arc<Outbox>,
    /// Subscriptions; until the first push with how many instances the client had before.
    watched: HashMap<ServiceKey, Option<usize>>,
    /// The earliest time of the next push, so that changes gather.
    next_push: Instant,
    /// In the order of the changes.
    unsafe_changes: VecDeque<Unsafe>,
}

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    async fn run(&mut self) -> End {
        if let Err(end) = self.welcome().await {
            return end;
        }
        match self.converse().await {
            Ok(()) => End::Closed,
            Err(end) => end,
        }
    }

    /// Waits for a hello that fits.
    async fn welcome(&mut self) -> Result<(), End> {
        let limit = self.host.config.patience;
        let Ok(first) = timeout(limit, self.reader.next::<ClientMessage>()).await else {
            return Err(End::Bye(format!("no hello within {limit:?}")));
        };
        let (id, version, token, secret) = match first {
            Ok(Some(ClientMessage { id, ask: Ask::Hello { version, token, secret } })) => {
                (id, version, token, secret)
            }
            Ok(Some(_)) => return Err(End::Bye("the first frame must be a hello".to_owned())),
            Ok(None) => return Err(End::Closed),
            Err(error) => return Err(End::Bye(error.to_string())),
        };
        if let Err(why) = check_hello(version, &token, &self.host.config.token) {
            // Answered, rather than only closed, so that the client knows that another hello is
            // useless.
            self.answer(id, ServerAnswer::Refused { why: why.clone() }).await?;
            return Err(End::Bye(why));
        }
        if secret.len() > MAX_SECRET {
            return Err(End::Bye(format!("the secret has more than {MAX_SECRET} bytes")));
        }
        // A client without a secret is identified by its connection alone.
        if !secret.is_empty() {
            self.caller.secret = secret;
        }
        let renew_ms = u64::try_from(self.host.config.renew.as_millis()).unwrap_or(u64::MAX);
        let clients = self.host.clients();
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let release = env!("CARGO_PKG_VERSION").to_owned();
        self.answer(id, ServerAnswer::Welcome { renew_ms, clients, now_ms, release }).await
    }

    /// Reads requests and writes answers and pushes, until the connection ends or is to end.
    async fn converse(&mut self) -> Result<(), End> {
        let silence = self.host.config.lease;
        let mut heard = Instant::now();
        let mut has_news = false;
        loop {
            let host = Arc::clone(&self.host);
            let first = self.unsafe_changes.front();
            let (is_unsafe, change, until) =
                first.map_or((false, 0, heard), |first| (true, first.change, first.until));
            // A renewal that was sent in time counts, however late it is read.
            tokio::select! {
                biased;
                request = self.reader.next::<ClientMessage>() => {
                    heard = Instant::now();
                    match request {
                        Ok(Some(request)) => self.handle(request).await?,
                        Ok(None) => return Ok(()),
                        Err(super::wire::FrameError::Io(_)) => return Err(End::Closed),
                        Err(error) => return Err(End::Bye(error.to_string())),
                    }
                }
                () = self.outbox.filled.notified(), if !has_news => has_news = true,
                () = sleep_until(self.next_push), if has_news => has_news = self.push().await?,
                () = host.settled(change, until), if is_unsafe => self.answer_settled(change).await?,
                () = sleep_until(heard + silence) => {
                    if heard.elapsed() < silence + TOLERANCE {
                        return Err(End::Silent);
                    }
                    // The server itself stood still.
                    heard = Instant::now();
                }
            }
        }
    }

    async fn handle(&mut self, request: ClientMessage) -> Result<(), End> {
        let ClientMessage { id, ask } = request;
        let answer = match ask {
            Ask::Hello { .. } => return Err(End::Bye("a second hello".to_owned())),
            Ask::Register { instance } => match self.host.register(&self.caller, instance) {
                Ok(()) => return self.done(id).await,
                Err(why) => ServerAnswer::Refused { why },
            },
            Ask::Unregister { service, address, id: instance } => {
                match self
                    .host
                    .unregister(&self.caller, &InstanceKey { service, address, id: instance })
                {
                    Ok(()) => return self.done(id).await,
                    Err(why) => ServerAnswer::Refused { why },
                }
            }
            Ask::Renew {} => {
                let (held, clients) =
                    (self.host.renew(self.caller.connection), self.host.clients());
                ServerAnswer::Renewed { held, clients }
            }
            Ask::Subscribe { service, known } => self.subscribe(service, known),
            Ask::Unsubscribe { service } => {
                self.watched.remove(&service);
                self.host.unsubscribe(self.caller.connection, &service);
                ServerAnswer::Done {}
            }
            Ask::Fetch { service } => match self.host.list(&service) {
                list if self.withholds(&service, &list) => {
                    ServerAnswer::Refused { why: "the registry has just started".to_owned() }
                }
                list => ServerAnswer::Listing(list.version.clone()),
            },
            Ask::Services {} => ServerAnswer::Services { services: self.host.services() },
        };
        self.send(&within(MAX_FROM_SERVER, id, answer)).await
    }

    /// Answers a change: at once if nothing is saved, else when it is safe.
    async fn done(&mut self, id: u64) -> Result<(), End> {
        let Some(change) = self.host.last_change() else {
            return self.answer(id, ServerAnswer::Done {}).await;
        };
        let unsafe_until = Instant::now() + SAFE_LIMIT;
        self.unsafe_changes.push_back(Unsafe { id, change, until: unsafe_until });
        if self.unsafe_changes.len() >= MAX_UNSAFE {
            self.host.settled(change, unsafe_until).await;
            self.answer_settled(change).await?;
        }
        Ok(())
    }

    /// Answers every change up to this one.
    async fn answer_settled(&mut self, change: u64) -> Result<(), End> {
        while self.unsafe_changes.front().is_some_and(|first| first.change <= change)
            && let Some(first) = self.unsafe_changes.pop_front()
        {
            self.answer(first.id, ServerAnswer::Done {}).await?;
        }
        Ok(())
    }

    fn subscribe(&mut self, service: ServiceKey, known: usize) -> ServerAnswer {
        if let Err(why) = sound::check_service(&service) {
            return ServerAnswer::Refused { why };
        }
        let max = self.host.config.max_per_connection;
        if self.watched.len() >= max && !self.watched.contains_key(&service) {
            let why = format!("a connection may subscribe to {max} (max_per_connection)");
            return ServerAnswer::Refused { why };
        }
        self.host.subscribe(self.caller.connection, &service);
        self.watched.insert(service, Some(known));
        ServerAnswer::Done {}
    }

    /// Pushes every list that changed; returns whether some are held back for later.
    async fn push(&mut self) -> Result<bool, End> {
        let (mut is_withheld, mut pushed) = (false, 0);
        for service in self.outbox.take() {
            if !self.watched.contains_key(&service) {
                continue;
            }
            let list = self.host.list(&service);
            if self.withholds(&service, &list) {
                is_withheld = true;
                self.outbox.put_back(service);
                continue;
            }
            self.watched.insert(service, None);
            let push = list.push().await.map_err(|_| End::Silent)?;
            pushed += push.len();
            self.send(&push).await?;
        }
        let gap = self.host.config.push_gap.max(gap_after(pushed));
        self.next_push = Instant::now() + gap;
        Ok(is_withheld)
    }

    /// Whether a list is likely to be incomplete because the server has just started.
    fn withholds(&self, service: &ServiceKey, list: &ServiceList) -> bool {
        let length = list.version.instances.len();
        let is_young = self.host.started.elapsed() < self.host.config.withhold;
        let known = self.watched.get(service).copied().flatten();
        // A server whose last life ended in order knows when a list really is empty.
        let least = usize::from(!self.host.is_current);
        is_young && known.is_some_and(|known| length < known.max(least))
    }

    async fn answer(&mut self, id: u64, answer: ServerAnswer) -> Result<(), End> {
        self.send(&frame(&ServerMessage::Answer { id, answer })).await
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), End> {
        match timeout(self.patience(), send(&mut self.write, frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Closed),
            Err(_) => Err(End::Silent),
        }
    }

    fn patience(&self) -> Duration {
        self.host.config.patience
    }
}

/// The time that passes after a push of so many bytes before the next one.
fn gap_after(bytes: usize) -> Duration {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    Duration::from_secs(1).mul_f64(f64::from(bytes) / f64::from(PUSHED_EACH_SECOND))
}

async fn send(write: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> std::io::Result<()> {
    write.write_all(frame).await?;
    write.flush().await
}

/// The frame of `answer`, or that of a refusal where a client would not take one so long. Only the
/// names of all services have no bound of their own.
fn within(max: usize, id: u64, answer: ServerAnswer) -> Bytes {
    let is_unbounded = matches!(answer, ServerAnswer::Services { .. });
    let answer = frame(&ServerMessage::Answer { id, answer });
    if !is_unbounded || answer.len() <= max {
        return answer;
    }
    let why = format!("the names of all services exceed {max} bytes, ask for one service");
    frame(&ServerMessage::Answer { id, answer: ServerAnswer::Refused { why } })
}

/// Whether a client may come in that shows `token`; else what it has to change.
fn check_hello(version: u32, token: &str, expected: &str) -> Result<(), String> {
    if version != VERSION {
        return Err(format!("protocol version {version} is not supported here, only {VERSION}"));
    }
    if is_same(token.as_bytes(), expected.as_bytes()) {
        return Ok(());
    }
    Err(match (expected.is_empty(), token.is_empty()) {
        (true, _) => "it takes no token, remove registry.token".to_owned(),
        (false, true) => "it needs a token, set registry.token".to_owned(),
        (false, false) => "the token is wrong, check registry.token".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_a_list_the_more_of_its_changes_gather() {
        assert_eq!(gap_after(0), Duration::ZERO);
        assert_eq!(gap_after(2 * 1024 * 1024), Duration::from_millis(250));
        // The largest list that a client takes.
        assert_eq!(gap_after(MAX_FROM_SERVER), Duration::from_secs(8));
    }

    #[test]
    fn names_that_no_client_would_take_are_refused_and_others_pass() {
        let services: Vec<_> = (0..9).map(|n| ServiceKey::new(&format!("shop.S{n}"))).collect();
        let whole = within(1000, 7, ServerAnswer::Services { services: services.clone() });
        let answer = |max| {
            let frame = within(max, 7, ServerAnswer::Services { services: services.clone() });
            String::from_utf8_lossy(&frame[4..]).into_owned()
        };
        assert!(answer(whole.len()).contains("shop.S8"));
        let refused = answer(whole.len() - 1);
        assert!(refused.contains("\"id\":7") && !refused.contains("shop.S8"), "{refused}");
        assert!(refused.contains("the names of all services exceed"), "{refused}");
    }
}
