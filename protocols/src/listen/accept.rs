//! The accept loop: survives full descriptor tables and bad peers, and knows its connections.
//!
//! A connection past the limit is turned away by name instead of being left in the backlog, where
//! its peer would wait without knowing why. If the system has no descriptors left, the loop waits
//! and tries again, with one line in the log.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::task::AtomicWaker;
use rpc_core::Acceptor;
use rpc_core::protocol::Accepted;
use rpc_core::server::{ConnectionGuard, Phase, ServerState};
use rpc_core::transport::{BoxTransport, Listen, TransportAddr};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{sniff, turn_away};

/// A listener that its server can close.
pub(super) type Listener = Acceptor<Box<dyn Listen>>;

/// Accepts until the server refuses new calls, then waits for its connections; they end with it.
pub(super) async fn accept_loop(listener: Listener, server: Arc<ServerState>) {
    let mut connections = JoinSet::new();
    let mut phase = server.watch_phase();
    tokio::select! {
        () = accept(listener, &server, &mut connections) => {}
        _ = phase.wait_for(|phase| *phase >= Phase::Refusing) => {}
    }
    while connections.join_next().await.is_some() {}
}

/// Accepts for ever, and removes connections that have ended.
async fn accept(mut listener: Listener, server: &Arc<ServerState>, connections: &mut JoinSet<()>) {
    // Room for peers past the limit of connections.
    let strangers = Arc::new(Semaphore::new(turn_away::MOST));
    let (mut failing, mut full) = (false, false);
    loop {
        while connections.try_join_next().is_some() {}
        match listener.next(|listener, cx| listener.poll_accept(cx)).await {
            Ok((io, from)) => {
                failing = false;
                let peer = from.clone();
                if spawn(connections, io, from, server, &strangers) {
                    full = false;
                } else if !std::mem::replace(&mut full, true) {
                    let limit = server.config().connections;
                    tracing::warn!(
                        target: "dubhe::connection",
                        %peer, limit, "`provider.limits.connections` is reached"
                    );
                }
            }
            Err(error) => {
                // Out of descriptors or memory: wait for some to come back, say so once.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(
                        target: "dubhe::connection",
                        %error, "cannot accept connections, trying again"
                    );
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves a new connection; `false` if it is one too many.
fn spawn(
    connections: &mut JoinSet<()>,
    io: BoxTransport,
    from: TransportAddr,
    server: &Arc<ServerState>,
    strangers: &Arc<Semaphore>,
) -> bool {
    let (peer, driver) = (from.clone(), Arc::new(AtomicWaker::new()));
    let guard = server.begin_connection(driver.clone());
    let accepted = Accepted { io, first: BytesMut::new(), from, server: server.clone(), driver };
    let Some(guard) = guard else {
        let Ok(permit) = strangers.clone().try_acquire_owned() else { return false };
        connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = turn_away::past_the_limit(accepted).await {
                tracing::debug!(target: "dubhe::connection", %peer, %error, "connection ended");
            }
        });
        return false;
    };
    connections.spawn(async move {
        if let Err(error) = serve(accepted, guard).await {
            tracing::debug!(target: "dubhe::connection", %peer, %error, "connection ended");
        }
    });
    true
}

/// Serves one connection to its end.
async fn serve(mut accepted: Accepted, _guard: ConnectionGuard) -> io::Result<()> {
    let server = accepted.server.clone();
    let sniffing = sniff::sniff(&mut accepted.io, server.protocols());
    let sniffed = tokio::time::timeout(server.config().sniff_timeout, sniffing).await;
    let Ok(sniffed) = sniffed else {
        let text = "no protocol was recognised in time";
        return Err(io::Error::new(io::ErrorKind::TimedOut, text));
    };
    let (protocol, first) = sniffed?;
    accepted.first = first;
    match server.protocols().serves_any(&*protocol) {
        true => protocol.serve(accepted).await,
        false => turn_away::of_another_protocol(accepted, &*protocol).await,
    }
}
