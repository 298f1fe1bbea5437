//! From an HTTP request to an invocation: codec, method, limits, metadata, deadline.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use hyper::{Method as Verb, StatusCode};
use rpc_core::codec::{Codec, Codecs};
use rpc_core::server::{HeldBytes, Phase, Route, ServerState, shutting_down};
use rpc_core::status::{Delivery, Status};
use rpc_core::{Body, Deadline, Invocation, Peer};
use tokio::time::Instant;

use super::answer::Refusal;
use super::room::Room;
use super::{browser, headers, host};

/// Header with the time a call may take in milliseconds, as Dubbo's Triple names it.
const TIMEOUT: HeaderName = HeaderName::from_static("tri-service-timeout");
const GROUP: HeaderName = HeaderName::from_static("tri-service-group");
const VERSION: HeaderName = HeaderName::from_static("tri-service-version");

/// Refuses what is not to reach a handler, whatever it says, and finds the codec.
pub(super) fn check(head: &Parts, state: &ServerState) -> Result<Arc<dyn Codec>, Refusal> {
    let host = host::named(head).map_err(refused)?;
    if let (Some(host), Some(own)) = (host, &state.config().hosts) {
        let others = host::refuse_others(host, own);
        // It tells clients and caches that the name is at fault; 403 would be about the caller.
        others.map_err(|why| Refusal::new(StatusCode::MISDIRECTED_REQUEST, refused(why)))?;
    }
    if state.phase() >= Phase::Refusing {
        return Err(shutting_down().into());
    }
    if head.method != Verb::POST {
        let text = format!("{} is not taken here; POST the arguments instead", head.method);
        let status = refused(Status::unimplemented(text));
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, status));
    }
    let content_type = headers::single(&head.headers, &CONTENT_TYPE).map_err(refused)?;
    browser::refuse_unasked(&head.headers).map_err(unsupported)?;
    codec(content_type, state.dispatcher().codecs())
}

/// The codec that the content type names: JSON without one, and for a form, which `curl -d` says
/// that it sends.
fn codec(content_type: Option<&str>, codecs: &Codecs) -> Result<Arc<dyn Codec>, Refusal> {
    let essence = content_type.map_or("application/json", browser::essence).to_ascii_lowercase();
    let subtype = match essence.strip_prefix("application/") {
        Some("x-www-form-urlencoded") => "json",
        Some(subtype) => subtype,
        None => "",
    };
    codecs.by_content_subtype(subtype).cloned().ok_or_else(|| {
        let known: Vec<String> =
            codecs.iter().map(|codec| format!("application/{}", codec.content_subtype())).collect();
        let (essence, known) = (essence.escape_debug(), known.join(", "));
        let text = format!("content type `{essence}` is not spoken here, available: {known}");
        unsupported(Status::invalid_argument(text))
    })
}

fn unsupported(why: Status) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, refused(why))
}

/// A request that is complete.
pub(super) struct Called {
    pub(super) route: Arc<Route>,
    pub(super) invocation: Invocation,
    pub(super) started: Instant,
    /// The bytes of its arguments, which count while it runs.
    pub(super) held: HeldBytes,
}

/// Reads the request into a call of a method that is served here.
pub(super) async fn call(
    head: &Parts,
    body: &mut Incoming,
    codec: &Arc<dyn Codec>,
    peer: &Arc<Peer>,
    room: &Arc<Room>,
) -> Result<Called, Refusal> {
    let state = &**room.caller.state();
    let route = route(head, state)?;
    route.method().check_unary("json")?;
    let metadata = headers::metadata(&head.headers).map_err(refused)?;
    let timeout = timeout(&head.headers, state)?;
    let (bytes, held) = gather(body, room).await?;
    let started = Instant::now();
    let deadline = Deadline::after_from(started, timeout);
    let body = Body::from_bytes(codec.clone(), bytes);
    let mut invocation = Invocation::new(route.method().clone(), body, deadline);
    (invocation.metadata, invocation.peer) = (metadata, Some(peer.clone()));
    Ok(Called { route, invocation, started, held })
}

/// Gathers a body within the limits of its size, of the connection's room, and of time.
async fn gather(body: &mut Incoming, room: &Arc<Room>) -> Result<(Bytes, HeldBytes), Refusal> {
    let config = &room.caller.state().config();
    let limit = config.max_payload;
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let (began, mut bytes, mut held) = (Instant::now(), BytesMut::new(), room.hold());
    loop {
        let until = began + config.time_for(bytes.len()).min(config.frame_timeout * 6);
        let Ok(frame) = tokio::time::timeout_at(until, body.frame()).await else {
            let late = refused(Status::deadline_exceeded("the body did not arrive in time"));
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, late));
        };
        let Some(frame) = frame else { return Ok((bytes.freeze(), held)) };
        let frame = frame.map_err(|error| {
            refused(Status::invalid_argument(format!("the body broke off: {error}")))
        })?;
        let Some(data) = frame.data_ref() else { continue };
        if data.len() > limit - bytes.len() {
            return Err(too_large(limit));
        }
        held.grow(data.len())?;
        bytes.extend_from_slice(data);
    }
}

fn too_large(limit: usize) -> Refusal {
    let text = format!(
        "the body has more than the limit of {limit} bytes; send less or raise \
         `provider.limits.payload`"
    );
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, refused(Status::invalid_argument(text)))
}

/// The method that the path names; group and version may stand in the path or in headers.
fn route(head: &Parts, state: &ServerState) -> Result<Arc<Route>, Refusal> {
    let path = head.uri.path();
    let path = path.strip_prefix('/').unwrap_or(path);
    if !path.is_empty() && path.split('/').any(str::is_empty) {
        let text = "the path has an empty segment; POST to `/service/method`";
        return Err(refused(Status::invalid_argument(text)).into());
    }
    let text = |name| headers::single(&head.headers, &name).map_err(refused);
    let (service, method) = path.rsplit_once('/').unwrap_or(("", path));
    let full = match (text(GROUP)?, text(VERSION)?) {
        (None, None) => return Ok(state.dispatcher().route(path)?.clone()),
        (Some(group), None) => format!("{group}/{service}/{method}"),
        (None, Some(version)) => format!("{service}:{version}/{method}"),
        (Some(group), Some(version)) => format!("{group}/{service}:{version}/{method}"),
    };
    Ok(state.dispatcher().route(&full)?.clone())
}

fn timeout(headers: &HeaderMap, state: &ServerState) -> Result<Duration, Refusal> {
    let Some(text) = headers::single(headers, &TIMEOUT).map_err(refused)? else {
        return Ok(state.config().default_timeout);
    };
    text.parse().map(Duration::from_millis).map_err(|_| {
        refused(Status::invalid_argument(format!("`{TIMEOUT}` is not a number of milliseconds")))
            .into()
    })
}

fn refused(status: Status) -> Status {
    status.with_delivery(Delivery::Refused)
}
