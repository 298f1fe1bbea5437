//! From a request frame to a call of a method, or to the refusal that says why not.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use rpc_core::codec::Codec;
use rpc_core::server::{Route, ServerState, TurnedAway};
use rpc_core::status::{Delivery, Status};
use rpc_core::{Body, CallId, Deadline, Invocation, Metadata, Peer, RequestId};
use tokio::time::Instant;

use super::transit::Transit;
use crate::dubbo::wire;
use crate::dubbo::wire::envelope::RequestHead;
use crate::dubbo::wire::header::{Header, status};

/// A request that was read. It becomes an invocation once nothing else stands in its way.
pub(super) struct Request {
    pub(super) route: Arc<Route>,
    pub(super) codec: Arc<dyn Codec>,
    pub(super) deadline: Deadline,
    pub(super) metadata: Metadata,
    body: Body,
}

/// A request, or why it is turned away: the status and its number in the header.
pub(super) type Parsed = Result<Request, (Status, u8)>;

/// State of earlier requests of a connection that helps with the next one.
pub(super) struct EarlierRequests {
    transit: Transit,
    /// The route of the last request. Most requests go to the same method, and need no search.
    route: Option<Arc<Route>>,
}

impl EarlierRequests {
    /// The state of a connection whose first bytes arrive at `now`.
    pub(super) const fn opened(now: Instant) -> Self {
        Self { transit: Transit::opened(now), route: None }
    }

    /// The route of a request for the method at `path`.
    fn route(&mut self, state: &ServerState, path: &[u8]) -> Result<Arc<Route>, Status> {
        if let Some(route) = &self.route
            && route.method().path().as_bytes() == path
        {
            return Ok(route.clone());
        }
        let route = state.dispatcher().route_bytes(path)?;
        self.route = Some(route.clone());
        Ok(route.clone())
    }
}

/// Reads a request that arrived at `now`. The arguments stay encoded. What it took on its way
/// longer than others is taken off its time: its caller has waited for so long.
pub(super) fn parse(
    state: &ServerState,
    peer: &Arc<Peer>,
    header: Header,
    mut body: Bytes,
    now: Instant,
    before: &mut EarlierRequests,
) -> Parsed {
    let noted = |head, (status, number): (Status, u8)| {
        note_head(state, peer, header, head, &status);
        (status, number)
    };
    let refuse = |status: Status, number| (status.with_delivery(Delivery::Refused), number);
    let codecs = state.dispatcher().codecs();
    let spoken =
        codecs.by_dubbo_id(header.serialization()).zip(wire::envelope_of(header.serialization()));
    let Some((codec, envelope)) = spoken else {
        let (id, known) = (header.serialization(), codecs.names().collect::<Vec<_>>());
        let text =
            format!("serialization id {id} is not supported here, available: {}", known.join(", "));
        return Err(noted(None, refuse(Status::unimplemented(text), status::BAD_REQUEST)));
    };
    let malformed = |error: String| refuse(Status::invalid_argument(error), status::BAD_REQUEST);
    let RequestHead { path, timeout_us, sent_us, metadata, arguments } =
        envelope.parse_request(&body).map_err(|e| noted(None, malformed(e.to_string())))?;
    let head = Some((path, &metadata));
    let route = before.route(state, path).map_err(|status| match status.is_service_missing() {
        true => noted(head, (status, status::SERVICE_NOT_FOUND)),
        false => noted(head, (status, status::BAD_REQUEST)),
    })?;
    let carried = route.method().check_unary("dubbo");
    carried.map_err(|status| noted(head, (status, status::BAD_REQUEST)))?;
    let excess = sent_us.map_or(Duration::ZERO, |sent_us| before.transit.excess(sent_us, now));
    let timeout = match timeout_us {
        Some(us) => Duration::from_micros(us).saturating_sub(excess),
        None => state.config().default_timeout,
    };
    body.advance(arguments);
    let body = Body::from_bytes(codec.clone(), body).with_decoded_limit(state.config().decoded);
    let deadline = Deadline::after_from(now, timeout);
    Ok(Request { route, codec: codec.clone(), deadline, metadata, body })
}

impl Request {
    /// The route that answers it, the call, and the codec of its answer.
    #[inline]
    pub(super) fn into_call(
        self,
        header: Header,
        peer: &Arc<Peer>,
    ) -> (Arc<Route>, Invocation, Arc<dyn Codec>) {
        let Self { route, codec, deadline, metadata, body } = self;
        let mut invocation = Invocation::new(route.method().clone(), body, deadline);
        (invocation.metadata, invocation.peer) = (metadata, Some(peer.clone()));
        invocation.request = request_id(header);
        (route, invocation, codec)
    }

    /// Says in the access log that it was turned away.
    #[cold]
    pub(super) fn note(&self, state: &ServerState, peer: &Peer, header: Header, why: &Status) {
        let head = Some((self.route.method().path().as_bytes(), &self.metadata));
        note_head(state, peer, header, head, why);
    }
}

/// The number of a request, if its answer is waited for.
fn request_id(header: Header) -> Option<RequestId> {
    RequestId::new(header.id).filter(|_| header.is_two_way())
}

/// Says in the access log that a request was turned away; `head` is its path and its metadata, as
/// far as they were read.
#[cold]
pub(super) fn note_head(
    state: &ServerState,
    peer: &Peer,
    header: Header,
    head: Option<(&[u8], &Metadata)>,
    why: &Status,
) {
    let (path, metadata) = head.unzip();
    let path = path.and_then(|path| std::str::from_utf8(path).ok());
    let id = CallId::of(metadata.unwrap_or(&Metadata::new()), request_id(header));
    let turned_away = TurnedAway { path, peer, id, status: why };
    state.dispatcher().note_turned_away(&turned_away);
}
