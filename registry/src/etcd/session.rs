//! A session with etcd: one connection, one login, one lease.
//!
//! Three kinds of tasks: one drives the connection, one keeps the lease alive, one for each stream of
//! watches reads it. They end with the session. It is lost when the connection breaks, when the lease
//! cannot be renewed for a while (which also notices a server that stands still), and when the lease is
//! gone.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use prost::Message;
use rpc_core::Error;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::messages::{
    AUTHENTICATE, AuthenticateRequest, AuthenticateResponse, LEASE_GRANT, LEASE_KEEP_ALIVE,
    LEASE_REVOKE, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest,
    LeaseKeepAliveResponse, LeaseRevokeRequest, LeaseRevokeResponse, RANGE, RangeRequest,
    RangeResponse,
};
use super::watches::{EtcdWatch, Watches};
use super::words;
use crate::grpc::{GrpcAnswers, GrpcConnection, GrpcFailure, GrpcLimits, GrpcRequests};
use crate::tls::{self, HTTP_2, TlsSettings};
use crate::url::unreached;

/// The longest answer: a page of values, or many changes.
const LIMITS: GrpcLimits = GrpcLimits { message: 64 * 1024 * 1024 };

/// The longest time between two renewals.
const RENEW: Duration = Duration::from_secs(5);

/// How long the lease may go without a renewal before the session counts as lost: less than 10 s, so
/// that a server that stands still is noticed by then.
const PATIENCE: Duration = Duration::from_secs(9);

/// What sessions are opened with.
pub(super) struct Access {
    /// The address of the registry for people.
    pub(super) name: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) tls: Option<TlsSettings>,
    /// How long what is registered outlives the session.
    pub(super) lease: Duration,
    /// The first segment of most keys.
    pub(super) root: String,
}

/// An open session, and the owner of its tasks.
#[derive(Debug)]
pub(super) struct EtcdSession {
    pub(super) link: Arc<EtcdLink>,
    _tasks: JoinSet<()>,
}

/// What the operations of a session share with its tasks.
pub(super) struct EtcdLink {
    access: Arc<Access>,
    grpc: GrpcConnection,
    pub(super) lease: i64,
    /// How long the lease lasts without a renewal.
    pub(super) lasts: Duration,
    watches: Watches,
    /// Held while a login is renewed, so that one does it for all.
    renewing: Mutex<()>,
    /// Why the session ended, once it has.
    end: watch::Sender<Option<Error>>,
}

impl EtcdSession {
    /// Opens a session with the server at `server`, and reads a key, so that it is known that there is
    /// a majority of servers behind it and that the login suffices.
    ///
    /// # Cancel safety
    /// A lease that was granted and not used ends by itself.
    pub(super) async fn open(access: &Arc<Access>, server: &str) -> Result<Self, Error> {
        let stream = tls::connect(server, access.tls.as_ref(), HTTP_2)
            .await
            .map_err(|failure| failure.error(&access.name, |error| unreached(server, error)))?;
        let opened = GrpcConnection::open(stream, server, LIMITS).await;
        let (grpc, driver) = opened.map_err(|failure| access.error(server, failure))?;
        let (end, mut tasks) = (watch::Sender::new(None), JoinSet::new());
        let (ended, of) = (end.clone(), Arc::clone(access));
        tasks.spawn(async move { finish(&ended, &of, &driver.await) });
        let (lease, lasts) = match begin(&grpc, access).await {
            Ok(lease) => lease,
            Err(failure) => return Err(access.error(server, failure)),
        };
        let link = Arc::new(EtcdLink {
            access: Arc::clone(access),
            grpc,
            lease,
            lasts,
            watches: Watches::default(),
            renewing: Mutex::default(),
            end,
        });
        let renewed = Arc::clone(&link);
        tasks.spawn(async move { renewed.finish(&renewed.keep_alive(lasts).await) });
        Ok(Self { link, _tasks: tasks })
    }
}

/// Logs in, takes a lease, and reads a key; returns the lease and how long it lasts.
async fn begin(grpc: &GrpcConnection, access: &Access) -> Result<(i64, Duration), GrpcFailure> {
    if !access.user.is_empty() {
        log_in(grpc, access).await?;
    }
    let ttl = i64::try_from(access.lease.as_secs()).unwrap_or(i64::MAX);
    let granted: LeaseGrantResponse = grpc.unary(LEASE_GRANT, &LeaseGrantRequest { ttl }).await?;
    let read = RangeRequest { key: format!("/{}", access.root).into(), ..RangeRequest::default() };
    let _: RangeResponse = grpc.unary(RANGE, &read).await?;
    // The server's choice may be longer, for the sake of its elections; it is at least a second.
    let ttl = u64::try_from(granted.ttl).unwrap_or_default().max(1);
    Ok((granted.id, Duration::from_secs(ttl)))
}

