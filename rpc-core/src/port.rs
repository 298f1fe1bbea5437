//! A listening port that its owner can close at once, whoever accepts on it at that moment.
//!
//! A task that is told to end, or aborted, ends when its runtime gets to it; what it holds is held
//! until then. A port must be free by the time its server says that it is gone.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream};

/// A listening TCP port, shared by its owner and the task that accepts on it.
#[derive(Debug)]
pub struct Port(Mutex<Option<TcpListener>>);

impl Port {
    /// The port of `listener`.
    #[must_use]
    pub const fn new(listener: TcpListener) -> Self {
        Self(Mutex::new(Some(listener)))
    }

    /// The next connection; waits for ever once the port is closed. One task at a time accepts.
    ///
    /// # Errors
    /// As [`TcpListener::accept`].
    ///
    /// # Cancel safety
    /// No connection is lost.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(listener) => listener.poll_accept(cx),
            None => Poll::Pending,
        })
        .await
    }

    /// Frees the port before it returns. Connections that were not accepted yet are reset.
    pub fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
