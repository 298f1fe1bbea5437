//! Peers that are not served are told why in the face they speak, as far as that is cheap.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use rpc_core::server::ServerState;
use rpc_core::status::{Delivery, Status};
use rpc_core::transport::BoxTransport;

use super::Rewind;
use super::sniff::{self, Face};
use crate::{dubbo, http};

/// Most peers past the limit of connections that are told so at a time; more are just closed.
pub(super) const MOST: usize = 64;

/// How long it may take to hear what such a peer speaks and to tell it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells a peer past the limit of connections.
pub(super) async fn past_the_limit(mut io: BoxTransport, state: &ServerState) -> io::Result<()> {
    let limit = state.config().max_connections;
    let text = format!("{limit} connections are open already; raise `provider.limits.connections`");
    let why = Status::resource_exhausted(text).with_delivery(Delivery::Refused);
    in_time(state, async {
        let (face, first) = sniff::sniff(&mut io).await?;
        tell(io, face, first, state, &why).await
    })
    .await
}

/// Tells a peer whose face is not served.
pub(super) async fn of_another_face(
    io: BoxTransport,
    face: Face,
    first: BytesMut,
    state: &ServerState,
) -> io::Result<()> {
    let name = if face == Face::Dubbo { "dubbo" } else { "json" };
    let text = format!("{name} is not served on this port; add it to `provider.protocols`");
    let why = Status::unimplemented(text).with_delivery(Delivery::Refused);
    in_time(state, tell(io, face, first, state, &why)).await
}

async fn in_time(
    state: &ServerState,
    telling: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let patience = state.config().sniff_timeout.min(PATIENCE);
    tokio::time::timeout(patience, telling).await.unwrap_or(Ok(()))
}

async fn tell(
    io: BoxTransport,
    face: Face,
    first: BytesMut,
    state: &ServerState,
    why: &Status,
) -> io::Result<()> {
    match face {
        Face::Dubbo => dubbo::turn_away(io, first, state.dispatcher().codecs(), why).await,
        Face::Http1 | Face::Http2 => {
            http::turn_away(Box::new(Rewind::new(first, io)), face == Face::Http2, why).await
        }
    }
}
