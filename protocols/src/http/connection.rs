//! Drives one HTTP connection to its end, and gives its requests to the translators that claim
//! them.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rpc_core::Peer;
use rpc_core::protocol::Accepted;
use rpc_core::server::{ConnectionShare, Phase, ServerState};
use rpc_core::status::{Delivery, Status};
use rpc_core::transport::{BoxTransport, TransportAddr};

use super::body::RequestBody;
use super::frames::Frames;
use super::refusal::{Refusal, refusal};
use super::room::{OutgoingBody, Room};
use super::translators::{TRANSLATORS, Translator};
use super::{guard, pages};
use crate::transport::Rewind;

/// Serves one connection to its end.
pub(super) async fn serve(accepted: Accepted, is_http2: bool) -> io::Result<()> {
    let Accepted { io, first, from, server, .. } = accepted;
    let io: BoxTransport = Box::new(Rewind::new(first, io));
    let room = Room::new(ConnectionShare::new(server.clone()));
    tokio::select! {
        ended = drive(io, is_http2, from, &server, &room) => ended.map_err(io::Error::other),
        () = room.stalled(server.config().write_timeout) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes no answers"))
        }
    }
}

/// Lets hyper serve the connection, within the limits of the provider, until it ends or drains.
async fn drive(
    io: BoxTransport,
    is_http2: bool,
    from: TransportAddr,
    server: &ServerState,
    room: &Arc<Room>,
) -> hyper::Result<()> {
    let (served, config) = (Served::new(from, room.clone()), server.config());
    let service = service_fn(move |request| served.clone().respond(request));
    let mut phase = server.watch_phase();
    let told = async move {
        // An error means that the server is gone, which is the end as well.
        let _ = phase.wait_for(|phase| *phase >= Phase::Notice).await;
    };
    if is_http2 {
        let io = TokioIo::new(Frames::new(io, config.header_timeout));
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(256)
            .max_send_buf_size(64 * 1024)
            .max_header_list_size(u32::try_from(config.header).unwrap_or(u32::MAX))
            .keep_alive_interval(config.idle_timeout / 2)
            .keep_alive_timeout(config.header_timeout)
            .serve_connection(io, service);
        until_told(connection, told, |connection| connection.graceful_shutdown()).await
    } else {
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout)
            .max_buf_size(config.header.max(8 * 1024))
            .serve_connection(TokioIo::new(io), service);
        until_told(connection, told, |connection| connection.graceful_shutdown()).await
    }
}

/// Drives a connection to its end; after `told` it accepts no further requests.
async fn until_told<C: Future>(
    connection: C,
    told: impl Future<Output = ()>,
    shut_down: impl FnOnce(Pin<&mut C>),
) -> C::Output {
    let mut connection = pin!(connection);
    tokio::select! {
        // First: a connection that has not read the request before it closes would lose it.
        biased;
        result = connection.as_mut() => result,
        () = told => {
            shut_down(connection.as_mut());
            connection.await
        }
    }
}

/// State that the requests of a connection share.
#[derive(Clone)]
struct Served {
    /// The translators that are served, each with the peer as its calls see it.
    translators: Arc<[(&'static dyn Translator, Arc<Peer>)]>,
    /// The peer of requests that none of them claims.
    peer: Arc<Peer>,
    room: Arc<Room>,
}

impl Served {
    fn new(from: TransportAddr, room: Arc<Room>) -> Self {
        let protocols = room.caller.state().protocols();
        let served = TRANSLATORS.into_iter().filter(|one| protocols.serves(one.name()));
        let translators =
            served.map(|one| (one, Arc::new(Peer::new(from.clone(), one.name())))).collect();
        let peer = Arc::new(Peer::new(from, "http"));
        Self { translators, peer, room }
    }

    /// Answers a request; with a refusal if its answer finds no room.
    async fn respond(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<OutgoingBody>, Infallible> {
        let (head, body) = request.into_parts();
        let response = self.translated(head, RequestBody::new(body)).await;
        let (head, bytes) = response.into_parts();
        Ok(match self.room.outgoing(bytes) {
            Ok(outgoing) => Response::from_parts(head, outgoing),
            Err(full) => {
                let full = full.with_delivery(Delivery::Answered);
                refusal(&full.into()).map(|bytes| self.room.small(bytes))
            }
        })
    }

    /// Passes a request through the checks, to a page or to the translator that claims it.
    async fn translated(&self, head: Parts, body: RequestBody) -> Response<Bytes> {
        let server = self.room.caller.state();
        if let Err(refused) = guard::check_host(&head, server) {
            return self.room.refuse(&refused, (&head, &self.peer), body);
        }
        if let Some(page) = pages::page(&head, server) {
            return page;
        }
        if let Err(refused) = guard::check_call(&head, server) {
            return self.room.refuse(&refused, (&head, &self.peer), body);
        }
        let Some((translator, peer)) = self.translators.iter().find(|(one, _)| one.claims(&head))
        else {
            let text = "nothing that is served on this port speaks this; see `provider.protocols`";
            let status = Status::unimplemented(text).with_delivery(Delivery::Refused);
            return self.room.refuse(&Refusal::from(status), (&head, &self.peer), body);
        };
        translator.respond(Request::from_parts(head, body), peer.clone(), self.room.clone()).await
    }
}
