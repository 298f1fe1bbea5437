//! Gives peers that are not served the reason, in the protocol they speak, as far as that is cheap.

use std::io;
use std::time::Duration;

use rpc_core::Protocol;
use rpc_core::protocol::Accepted;
use rpc_core::server::ServerState;
use rpc_core::status::{Delivery, Status};

use super::sniff;

/// Most peers past the limit of connections that get the reason at a time; others are just closed.
pub(super) const MOST: usize = 64;

/// How long it may take to hear what such a peer speaks and to tell it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Turns away a peer past the limit of connections.
pub(super) async fn past_the_limit(mut accepted: Accepted) -> io::Result<()> {
    let server = accepted.server.clone();
    let limit = server.config().connections;
    let text = format!("{limit} connections are open already; raise `provider.limits.connections`");
    let why = Status::resource_exhausted(text).with_delivery(Delivery::Refused);
    in_time(&server, async {
        let (protocol, first) = sniff::sniff(&mut accepted.io, server.protocols()).await?;
        accepted.first = first;
        protocol.turn_away(accepted, why).await
    })
    .await
}

/// Turns away a peer whose protocol is not served.
pub(super) async fn of_another_protocol(
    accepted: Accepted,
    protocol: &dyn Protocol,
) -> io::Result<()> {
    let server = accepted.server.clone();
    let names = protocol.names().join(" or ");
    let text = format!("{names} is not served on this port; add it to `provider.protocols`");
    let why = Status::unimplemented(text).with_delivery(Delivery::Refused);
    in_time(&server, protocol.turn_away(accepted, why)).await
}

async fn in_time(
    server: &ServerState,
    telling: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let patience = server.config().sniff_timeout.min(PATIENCE);
    tokio::time::timeout(patience, telling).await.unwrap_or(Ok(()))
}
