//! What of its limits a server gives to whom.

mod buffered;
mod in_flight;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};

use crate::codec::{Codec, CodecError, Codecs, Limits};
use crate::message::Message;
use crate::metrics::Metrics;
use crate::protocol::Protocols;
use crate::server::state::ServerState;
use crate::server::{Dispatcher, ServerConfig};

/// A codec that nobody uses.
#[derive(Debug)]
struct Unused;

impl Codec for Unused {
    fn name(&self) -> &'static str {
        "unused"
    }

    fn content_subtype(&self) -> &'static str {
        "unused"
    }

    fn dubbo_id(&self) -> u8 {
        0
    }

    fn encode(&self, _: &dyn Message, _: &mut BytesMut) -> Result<(), CodecError> {
        unreachable!()
    }

    fn decode(&self, _: Bytes, _: &mut dyn Message, _: &mut Limits) -> Result<(), CodecError> {
        unreachable!()
    }
}

/// A server that takes so many calls and bytes.
fn server(in_flight: usize, buffered: usize) -> Arc<ServerState> {
    let codecs = Codecs::new(Arc::new(Unused), []);
    let dispatcher = Arc::new(Dispatcher::new(codecs, Metrics::new("provider")));
    let config = ServerConfig { in_flight, buffered, ..ServerConfig::default() };
    Arc::new(ServerState::new(dispatcher, Protocols::new(Vec::new()).unwrap(), config))
}

/// Calls, one-way calls and bytes that count now.
fn taken(state: &ServerState) -> (usize, usize, usize) {
    let [calls, one_way, bytes] = [state.calls.taken(), &state.one_way, state.bytes.taken()]
        .map(|count| count.load(Ordering::Acquire));
    (calls, one_way, bytes)
}
