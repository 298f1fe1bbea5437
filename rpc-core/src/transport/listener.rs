//! The accept loop: survives full descriptor tables and bad peers, and knows its connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{BoxTransport, Rewind, tcp, turn_away};
use crate::error::Error;
use crate::port::{Acceptor, Port};
use crate::protocol::sniff::{self, Face};
use crate::protocol::{dubbo, json};
use crate::server::{ConnectionGuard, Phase, ServerState};

const BACKLOG: u32 = 1024;

/// A bound TCP port.
pub(crate) struct Listener {
    port: Acceptor,
    local_addr: SocketAddr,
}

impl Listener {
    /// The listener, and what its owner closes it by.
    pub(crate) async fn bind(address: SocketAddr) -> Result<(Self, Port), Error> {
        let bound = || -> io::Result<(TcpListener, SocketAddr)> {
            let socket = match address {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            // A restarted provider gets its port back although old connections linger.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let inner = socket.listen(BACKLOG)?;
            let local_addr = inner.local_addr()?;
            Ok((inner, local_addr))
        };
        let (inner, local_addr) = bound().map_err(|error| bind_error(address, error))?;
        let (port, acceptor) = Port::of(inner);
        Ok((Self { port: acceptor, local_addr }, port))
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

fn bind_error(address: SocketAddr, error: io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there; stop it or set `provider.port` (0 takes a free one)"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need rights; set `provider.port`",
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; set `provider.bind` to one of its own"
        }
        _ => "see `provider.bind` and `provider.port`",
    };
    Error::bind(format!("cannot listen on {address}: {error}; {remedy}")).with_source(error)
}

/// Accepts until the server refuses new calls, then waits for its connections; they end with it.
pub(crate) async fn accept_loop(listener: Listener, state: Arc<ServerState>) {
    let mut connections = JoinSet::new();
    let mut phase = state.watch_phase();
    tokio::select! {
        () = accept(listener, &state, &mut connections) => {}
        _ = phase.wait_for(|phase| *phase >= Phase::Refusing) => {}
    }
    while connections.join_next().await.is_some() {}
}

async fn accept(mut listener: Listener, state: &Arc<ServerState>, connections: &mut JoinSet<()>) {
    // Room for peers past the limit of connections.
    let strangers = Arc::new(Semaphore::new(turn_away::MOST));
    let (mut failing, mut full) = (false, false);
    loop {
        while connections.try_join_next().is_some() {}
        match listener.port.accept().await {
            Ok((stream, peer)) => {
                failing = false;
                if spawn(connections, stream, peer, state, &strangers) {
                    full = false;
                } else if !std::mem::replace(&mut full, true) {
                    let limit = state.config.max_connections;
                    tracing::warn!(%peer, limit, "`provider.limits.connections` is reached");
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Out of descriptors or memory: wait for some to come back, say so once.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "cannot accept connections, trying on");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Serves a new connection; `false` if it is one too many.
fn spawn(
    connections: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
    state: &Arc<ServerState>,
    strangers: &Arc<Semaphore>,
) -> bool {
    let driver = Arc::new(AtomicWaker::new());
    let state = state.clone();
    let Some(guard) = state.begin_connection(driver.clone()) else {
        let Ok(permit) = strangers.clone().try_acquire_owned() else { return false };
        connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = turn_away::past_the_limit(Box::new(stream), &state).await {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
        return false;
    };
    connections.spawn(async move {
        if let Err(error) = serve(stream, peer, state, driver, guard).await {
            tracing::debug!(%peer, %error, "connection ended");
        }
    });
    true
}

/// Serves one connection to its end.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    state: Arc<ServerState>,
    driver: Arc<AtomicWaker>,
    _guard: ConnectionGuard,
) -> io::Result<()> {
    tcp::prepare(&stream)?;
    let mut io: BoxTransport = Box::new(stream);
    let sniffed = tokio::time::timeout(state.config.sniff_timeout, sniff::sniff(&mut io)).await;
    let Ok(sniffed) = sniffed else {
        let text = "no face was recognised in time";
        return Err(io::Error::new(io::ErrorKind::TimedOut, text));
    };
    let (face, first) = sniffed?;
    match face {
        Face::Dubbo if state.config.dubbo => {
            dubbo::server::serve(io, first, peer, state, driver).await
        }
        Face::Http1 | Face::Http2 if state.config.json => {
            json::serve(Box::new(Rewind::new(first, io)), face == Face::Http2, peer, state).await
        }
        face => turn_away::of_another_face(io, face, first, &state).await,
    }
}
