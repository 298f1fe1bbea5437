//! A connection that a server knows as a client of its own: what is registered on it ends with it.
//!
//! Four tasks, which end with it: one drives HTTP/2, one reads what the server pushes and answers, one asks
//! every 5 s whether the server still knows us, one renews the token. A server that stands still is noticed
//! within 10 s, one that dies at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use prost::Message as _;
use rpc_core::Error;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::login::{self, Login, LoginToken};
use super::messages::{
    ConnectionSetup, HealthCheck, MessageHead, NacosAsk, Named, PushAnswer, ServerAbilities,
    ServerCheck, ServiceListRequest, read_json,
};
use super::payload::Payload;
use super::push_reader::PushReader;
use super::pushes::Pushes;
use super::refusal::{NacosRefusal, code};
use super::unread_list::{UnreadList, hosts_in};
use crate::grpc::{GrpcAnswers, GrpcConnection, GrpcFailure, GrpcLimits, GrpcRequests};
use crate::off_thread::off_thread_if_long;
use crate::sound;
use crate::tls::{self, HTTP_2, TlsSettings};

/// Where requests go, and where the server pushes.
const CALL: &str = "/Request/request";
const PUSHES: &str = "/BiRequestStream/requestBiStream";

/// The lists of about 100,000 instances.
const LIMITS: GrpcLimits = GrpcLimits { message: 64 * 1024 * 1024 };

/// The longest message that servers take. They end the stream of a longer one without a word.
const MOST_TAKEN: usize = 10 * 1024 * 1024;

/// How often the server is asked whether it knows us.
const PING_EVERY: Duration = Duration::from_secs(5);

/// How long its answer may take.
const PING_LIMIT: Duration = Duration::from_secs(4);

/// The first pause before it is asked again whether it knows a new connection.
const SETUP_PAUSE: Duration = Duration::from_millis(10);

/// The port of gRPC is that of the address and this.
pub(super) const GRPC_OFFSET: u16 = 1000;

/// A server of the registry, as its address names it.
#[derive(Debug, Clone)]
pub(super) struct NacosServer {
    /// Host and port for HTTP.
    pub(super) http: String,
    /// Host and port for gRPC.
    pub(super) grpc: String,
}

/// An open connection.
pub(super) struct NacosConnection {
    shared: Arc<Shared>,
    abilities: ServerAbilities,
    _tasks: JoinSet<()>,
}

/// State that requests share with the tasks.
struct Shared {
    /// The address of the registry, for errors.
    registry: Arc<str>,
    server: NacosServer,
    grpc: GrpcConnection,
    client_ip: String,
    token: watch::Sender<Option<LoginToken>>,
    pushes: Arc<Pushes>,
    /// Why it ended, once it has.
    end: watch::Sender<Option<String>>,
}

/// The answer of a server.
enum NacosAnswer<T> {
    /// What was read of one that says yes.
    Read(T),
    /// One that says no.
    Refused(MessageHead),
}

