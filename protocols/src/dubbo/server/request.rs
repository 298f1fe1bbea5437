//! From a request frame to an invocation, or to the refusal that says why not.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rpc_core::codec::Codec;
use rpc_core::server::{Route, ServerState};
use rpc_core::status::{Delivery, Status};
use rpc_core::{Body, Deadline, Invocation, Peer, RequestId};
use tokio::time::Instant;

use super::transit::Transit;
use crate::dubbo::wire;
use crate::dubbo::wire::envelope::RequestHead;
use crate::dubbo::wire::header::{Header, status};

/// What a request is to be answered by, or why not: the status and its number in the header.
pub(super) type Parsed = Result<(Arc<Route>, Invocation, Arc<dyn Codec>), (Status, u8)>;

/// Reads a request that arrived at `now`. The arguments stay encoded. What it took on its way longer
/// than others is taken off its time: its caller has waited for so long.
pub(super) fn parse(
    state: &ServerState,
    peer: &Arc<Peer>,
    header: Header,
    mut body: Bytes,
    now: Instant,
    transit: &mut Transit,
) -> Parsed {
    let refuse = |status: Status, number| (status.with_delivery(Delivery::Refused), number);
    let codecs = state.dispatcher().codecs();
    let spoken =
        codecs.by_dubbo_id(header.serialization()).zip(wire::envelope_of(header.serialization()));
    let Some((codec, envelope)) = spoken else {
        let (id, known) = (header.serialization(), codecs.names().collect::<Vec<_>>());
        let text =
            format!("serialization id {id} is not spoken here, available: {}", known.join(", "));
        return Err(refuse(Status::unimplemented(text), status::BAD_REQUEST));
    };
    let malformed = |error: String| refuse(Status::invalid_argument(error), status::BAD_REQUEST);
    let RequestHead { path, timeout_us, sent_us, metadata } =
        envelope.split_request(&mut body).map_err(|e| malformed(e.to_string()))?;
    let route = state.dispatcher().route_bytes(&path);
    let route = route.map_err(|status| match status.is_service_missing() {
        true => (status, status::SERVICE_NOT_FOUND),
        false => (status, status::BAD_REQUEST),
    })?;
    let carried = route.method().check_unary("dubbo");
    carried.map_err(|status| (status, status::BAD_REQUEST))?;
    let excess = sent_us.map_or(Duration::ZERO, |sent_us| transit.excess(sent_us, now));
    let timeout = match timeout_us {
        Some(us) => Duration::from_micros(us).saturating_sub(excess),
        None => state.config().default_timeout,
    };
    let body = Body::from_bytes(codec.clone(), body).with_decoded_limit(state.config().decoded);
    let deadline = Deadline::after_from(now, timeout);
    let mut invocation = Invocation::new(route.method().clone(), body, deadline);
    (invocation.metadata, invocation.peer) = (metadata, Some(peer.clone()));
    invocation.request = RequestId::new(header.id).filter(|_| header.is_two_way());
    Ok((route.clone(), invocation, codec.clone()))
}
