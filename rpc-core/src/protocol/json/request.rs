//! From an HTTP request to an invocation: codec, method, limits, metadata, deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Method as Verb, StatusCode};
use tokio::time::Instant;

use super::answer::Refusal;
use super::room::Room;
use crate::body::Body;
use crate::codec::{Codec, Codecs};
use crate::deadline::Deadline;
use crate::invocation::Invocation;
use crate::metadata::Metadata;
use crate::server::{Held, Phase, Route, ServerState, shutting_down};
use crate::status::{Delivery, Status};

/// Header with the time a call may take in milliseconds, as Dubbo's Triple names it.
const TIMEOUT: &str = "tri-service-timeout";
const GROUP: &str = "tri-service-group";
const VERSION: &str = "tri-service-version";

/// The codec that the content type names.
///
/// `curl -d` says it sends a form, and so could any web page without asking: such a body is taken
/// as JSON only without the headers that browsers add.
pub(super) fn codec(head: &Parts, codecs: &Codecs) -> Result<Arc<dyn Codec>, Refusal> {
    let text = head
        .headers
        .get(CONTENT_TYPE)
        .map_or("application/json", |value| value.to_str().unwrap_or_default());
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let from_page =
        head.headers.contains_key(ORIGIN) || head.headers.contains_key("sec-fetch-site");
    let subtype = match essence.strip_prefix("application/") {
        Some("x-www-form-urlencoded") if !from_page => "json",
        Some("x-www-form-urlencoded") => {
            let text = "a form from a web page is not taken as JSON; \
                        send `content-type: application/json`";
            return Err(unsupported(text.to_owned()));
        }
        Some(subtype) => subtype,
        None => "",
    };
    codecs.by_content_subtype(subtype).cloned().ok_or_else(|| {
        let known: Vec<String> =
            codecs.iter().map(|codec| format!("application/{}", codec.content_subtype())).collect();
        let (essence, known) = (essence.escape_debug(), known.join(", "));
        unsupported(format!("content type `{essence}` is not spoken here, available: {known}"))
    })
}

fn unsupported(text: String) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, refused(Status::invalid_argument(text)))
}

/// A request that is complete.
pub(super) struct Called {
    pub(super) route: Arc<Route>,
    pub(super) invocation: Invocation,
    pub(super) started: Instant,
    /// The bytes of its arguments, which count while it runs.
    pub(super) held: Held,
}

/// Reads the request into a call of a method that is served here.
pub(super) async fn call(
    head: &Parts,
    body: &mut Incoming,
    codec: &Arc<dyn Codec>,
    peer: SocketAddr,
    room: &Arc<Room>,
) -> Result<Called, Refusal> {
    let state = &*room.caller.state;
    if state.phase() >= Phase::Refusing {
        return Err(shutting_down().into());
    }
    if head.method != Verb::POST {
        let text = format!("{} is not taken here; POST the arguments instead", head.method);
        let status = refused(Status::unimplemented(text));
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, status));
    }
    let route = route(head, state)?;
    let (bytes, held) = gather(body, room).await?;
    let started = Instant::now();
    let deadline = Deadline::after_from(started, timeout(&head.headers, state)?);
    let body = Body::from_bytes(codec.clone(), bytes).with_decoded_limit(state.config.max_decoded);
    let mut invocation = Invocation::new(route.method().clone(), body, deadline);
    (invocation.metadata, invocation.peer) = (metadata(&head.headers), Some(peer));
    Ok(Called { route, invocation, started, held })
}

/// Gathers a body within the limits of its size, of the connection's room, and of time.
async fn gather(body: &mut Incoming, room: &Arc<Room>) -> Result<(Bytes, Held), Refusal> {
    let config = &room.caller.state.config;
    let limit = config.max_payload;
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
    let path = head.uri.path().trim_start_matches('/');
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let (service, method) = path.rsplit_once('/').unwrap_or(("", path));
    let full = match (text(GROUP), text(VERSION)) {
        (None, None) => return Ok(state.dispatcher.route(path)?.clone()),
        (Some(group), None) => format!("{group}/{service}/{method}"),
        (None, Some(version)) => format!("{service}:{version}/{method}"),
        (Some(group), Some(version)) => format!("{group}/{service}:{version}/{method}"),
    };
    Ok(state.dispatcher.route(&full)?.clone())
}

fn timeout(headers: &HeaderMap, state: &ServerState) -> Result<Duration, Refusal> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(state.config.default_timeout);
    };
    let millis = value.to_str().ok().and_then(|text| text.parse().ok());
    millis.map(Duration::from_millis).ok_or_else(|| {
        refused(Status::invalid_argument(format!("`{TIMEOUT}` is not a number of milliseconds")))
            .into()
    })
}

/// Every header that is not HTTP's own business.
fn metadata(headers: &HeaderMap) -> Metadata {
    let texts = headers.iter().filter(|(name, _)| !is_http(name));
    texts.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect()
}

fn is_http(name: &HeaderName) -> bool {
    const PREFIXES: [&str; 6] = ["accept", "content-", "sec-", "tri-service-", "if-", "proxy-"];
    const NAMES: [&str; 10] = [
        "host",
        "user-agent",
        "connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "expect",
        "origin",
        "referer",
        "keep-alive",
    ];
    let name = name.as_str();
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn refused(status: Status) -> Status {
    status.with_delivery(Delivery::Refused)
}
