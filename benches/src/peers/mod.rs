//! What the harness asks of a framework, and the frameworks it knows.
//!
//! A peer is one file that implements [`Peer`] and one line in [`builtin`]. Everything measured
//! is written once above this seam, so that all peers are driven by the same loop; it is erased
//! around the whole run, never around a call.

mod dubhe;
mod tarpc;
pub(crate) mod tonic;
mod volo;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;

use bytes::Bytes;

use crate::load::{self, Load, Sample};

/// An error on its way to the person who started the bench.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Calls a peer may have in flight on its one connection; above every load the harness offers.
const IN_FLIGHT: usize = 8192;

/// Where servers bind: any free port of the loopback interface.
const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// One framework: an echo server, and a connection to one.
pub(crate) trait Peer: 'static {
    /// The name on the command line and in the report.
    const NAME: &'static str;
    /// The package whose locked version the report shows.
    const PACKAGE: &'static str;
    /// The connected client.
    type Echo: Echo;

    /// Binds a free loopback port, announces it by [`announce`], serves until the process ends.
    fn serve() -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Opens the one connection that all callers share.
    fn connect(addr: SocketAddr) -> impl Future<Output = Result<Self::Echo, BoxError>> + Send;
}

/// A client whose clones share one connection.
pub(crate) trait Echo: Clone + Send + Sync + 'static {
    /// Sends `body` and gives what came back.
    fn echo(&self, body: Bytes) -> impl Future<Output = Result<Bytes, BoxError>> + Send;
}

/// A peer behind plain function pointers, to be chosen by name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// See [`Peer::NAME`].
    pub(crate) name: &'static str,
    /// See [`Peer::PACKAGE`].
    pub(crate) package: &'static str,
    /// See [`Peer::serve`].
    pub(crate) serve: fn() -> BoxFuture<()>,
    /// Connects to a server and puts a load on it.
    pub(crate) drive: fn(SocketAddr, Load) -> BoxFuture<Sample>,
}

impl Entry {
    fn of<P: Peer>() -> Self {
        Self {
            name: P::NAME,
            package: P::PACKAGE,
            serve: || Box::pin(P::serve()),
            drive: |addr, load| {
                Box::pin(async move { load::drive(P::connect(addr).await?, load).await })
            },
        }
    }
}

/// Every peer, in the order of the report.
pub(crate) fn builtin() -> Vec<Entry> {
    vec![
        Entry::of::<dubhe::Dubhe>(),
        Entry::of::<dubhe::DubheMsgpack>(),
        Entry::of::<tarpc::Tarpc>(),
        Entry::of::<tonic::Tonic>(),
        Entry::of::<volo::Volo>(),
    ]
}

/// The peer called `name`.
pub(crate) fn find(name: &str) -> Result<Entry, String> {
    let known = builtin();
    known.iter().find(|peer| peer.name == name).copied().ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|peer| peer.name).collect();
        format!("unknown peer `{name}`, available: {}", names.join(", "))
    })
}

/// Tells the runner, which reads this process's output, where the server listens.
fn announce(addr: SocketAddr) {
    println!("{addr}");
}