async fn log_in(grpc: &GrpcConnection, access: &Access) -> Result<(), GrpcFailure> {
    let (name, password) = (access.user.clone(), access.password.clone());
    let request = AuthenticateRequest { name, password };
    let answer: AuthenticateResponse = match grpc.unary_without_token(AUTHENTICATE, &request).await
    {
        Ok(answer) => answer,
        // As etcd's own tools do: who may do everything without a login may do it with one.
        Err(failure) if words::is_open_to_all(&failure) => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let token = HeaderValue::try_from(answer.token);
    let mut token =
        token.map_err(|_| GrpcFailure::Broken("its token is not printable".to_owned()))?;
    token.set_sensitive(true);
    grpc.set_token(token);
    Ok(())
}

fn finish(end: &watch::Sender<Option<Error>>, access: &Access, why: &str) {
    end.send_if_modified(|end| {
        let is_first = end.is_none();
        end.get_or_insert_with(|| Error::unreachable(format!("registry {}: {why}", access.name)));
        is_first
    });
}

impl Access {
    /// An error of the server at `server`, which is named if there are several.
    fn error(&self, server: &str, failure: GrpcFailure) -> Error {
        let failure = match failure {
            GrpcFailure::Broken(why) if self.name.contains(',') => {
                GrpcFailure::Broken(format!("{server}: {why}"))
            }
            other => other,
        };
        words::error(&self.name, (&self.user, &self.root), &failure)
    }
}

// === impl EtcdLink ===

impl EtcdLink {
    /// Calls a method; logs in again if the login has run out.
    pub(super) async fn call<A>(
        &self,
        path: &'static str,
        request: &impl Message,
    ) -> Result<A, Error>
    where
        A: Message + Default,
    {
        self.ask(path, request).await?.map_err(|failure| self.error(&failure))
    }

    /// Calls a method that writes `key`, as [`call`](Self::call) does.
    ///
    /// # Errors
    /// [`Error::invalid_config`] if it is more than etcd takes: it will be no less the next time.
    pub(super) async fn write<A>(
        &self,
        path: &'static str,
        key: &str,
        request: &impl Message,
    ) -> Result<A, Error>
    where
        A: Message + Default,
    {
        self.ask(path, request).await?.map_err(|failure| match words::is_too_large(&failure) {
            true => words::too_large(&self.access.name, key, request.encoded_len()),
            false => self.error(&failure),
        })
    }

    /// Asks, and again with a new login if the present one has run out. The outer error is the end of the session.
    async fn ask<A>(
        &self,
        path: &'static str,
        request: &impl Message,
    ) -> Result<Result<A, GrpcFailure>, Error>
    where
        A: Message + Default,
    {
        let login = self.grpc.token();
        let exchange = async {
            match self.grpc.unary(path, request).await {
                Err(failure) if login.is_some() && words::is_login_over(&failure) => {
                    self.renew_login(login).await?;
                    self.grpc.unary(path, request).await
                }
                answer => answer,
            }
        };
        tokio::select! {
            biased;
            answer = exchange => Ok(answer),
            () = self.closed() => Err(self.lost("the session ended")),
        }
    }

    /// Begins a watch from `revision` on.
    pub(super) async fn watch(
        &self,
        range: (Vec<u8>, Vec<u8>),
        revision: i64,
    ) -> Result<EtcdWatch, Error> {
        let watch = self.watches.begin(&self.grpc, range, revision).await;
        watch.map_err(|failure| self.error(&failure))
    }

    /// Gives a lease back, and with it all keys that end with it.
    pub(super) async fn revoke(&self, lease: i64) {
        let request = LeaseRevokeRequest { id: lease };
        // Asked for as it is: that the lease of an earlier session is over ends none.
        let outcome = match self.ask::<LeaseRevokeResponse>(LEASE_REVOKE, &request).await {
            Ok(Ok(_)) => return,
            Ok(Err(failure)) => failure.to_string(),
            Err(error) => error.to_string(),
        };
        // It ends by itself, later.
        tracing::debug!(target: "dubhe::registry", error = outcome, "lease not given back");
    }

    /// Whether its calls carry a login, because etcd asks for one.
    pub(super) fn is_logged_in(&self) -> bool {
        self.grpc.token().is_some()
    }

    pub(super) async fn closed(&self) {
        // The sender is ours.
        let _ = self.end.subscribe().wait_for(Option::is_some).await;
    }

    pub(super) fn reason(&self) -> Option<Error> {
        self.end.borrow().clone()
    }

    /// Why the session ended, or what else happened to it.
    pub(super) fn lost(&self, what: &str) -> Error {
        self.reason()
            .unwrap_or_else(|| Error::unreachable(format!("registry {}: {what}", self.access.name)))
    }

    fn error(&self, failure: &GrpcFailure) -> Error {
        if words::is_lease_gone(failure) {
            self.finish(LEASE_GONE);
        }
        match (failure, self.reason()) {
            // What broke the connection says more than what it broke.
            (GrpcFailure::Broken(_), Some(reason)) => reason,
            _ => words::error(&self.access.name, (&self.access.user, &self.access.root), failure),
        }
    }

    fn finish(&self, why: &str) {
        finish(&self.end, &self.access, why);
    }

    /// Goes on with another token, as if the present one had run out.
    #[cfg(test)]
    pub(super) fn set_token(&self, token: &'static str) {
        self.grpc.set_token(HeaderValue::from_static(token));
    }

    async fn renew_login(&self, old: Option<HeaderValue>) -> Result<(), GrpcFailure> {
        let _renewing = self.renewing.lock().await;
        if self.grpc.token() != old {
            return Ok(());
        }
        log_in(&self.grpc, &self.access).await
    }

    /// Keeps the lease alive; returns why that ended.
    ///
    /// A server that answers with an error may be busy, or its ensemble may be choosing a leader: it is
    /// asked again for as long as one that does not answer.
    async fn keep_alive(&self, ttl: Duration) -> String {
        let (every, patience) = (RENEW.min(ttl / 3), PATIENCE.min(ttl * 2 / 3));
        let (mut stream, mut renewed, mut failure) = (None, Instant::now(), None);
        loop {
            match timeout_at(renewed + patience, self.renew(&mut stream)).await {
                Ok(Ok(1..)) => {
                    (renewed, failure) = (Instant::now(), None);
                    sleep(every.mul_f64(rand::random_range(0.8..=1.0))).await;
                }
                Ok(Ok(_)) => return LEASE_GONE.to_owned(),
                Ok(Err(GrpcFailure::Broken(why) | GrpcFailure::Unwanted(why))) => {
                    return format!("a renewal failed: {why}");
                }
                Ok(Err(status)) => {
                    (stream, failure) = (None, Some(status));
                    sleep(every / 10).await;
                }
                Err(_) => {
                    let silent = || "it does not answer".to_owned();
                    let why = failure.map_or_else(silent, |failure| failure.to_string());
                    return format!("its lease was not renewed for {patience:.1?}: {why}");
                }
            }
        }
    }

    /// Renews the lease over `stream`, which is opened if there is none; returns for how long, in
    /// seconds.
    async fn renew(&self, stream: &mut Option<Renewals>) -> Result<i64, GrpcFailure> {
        let request = LeaseKeepAliveRequest { id: self.lease };
        let renewals = match stream {
            Some(renewals) => {
                // If the stream has ended, what comes next says why.
                let _ = renewals.requests.send(&request).await;
                renewals
            }
            None => {
                let (requests, answers) = self.grpc.stream(LEASE_KEEP_ALIVE);
                requests.send(&request).await?;
                stream.insert(Renewals { requests, answers: answers.await? })
            }
        };
        let ended = || GrpcFailure::Broken("it ended them".to_owned());
        renewals.answers.next().await?.map(|answer| answer.ttl).ok_or_else(ended)
    }
}

/// A stream on which the lease is renewed.
struct Renewals {
    requests: GrpcRequests<LeaseKeepAliveRequest>,
    answers: GrpcAnswers<LeaseKeepAliveResponse>,
}

/// The reason to give when the lease has ended.
const LEASE_GONE: &str = "its lease has expired or was revoked, registering everything again";

impl std::fmt::Debug for EtcdLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("EtcdLink");
        shown
            .field("address", &self.access.name)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
