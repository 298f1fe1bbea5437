//! TCP as we use it: no delay, keep-alive, and a limit on unacknowledged data.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rpc_core::Error;
use rpc_core::runtime;
use rpc_core::transport::{AcceptedStream, BoxTransport, Dial, DialFuture, Listen, TransportAddr};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How long sent bytes may stay unacknowledged before the kernel gives the connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

const BACKLOG: u32 = 1024;

/// Dials over TCP: without delay, with keep-alive, and giving up data that stays unacknowledged for
/// 20 s.
///
/// Another transport is another [`Dial`], given to
/// [`Connections::with_dial`](crate::Connections::with_dial).
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial<'a>(&'a self, address: &'a str) -> DialFuture<'a> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            prepare(&stream)?;
            Ok(Box::new(stream) as BoxTransport)
        })
    }
}

/// A bound TCP port, to be given to a [`Server`](crate::Server).
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dubhe_protocols::TcpListen;
///
/// let port = TcpListen::bind("127.0.0.1:0".parse()?)?;
/// let taken = TcpListen::bind(port.socket_addr()).unwrap_err().to_string();
/// assert!(taken.contains("another process listens there"), "{taken}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpListen {
    inner: TcpListener,
    local_addr: SocketAddr,
}

impl TcpListen {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound (the message names it and the remedy); there is no tokio
    /// runtime, or one without timers and IO.
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        runtime::whole()?;
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
        Ok(Self { inner, local_addr })
    }

    /// The address that is bound, with the port the system chose if 0 was asked for.
    #[must_use]
    pub fn socket_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

impl Listen for TcpListen {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<AcceptedStream>> {
        loop {
            match ready!(self.inner.poll_accept(cx)) {
                Ok((stream, peer)) if prepare(&stream).is_ok() => {
                    return Poll::Ready(Ok((Box::new(stream), peer.into())));
                }
                // The stream was reset before it was accepted.
                Ok(_) => {}
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn local_addr(&self) -> TransportAddr {
        self.local_addr.into()
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

/// Sets the socket options that both ends use.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}