impl NacosConnection {
    /// Connects to `server`, logs in, and waits until the server knows us in `namespace`.
    ///
    /// # Errors
    /// It does not answer, or refuses us; the message says which, and what to do.
    pub(super) async fn open(
        registry: &Arc<str>,
        server: &NacosServer,
        (login, tls): (&Login, Option<&TlsSettings>),
        namespace: &str,
        pushes: Arc<Pushes>,
    ) -> Result<Self, Error> {
        let failed = |why: &str| Error::unreachable(format!("registry {registry}: {why}"));
        let token = login.token(registry, &server.http, tls).await?;
        let at = &server.grpc;
        let silent = |error: &_| {
            format!(
                "cannot connect to {at}: {error}; the port is that of the address and {GRPC_OFFSET}, \
                 is Nacos 2 or later running there?"
            )
        };
        let connected = tls::connect(at, tls, HTTP_2).await;
        let stream = connected.map_err(|failure| failure.error(registry, silent))?;
        let client_ip = stream.local_addr().map(|at| at.ip().to_string()).unwrap_or_default();
        let opened = GrpcConnection::open(stream, at, LIMITS).await;
        let (grpc, driver) = opened.map_err(|failure| match &failure {
            GrpcFailure::Unwanted(_) => Error::refused(format!("registry {registry}: {failure}")),
            GrpcFailure::Status { .. } | GrpcFailure::Broken(_) => failed(&failure.to_string()),
        })?;
        let shared = Arc::new(Shared {
            registry: Arc::clone(registry),
            server: server.clone(),
            grpc,
            client_ip,
            token: watch::Sender::new(token),
            pushes,
            end: watch::Sender::new(None),
        });
        let mut tasks = JoinSet::new();
        let ending = Arc::clone(&shared);
        tasks.spawn(async move { ending.finish(driver.await) });
        let abilities = shared.check_server().await?;
        let (answers, opening) = shared.grpc.stream(PUSHES);
        // There is room: nothing was sent yet.
        answers.try_send(&shared.setup(namespace)?);
        tasks.spawn(read_all(Arc::clone(&shared), answers, opening));
        shared.set_up(namespace).await?;
        tasks.spawn(ping(Arc::clone(&shared)));
        if shared.token.borrow().is_some() {
            tasks.spawn(renew(Arc::clone(&shared), login.clone(), tls.cloned()));
        }
        Ok(Self { shared, abilities, _tasks: tasks })
    }

    /// The lists and hints that the server pushes.
    pub(super) fn pushes(&self) -> &Arc<Pushes> {
        &self.shared.pushes
    }

    /// Whether the server surely compares the digest of a configuration with that of the value it replaces.
    pub(super) fn compares_digests(&self) -> bool {
        self.abilities.support_ability_negotiation
    }

    /// Asks, and waits for the answer or the end of the connection.
    ///
    /// # Errors
    /// The server does not answer, or says no.
    pub(super) async fn ask<A: NacosAsk>(&self, ask: &A) -> Result<A::Answer, NacosRefusal> {
        self.shared.ask(ask, |_, json| read_json(&json)).await
    }

    /// Asks for the list of a service, which may be long, as [`ask`](Self::ask) does.
    ///
    /// # Errors
    /// The server does not answer, or says no.
    pub(super) async fn ask_list<A>(&self, ask: &A) -> Result<UnreadList, NacosRefusal>
    where
        A: NacosAsk<Answer = MessageHead>,
    {
        self.shared.ask(ask, UnreadList::new).await
    }

    /// The address of the registry.
    pub(super) fn registry(&self) -> &str {
        &self.shared.registry
    }

    /// The error of an operation.
    pub(super) fn error(&self, doing: &str, refusal: &NacosRefusal) -> Error {
        match refusal.code {
            code::TOO_LARGE => self.final_error(doing, refusal, "register less under one name"),
            _ => self.shared.error(&format!("{doing}: {}", refusal.why)),
        }
    }

    /// The error of an operation that fares no better the next time, with what to do.
    pub(super) fn final_error(&self, doing: &str, refusal: &NacosRefusal, remedy: &str) -> Error {
        Error::invalid_config(self.shared.text(&format!("{doing}: {}; {remedy}", refusal.why)))
    }

    /// Waits until the connection ends.
    pub(super) async fn closed(&self) {
        let mut end = self.shared.end.subscribe();
        // The sender lives in `shared`, so this returns only at the end.
        let _ = end.wait_for(Option::is_some).await;
    }

    /// Why it ended, if it has.
    pub(super) fn reason(&self) -> Option<Error> {
        self.shared.end.borrow().as_deref().map(|why| self.shared.error(why))
    }
}

