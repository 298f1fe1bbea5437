//! What bytes move over: streams, and how they are opened. Sockets are the protocols' crate's.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream under a connection: TCP, TLS over it, or a simulated one.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {}

/// An erased stream; one virtual call per read or write, each of which is a system call anyway.
pub type BoxTransport = Box<dyn Transport>;

/// The future of [`Dial::dial`].
pub type DialFuture<'a> = Pin<Box<dyn Future<Output = io::Result<BoxTransport>> + Send + 'a>>;

/// Opens streams to addresses; the seam for TLS and for simulated networks.
pub trait Dial: fmt::Debug + Send + Sync + 'static {
    /// Opens a stream to `address` (`host:port`). The caller bounds the time.
    fn dial<'a>(&'a self, address: &'a str) -> DialFuture<'a>;
}
