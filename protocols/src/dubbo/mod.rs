//! The dubbo protocol: Dubbo2's 16-byte header over one multiplexed connection.
//!
//! ```text
//! consumer                                            provider
//! channel.rs  a call                                  a handler
//!   call.rs     encodes, waits in a slot of             request.rs  frame to call
//!               pending.rs                              respond.rs  outcome to frame
//!   driver.rs   one task for each connection  <---->  connection.rs, read_loop.rs
//!   reconnect.rs  keeps one open                        one task for each connection
//!                  wire/  headers, frames, events, bodies: both ends
//! ```
//!
//! Bodies are our compact ones so far (`docs/wire.md`); a body in Dubbo's own hessian2 form finds
//! its place beside `wire/compact.rs`, chosen by the serialization id of the frame.

mod client;
mod server;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use rpc_core::protocol::{Accepted, Protocol, ProtocolClient, ServeFuture, Sniff};
use rpc_core::{BuildContext, Error, Extension, NoConfig, Status};

use self::client::DubboClient;
use self::wire::header::MAGIC;

/// Dubbo2 framing on one multiplexed connection; both ends.
///
/// A connection begins with the bytes `da bb`. It carries any number of calls at once, and events:
/// a heartbeat, a notice that the provider drains, the cancel of a call. It carries no streams.
#[derive(Debug)]
pub struct Dubbo;

impl Extension<dyn Protocol> for Dubbo {
    const NAME: &'static str = "dubbo";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Protocol>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Protocol for Dubbo {
    fn names(&self) -> &[&'static str] {
        &[Self::NAME]
    }

    fn sniff(&self, first: &[u8]) -> Sniff {
        Sniff::prefix(first, &MAGIC)
    }

    fn serve(&self, accepted: Accepted) -> ServeFuture {
        let peer = accepted.peer(Self::NAME);
        Box::pin(server::serve(accepted, peer))
    }

    fn turn_away(&self, accepted: Accepted, why: Status) -> ServeFuture {
        let Accepted { io, first, server, .. } = accepted;
        Box::pin(
            async move { server::turn_away(io, first, server.dispatcher().codecs(), &why).await },
        )
    }

    fn client(&self) -> Option<Arc<dyn ProtocolClient>> {
        Some(Arc::new(DubboClient))
    }
}
