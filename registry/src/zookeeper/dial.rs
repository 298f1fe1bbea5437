//! The servers of an ensemble, and opening a session with one of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::seq::SliceRandom;
use rpc_core::Error;
use tokio::time::{Instant, timeout};

use super::client::ZooKeeperClient;
use super::open::{OpenFailure, SessionWish, open_session};
use super::ticket::SessionTicket;
use crate::lock::locked;
use crate::tls::{self, ConnectFailure, TlsFailure, TlsSettings};
use crate::url::unreached;

/// Servers whose failures an error names.
const NAMED: usize = 3;

/// The longest that all servers together may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The servers of one ensemble.
#[derive(Debug)]
pub(super) struct Servers {
    addresses: Vec<String>,
    /// How long each may take.
    timeout: Duration,
    wish: SessionWish,
    tls: Option<TlsSettings>,
    /// The session of the last connection, to go on with.
    ticket: Mutex<Option<Arc<SessionTicket>>>,
}

/// Why a server opened no session.
enum DialFailure {
    Open(OpenFailure),
    Connect(ConnectFailure),
    TooSlow,
}

impl Servers {
    pub(super) fn new(
        addresses: Vec<String>,
        timeout: Duration,
        wish: SessionWish,
        tls: Option<TlsSettings>,
    ) -> Self {
        Self { addresses, timeout, wish, tls, ticket: Mutex::new(None) }
    }

    /// The addresses, each a `host:port`.
    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The same, for a session of its own.
    pub(super) fn apart(&self) -> Self {
        Self::new(self.addresses.clone(), self.timeout, self.wish.clone(), self.tls.clone())
    }

    /// One of them by itself, for a session of its own.
    pub(super) fn alone(&self, address: &str) -> Self {
        Self { addresses: vec![address.to_owned()], ..self.apart() }
    }

    pub(super) fn tls(&self) -> Option<&TlsSettings> {
        self.tls.as_ref()
    }

    pub(super) fn count(&self) -> usize {
        self.addresses.len()
    }

    pub(super) fn has_credentials(&self) -> bool {
        self.wish.credentials.is_some()
    }

    /// The longest that [`open`](Self::open) may take: each server once, and one twice.
    pub(super) fn limit(&self) -> Duration {
        let tries = u32::try_from(self.count() + 1).unwrap_or(u32::MAX);
        self.timeout.saturating_mul(tries).min(LIMIT.max(self.timeout))
    }

    /// Goes on with the present session, or opens one; the servers are tried in a random order. Whoever uses a session
    /// that is gone on with [hands it out](ZooKeeperClient::hand_out).
    ///
    /// # Errors
    /// None of them opens a session; [`Error::refused`] if one refuses the credentials.
    ///
    /// # Cancel safety
    /// May be dropped at any time; the present session stays.
    pub(super) async fn open(&self, registry: &str) -> Result<ZooKeeperClient, Error> {
        let ticket = locked(&self.ticket).clone().filter(|ticket| !ticket.is_over());
        let mut addresses: Vec<&str> = self.addresses.iter().map(String::as_str).collect();
        addresses.shuffle(&mut rand::rng());
        let mut failed = Vec::new();
        // A refusal is to be told while a program still starts: all others have the time of one then.
        let mut until = None;
        for address in &addresses {
            let left = until.map(|until: Instant| until.saturating_duration_since(Instant::now()));
            match self.open_at(address, ticket.as_ref(), left.unwrap_or(self.timeout)).await {
                Ok(client) => return Ok(client),
                Err(failure) => {
                    if failure.is_refusal() && until.is_none() {
                        until = Some(Instant::now() + self.timeout);
                    }
                    failed.push((*address, failure));
                }
            }
        }
        // With the session that we bring, a server hangs up if its transactions are older than what
        // the session has seen, which stays so if its data is gone.
        let is_shut_out =
            |failure: &DialFailure| matches!(failure, DialFailure::Open(OpenFailure::Silent));
        let shut_out = failed.iter_mut().find(|(_, failure)| is_shut_out(failure));
        if let Some((address, failure)) = shut_out.filter(|_| ticket.is_some()) {
            match self.open_at(address, None, self.timeout).await {
                Ok(client) => return Ok(client),
                Err(without_ticket) => *failure = without_ticket,
            }
        }
        Err(self.error(registry, &failed))
    }