impl Shared {
    /// Asks; `read` makes of the answer of a request that succeeded what is wanted of it.
    async fn ask<A: NacosAsk, T: Send + 'static>(
        &self,
        ask: &A,
        read: fn(MessageHead, Bytes) -> Result<T, String>,
    ) -> Result<T, NacosRefusal> {
        let payload = self.payload(A::KIND, ask).map_err(NacosRefusal::silent)?;
        let mut end = self.end.subscribe();
        let answer = tokio::select! {
            biased;
            answer = self.call(&payload) => answer?,
            ended = end.wait_for(Option::is_some) => {
                let why = ended.ok().and_then(|end| end.clone());
                return Err(NacosRefusal::silent(why.as_deref().unwrap_or("the connection ended")));
            }
        };
        let json = answer.json();
        let reading = move || {
            let head: MessageHead = read_json(&json)?;
            match head.is_success() {
                true => read(head, json).map(NacosAnswer::Read),
                false => Ok(NacosAnswer::Refused(head)),
            }
        };
        let items = hosts_in(&answer.json());
        let answered: Result<NacosAnswer<T>, String> =
            off_thread_if_long(items, reading).await.map_err(NacosRefusal::silent)?;
        match answered.map_err(NacosRefusal::silent)? {
            NacosAnswer::Read(answer) => Ok(answer),
            NacosAnswer::Refused(head) => {
                if head.error_code == code::UNREGISTERED {
                    self.finish("it has forgotten this connection".to_owned());
                }
                Err(self.refusal(&head))
            }
        }
    }

    fn refusal(&self, head: &MessageHead) -> NacosRefusal {
        let code = head.error_code;
        let message = sound::plain(head.message.as_deref().unwrap_or_default());
        let why = match (code, self.token.borrow().is_some()) {
            (code::NO_RIGHT, false) => format!(
                "it wants a login: write user and password into the address, as in \
                 nacos://USER:PASSWORD@HOST ({message})"
            ),
            (code::NO_RIGHT, true) => format!(
                "this user has no right to that: grant it in Nacos, or use another user ({message})"
            ),
            _ => format!("it answers code {code}: {message}"),
        };
        NacosRefusal { code, why }
    }

    fn payload(&self, kind: &str, body: &impl Serialize) -> Result<Payload, String> {
        let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        let mut payload = Payload::new(kind, &self.client_ip, body);
        if let (Some(token), Some(metadata)) = (&*self.token.borrow(), &mut payload.metadata) {
            metadata.headers.insert("accessToken".to_owned(), token.text.clone());
        }
        Ok(payload)
    }

    async fn call(&self, payload: &Payload) -> Result<Payload, NacosRefusal> {
        let answer = self.grpc.unary(CALL, payload).await;
        answer.map_err(|failure| {
            let code = match &failure {
                GrpcFailure::Unwanted(_) => code::UNWANTED,
                GrpcFailure::Status { .. } | GrpcFailure::Broken(_) => 0,
            };
            let (bytes, why) = (payload.encoded_len(), failure.to_string());
            match code == 0 && bytes > MOST_TAKEN {
                true => NacosRefusal { code: code::TOO_LARGE, why: too_large(bytes, &why) },
                false => NacosRefusal { code, why },
            }
        })
    }

    fn setup(&self, namespace: &str) -> Result<Payload, Error> {
        let setup = ConnectionSetup {
            client_version: concat!("Dubhe-Client:v", env!("CARGO_PKG_VERSION")),
            tenant: namespace,
            labels: BTreeMap::from([("source", "sdk"), ("module", "naming")]),
        };
        self.payload(ConnectionSetup::KIND, &setup).map_err(|why| self.error(&why))
    }

    /// Fails if the server is not ready, or does not speak Nacos.
    async fn check_server(&self) -> Result<ServerAbilities, Error> {
        let asked = self.ask(&ServerCheck {}, |_, json| read_json(&json)).await;
        asked.map_err(|refusal| {
            if refusal.code == code::UNWANTED {
                return Error::refused(self.text(&refusal.why));
            }
            let (at, why) = (&self.server.grpc, refusal.why);
            self.error(&format!("{at} does not answer as Nacos does: {why}; check host and port"))
        })
    }

    /// Waits until the server knows the connection, whose announcement it does not answer, and that it
    /// lets us read in this namespace.
    async fn set_up(&self, namespace: &str) -> Result<(), Error> {
        let mut pause = SETUP_PAUSE;
        loop {
            match self.known().await {
                Ok(()) => break,
                Err(refusal) if refusal.code == code::UNREGISTERED => {}
                Err(refusal) => return Err(self.error(&refusal.why)),
            }
            if let Some(why) = &*self.end.borrow() {
                return Err(self.error(why));
            }
            sleep(pause).await;
            pause *= 2;
        }
        let service = Named { namespace, group_name: "DEFAULT_GROUP", service_name: "" };
        let names = ServiceListRequest { service, page_no: 1, page_size: 1, selector: "" };
        match self.ask(&names, |_, _| Ok(())).await {
            Ok(()) => Ok(()),
            Err(refusal) if refusal.code == code::NO_RIGHT => {
                Err(Error::refused(self.text(&refusal.why)))
            }
            Err(refusal) => Err(self.error(&refusal.why)),
        }
    }

    /// Whether the server knows the connection; that it does not is no end yet.
    async fn known(&self) -> Result<(), NacosRefusal> {
        let payload = self.payload(HealthCheck::KIND, &HealthCheck {});
        let json = self.call(&payload.map_err(NacosRefusal::silent)?).await?.json();
        let head: MessageHead = read_json(&json).map_err(NacosRefusal::silent)?;
        match head.is_success() {
            true => Ok(()),
            false => Err(self.refusal(&head)),
        }
    }

    fn finish(&self, why: String) {
        self.end.send_if_modified(|end| {
            let is_first = end.is_none();
            end.get_or_insert(why);
            is_first
        });
    }

    fn error(&self, why: &str) -> Error {
        Error::unreachable(self.text(why))
    }

    fn text(&self, why: &str) -> String {
        let why: String = why.chars().take(500).collect();
        format!("registry {}: {}", self.registry, why.replace(char::is_control, " "))
    }
}

