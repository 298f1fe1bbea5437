//! A listening port that its owner can close at once, whoever accepts on it at that moment.
//!
//! A task that is told to end, or aborted, ends when its runtime gets to it; what it holds is held
//! until then. A port must be free by the time its server says that it is gone. It closes with
//! whoever accepts as well: a port where nobody does would keep its callers waiting.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream};

/// The owner's side of a listening port; dropping it frees the port.
#[derive(Debug)]
pub struct Port(Arc<Shared>);

/// The side of the task that accepts; dropping it, as a runtime does that ends, frees the port.
#[derive(Debug)]
pub struct Acceptor(Arc<Shared>);

#[derive(Debug)]
struct Shared(Mutex<Option<TcpListener>>);

impl Port {
    /// The two sides of the port of `listener`.
    #[must_use]
    pub fn of(listener: TcpListener) -> (Self, Acceptor) {
        let shared = Arc::new(Shared(Mutex::new(Some(listener))));
        (Self(shared.clone()), Acceptor(shared))
    }

    /// Frees the port before it returns. Connections that were not accepted yet are reset.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Acceptor {
    /// The next connection; waits for ever once the port is closed.
    ///
    /// # Errors
    /// As [`TcpListener::accept`].
    ///
    /// # Cancel safety
    /// No connection is lost.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| match &*self.0.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(listener) => listener.poll_accept(cx),
            None => Poll::Pending,
        })
        .await
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Shared {
    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