    /// What to tell of servers of which none opens a session.
    fn error(&self, registry: &str, failed: &[(&str, DialFailure)]) -> Error {
        let has_tls = self.tls.is_some();
        let show = |(address, failure): &(&str, DialFailure)| failure.show(address, has_tls);
        // A refusal says more than that others do not answer.
        if let Some(refused) = failed.iter().find(|(_, failure)| failure.is_refusal()) {
            return Error::refused(format!("registry {registry}: {}", show(refused)));
        }
        let shown: Vec<_> = failed.iter().take(NAMED).map(show).collect();
        let more = failed.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let shown = shown.join("; ");
        Error::unreachable(format!("registry {registry}: {shown}{more}"))
    }

    /// Opens a session with one server; if that of `ticket` is over, a new one.
    async fn open_at(
        &self,
        address: &str,
        ticket: Option<&Arc<SessionTicket>>,
        limit: Duration,
    ) -> Result<ZooKeeperClient, DialFailure> {
        let opening = async {
            match self.try_open(address, ticket).await {
                Err(DialFailure::Open(OpenFailure::Expired)) if ticket.is_some() => {
                    tracing::debug!(target: "dubhe::registry", address, "session expired");
                    self.try_open(address, None).await
                }
                opened => opened,
            }
        };
        timeout(limit, opening).await.unwrap_or(Err(DialFailure::TooSlow))
    }

    async fn try_open(
        &self,
        address: &str,
        ticket: Option<&Arc<SessionTicket>>,
    ) -> Result<ZooKeeperClient, DialFailure> {
        let connected = tls::connect(address, self.tls.as_ref(), &[]).await;
        let mut stream = connected.map_err(DialFailure::Connect)?;
        let opened = open_session(&mut stream, &self.wish, ticket).await;
        let opened = opened.map_err(DialFailure::Open)?;
        *locked(&self.ticket) = Some(Arc::clone(&opened));
        Ok(match ticket {
            Some(_) => ZooKeeperClient::go_on(stream, opened),
            None => ZooKeeperClient::start(stream, opened),
        })
    }
}

impl DialFailure {
    /// Whether it stays so until somebody mends our credentials.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Open(OpenFailure::Refused | OpenFailure::Unwanted(_))
            | Self::Connect(ConnectFailure::Tls(TlsFailure::Ours(_))) => true,
            Self::Open(_) | Self::Connect(_) | Self::TooSlow => false,
        }
    }

    /// What went wrong at `address`, to which we speak TLS or not, and what helps.
    fn show(&self, address: &str, has_tls: bool) -> String {
        match self {
            Self::Connect(ConnectFailure::Tcp(error)) => unreached(address, error),
            Self::Connect(ConnectFailure::Tls(TlsFailure::Ours(why) | TlsFailure::Theirs(why)))
            | Self::Open(OpenFailure::Unwanted(why)) => why.clone(),
            Self::TooSlow => format!(
                "{address} does not answer in time: it is overloaded, or not ZooKeeper, check the port"
            ),
            Self::Open(OpenFailure::Silent) => {
                let tls = if has_tls { "" } else { " expects TLS (tls=true)," };
                format!(
                    "{address} hung up without an answer: it is starting or cut off from its ensemble,{tls} \
                     or is not ZooKeeper, check the port"
                )
            }
            Self::Open(OpenFailure::Foreign) => {
                format!("what answers at {address} is not ZooKeeper, check the port")
            }
            Self::Open(OpenFailure::Tls) => {
                format!("{address} speaks TLS: write tls=true into the address")
            }
            Self::Open(OpenFailure::Expired) => format!("{address} opens no session"),
            Self::Open(OpenFailure::Refused) => {
                format!("{address} refuses our credentials: check user and password")
            }
            Self::Open(OpenFailure::Broken(error)) => {
                format!("the connection to {address} broke: {error}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_no_remedy_where_it_is_spoken() {
        let silent = |has_tls| DialFailure::Open(OpenFailure::Silent).show("a:2181", has_tls);
        assert!(silent(false).contains("expects TLS (tls=true)"), "{}", silent(false));
        assert!(!silent(true).contains("TLS"), "{}", silent(true));
    }
}
