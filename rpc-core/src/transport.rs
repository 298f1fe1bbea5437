//! What bytes move over: streams, how they are opened, and how they are accepted.
//!
//! The seams for TLS, Unix sockets, inherited descriptors and simulated networks. Sockets are the
//! business of the protocols' crate.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream under a connection: TCP, TLS over it, or a simulated one.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {}

/// An erased stream; one virtual call per read or write, each of which is a system call anyway.
pub type BoxTransport = Box<dyn Transport>;

/// The future of [`Dial::dial`].
pub type DialFuture<'a> = Pin<Box<dyn Future<Output = io::Result<BoxTransport>> + Send + 'a>>;

/// Opens streams to addresses; the place for TLS and simulated networks.
///
/// ```
/// use std::io;
///
/// use rpc_core::transport::{BoxTransport, Dial, DialFuture};
/// use tokio::io::DuplexStream;
/// use tokio::sync::mpsc;
///
/// /// A network in memory with one listener, whatever the address.
/// #[derive(Debug)]
/// struct Memory(mpsc::Sender<DuplexStream>);
///
/// impl Dial for Memory {
///     fn dial<'a>(&'a self, _: &'a str) -> DialFuture<'a> {
///         Box::pin(async move {
///             let (ours, theirs) = tokio::io::duplex(64 * 1024);
///             let refused = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
///             self.0.send(theirs).await.map_err(refused)?;
///             Ok(Box::new(ours) as BoxTransport)
///         })
///     }
/// }
/// ```
pub trait Dial: fmt::Debug + Send + Sync + 'static {
    /// Opens a stream to `address` (`host:port`).
    ///
    /// # Errors
    /// The address cannot be reached; the message is shown to users with the address before it.
    ///
    /// # Cancel safety
    /// The caller limits the time by dropping the future, which must leave nothing open.
    fn dial<'a>(&'a self, address: &'a str) -> DialFuture<'a>;
}

impl<D: Dial + ?Sized> Dial for Arc<D> {
    fn dial<'a>(&'a self, address: &'a str) -> DialFuture<'a> {
        (**self).dial(address)
    }
}

/// A stream that was accepted, and where it comes from.
pub type AcceptedStream = (BoxTransport, TransportAddr);

/// Accepts streams; the other half of [`Dial`].
///
/// A TCP port, a Unix socket, an inherited descriptor and an in-memory network are listeners alike.
/// Dropping the listener closes it.
///
/// ```
/// use std::io;
/// use std::task::{Context, Poll, ready};
///
/// use rpc_core::transport::{AcceptedStream, Listen, TransportAddr};
/// use tokio::io::DuplexStream;
/// use tokio::sync::mpsc;
///
/// /// The listener of a network in memory.
/// #[derive(Debug)]
/// struct MemoryListen(mpsc::Receiver<DuplexStream>);
///
/// impl Listen for MemoryListen {
///     fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<AcceptedStream>> {
///         match ready!(self.0.poll_recv(cx)) {
///             Some(stream) => Poll::Ready(Ok((Box::new(stream), self.local_addr()))),
///             // Nobody is left who could dial.
///             None => Poll::Pending,
///         }
///     }
///
///     fn local_addr(&self) -> TransportAddr {
///         TransportAddr::Named("memory".into())
///     }
/// }
/// ```
pub trait Listen: fmt::Debug + Send + 'static {
    /// The next stream and the address it comes from.
    ///
    /// # Errors
    /// The listener cannot accept now, as without descriptors. It is asked again after 50 ms. A
    /// stream that fails while it is accepted is not an error of the listener: skip it.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<AcceptedStream>>;

    /// Where it listens.
    fn local_addr(&self) -> TransportAddr;
}

/// The address of a stream's peer, or of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TransportAddr {
    /// An IP address and a port.
    Socket(SocketAddr),
    /// Anything else, as its listener names it: the path of a Unix socket, a simulated host.
    Named(Arc<str>),
}

impl TransportAddr {
    /// The IP address and port, if it has them.
    #[must_use]
    pub const fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(address) => Some(*address),
            Self::Named(_) => None,
        }
    }
}

impl From<SocketAddr> for TransportAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(address)
    }
}

impl fmt::Display for TransportAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Named(name) => name.fmt(f),
        }
    }
}