fn too_large(bytes: usize, why: &str) -> String {
    format!(
        "a message of {bytes} bytes is more than Nacos takes \
         (nacos.remote.server.grpc.sdk.max-inbound-message-size, 10 MiB): {why}"
    )
}

// === tasks ===

/// Reads what the server pushes, and answers, until the stream ends.
async fn read_all(
    shared: Arc<Shared>,
    answers: GrpcRequests<Payload>,
    opening: impl Future<Output = Result<GrpcAnswers<Payload>, GrpcFailure>>,
) {
    let pushed = match opening.await {
        Ok(pushed) => pushed,
        Err(failure) => return shared.finish(failure.to_string()),
    };
    let pushed = stream::try_unfold(pushed, async |mut pushed| {
        Ok(pushed.next().await?.map(|push| (push, pushed)))
    });
    let answer = |kind: &str, answer: &PushAnswer| {
        // Full: the server does not read, and will notice that itself.
        answers.try_send(&shared.payload(kind, answer)?);
        Ok(())
    };
    let reader = PushReader::new(&shared.registry, &shared.pushes, answer);
    let why = reader.read_all(pushed).await;
    shared.finish(why);
}

/// Asks now and then whether the server knows us; ends when it does not.
async fn ping(shared: Arc<Shared>) {
    let why = loop {
        sleep(PING_EVERY).await;
        match timeout(PING_LIMIT, shared.known()).await {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) if refusal.code == code::UNREGISTERED => {
                break "it has forgotten this connection".to_owned();
            }
            Ok(Err(refusal)) => break refusal.why,
            Err(_) => break format!("it did not answer a health check within {PING_LIMIT:?}"),
        }
    };
    shared.finish(why);
}

/// Logs in again before the token ends.
async fn renew(shared: Arc<Shared>, login: Login, tls: Option<TlsSettings>) {
    let log_in = || login.token(&shared.registry, &shared.server.http, tls.as_ref());
    match login::keep_renewed(&shared.token, log_in).await {}
}

// === impl NacosConnection ===

impl fmt::Debug for NacosConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("registry", &self.shared.registry)
            .field("server", &self.shared.server.grpc)
            .finish()
    }
}
