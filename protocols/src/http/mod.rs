//! The json face: `POST /service/method` over HTTP/1.1 and HTTP/2, for curl, scripts and browsers.
//!
//! The arguments are the body, as a list or an object; the codec is the one the content type
//! names. Errors are JSON with the HTTP status of their code (`docs/wire.md`).

mod answer;
mod browser;
mod entry;
mod frames;
mod headers;
mod host;
mod request;
mod room;
mod turn_away;

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

pub use self::entry::Http;
use self::frames::Frames;
use self::request::Called;
use self::room::{Outgoing, Room};
use self::turn_away::turn_away;
use rpc_core::Peer;
use rpc_core::server::Answer;
use rpc_core::server::{CallGuard, ConnectionShare, Phase, ServerState, shutting_down};
use rpc_core::status::{Delivery, Status};
use rpc_core::transport::BoxTransport;

/// Serves one HTTP connection to its end.
async fn serve(
    io: BoxTransport,
    http2: bool,
    peer: Arc<Peer>,
    state: Arc<ServerState>,
) -> io::Result<()> {
    let room = Room::new(ConnectionShare::new(state.clone()));
    tokio::select! {
        ended = drive(io, http2, peer, &state, &room) => ended.map_err(io::Error::other),
        () = room.stalled(state.config().write_timeout) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes no answers"))
        }
    }
}

async fn drive(
    io: BoxTransport,
    http2: bool,
    peer: Arc<Peer>,
    state: &ServerState,
    room: &Arc<Room>,
) -> hyper::Result<()> {
    let (room, config) = (room.clone(), &state.config());
    let service = service_fn(move |request| respond(request, peer.clone(), room.clone()));
    let mut phase = state.watch_phase();
    let told = async move {
        // An error means that the server is gone, which is the end as well.
        let _ = phase.wait_for(|phase| *phase >= Phase::Notice).await;
    };
    if http2 {
        let io = TokioIo::new(Frames::new(io, config.frame_timeout));
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(256)
            .max_send_buf_size(64 * 1024)
            .max_header_list_size(u32::try_from(config.max_header).unwrap_or(u32::MAX))
            .keep_alive_interval(config.idle_timeout / 2)
            .keep_alive_timeout(config.frame_timeout)
            .serve_connection(io, service);
        let mut connection = pin!(connection);
        tokio::select! {
            result = connection.as_mut() => result,
            () = told => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    } else {
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(config.frame_timeout)
            .max_buf_size(config.max_header.max(8 * 1024))
            .serve_connection(TokioIo::new(io), service);
        let mut connection = pin!(connection);
        tokio::select! {
            result = connection.as_mut() => result,
            () = told => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    peer: Arc<Peer>,
    room: Arc<Room>,
) -> Result<Response<Outgoing>, Infallible> {
    let response = called(request, peer, &room).await;
    let (head, bytes) = response.into_parts();
    Ok(match room.outgoing(bytes) {
        Ok(outgoing) => Response::from_parts(head, outgoing),
        Err(full) => {
            let full = full.with_delivery(Delivery::Answered);
            answer::refusal(&full.into()).map(|bytes| room.small(bytes))
        }
    })
}

/// The whole answer to a request.
async fn called(request: Request<Incoming>, peer: Arc<Peer>, room: &Arc<Room>) -> Response<Bytes> {
    let state = &room.caller.state();
    let (head, mut body) = request.into_parts();
    let codec = match request::check(&head, state) {
        Ok(codec) => codec,
        Err(refusal) => return refuse(&refusal, body, room),
    };
    let called = match request::call(&head, &mut body, &codec, &peer, room).await {
        Ok(called) => called,
        Err(refusal) => return refuse(&refusal, body, room),
    };
    let Called { route, invocation, started, held: _held } = called;
    let result = match begin(&room.caller) {
        Ok(_guard) => Answer::new(route, invocation, started).until_deadline().await,
        Err(refused) => Err(refused),
    };
    answer::answer(result, &*codec, state.config().max_payload)
}

/// Counts a call whose request is complete, unless there is no room or a drain came in between.
fn begin(caller: &Arc<ConnectionShare>) -> Result<CallGuard, Status> {
    let reading = caller.state().begin_reading();
    if reading.is_none() {
        return Err(shutting_down());
    }
    caller.begin_call()
}

/// Answers a refusal at once. What is left of the body is read and dropped meanwhile: a stream that
/// is reset before its answer was read loses it.
fn refuse(refusal: &answer::Refusal, body: Incoming, room: &Room) -> Response<Bytes> {
    room.discard(body);
    answer::refusal(refusal)
}
