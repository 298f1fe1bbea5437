//! From an HTTP request to an invocation: codec, method, limits, metadata, deadline.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http::request::Parts;
use rpc_core::codec::{Codec, Codecs};
use rpc_core::server::{HeldBytes, Route, ServerState};
use rpc_core::status::{Delivery, Status};
use rpc_core::{Body, Deadline, Invocation, Peer};
use tokio::time::Instant;

use crate::http::body::RequestBody;
use crate::http::refusal::Refusal;
use crate::http::room::Room;
use crate::http::{browser, headers};

/// Header with the time a call may take in milliseconds, as Dubbo's Triple names it.
const TIMEOUT: HeaderName = HeaderName::from_static("tri-service-timeout");
const GROUP: HeaderName = HeaderName::from_static("tri-service-group");
const VERSION: HeaderName = HeaderName::from_static("tri-service-version");

/// The codec that the content type names: JSON without one, and for a form, which `curl -d` says
/// that it sends.
pub(super) fn codec(head: &Parts, codecs: &Codecs) -> Result<Arc<dyn Codec>, Refusal> {
    let content_type = headers::single(&head.headers, &CONTENT_TYPE).map_err(refused)?;
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
        let text = format!("content type `{essence}` is not supported here, available: {known}");
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
    body: &mut RequestBody,
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
    let decoded = state.config().decoded;
    let body = Body::from_bytes(codec.clone(), bytes).with_decoded_limit(decoded);
    let mut invocation = Invocation::new(route.method().clone(), body, deadline);
    (invocation.metadata, invocation.peer) = (metadata, Some(peer.clone()));
    Ok(Called { route, invocation, started, held })
}

/// Gathers a body within the limits of its size, of the connection's room, and of time.
async fn gather(body: &mut RequestBody, room: &Arc<Room>) -> Result<(Bytes, HeldBytes), Refusal> {
    let config = &room.caller.state().config();
    let limit = config.payload;
    if body.least() > limit as u64 {
        return Err(too_large(limit));
    }
    let (began, mut bytes, mut held) = (Instant::now(), BytesMut::new(), room.hold());
    loop {
        let until = began + config.time_for(bytes.len()).min(config.header_timeout * 6);
        let Ok(frame) = tokio::time::timeout_at(until, body.data()).await else {
            let late = refused(Status::deadline_exceeded("the body did not arrive in time"));
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, late));
        };
        let Some(data) = frame else { return Ok((bytes.freeze(), held)) };
        let data = data.map_err(|error| {
            refused(Status::invalid_argument(format!("the body broke off: {error}")))
        })?;
        if data.len() > limit - bytes.len() {
            return Err(too_large(limit));
        }
        held.grow(data.len())?;
        bytes.extend_from_slice(&data);
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
