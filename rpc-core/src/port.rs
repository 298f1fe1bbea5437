//! A listening port that its owner can close at once, even while a task accepts on it.
//!
//! An aborted task ends when its runtime polls it next, and holds what it holds until then. A port
//! must be free by the time its server reports its end. It also closes with the accepting task: a
//! port without one would keep its callers waiting.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream};

/// The owner's side of a listening port; dropping it frees the port.
#[derive(Debug)]
pub struct Port<L = TcpListener>(Arc<Shared<L>>);

/// The side of the task that accepts; dropping it, as a runtime does that ends, frees the port.
#[derive(Debug)]
pub struct Acceptor<L = TcpListener>(Arc<Shared<L>>);

#[derive(Debug)]
struct Shared<L>(Mutex<Option<L>>);

impl<L> Port<L> {
    /// The two sides of the port of `listener`.
    #[must_use]
    pub fn of(listener: L) -> (Self, Acceptor<L>) {
        let shared = Arc::new(Shared(Mutex::new(Some(listener))));
        (Self(shared.clone()), Acceptor(shared))
    }

    /// Frees the port before it returns. Connections that were not accepted yet are reset.
    pub fn close(&self) {
        self.0.close();
    }
}

impl<L> Drop for Port<L> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<L> Acceptor<L> {
    /// Waits for what `poll` finds at the listener; for ever once the port is closed.
    ///
    /// # Cancel safety
    /// As safe as `poll`: nothing is kept between two calls of it.
    pub async fn next<T>(
        &mut self,
        mut poll: impl FnMut(&mut L, &mut Context<'_>) -> Poll<T>,
    ) -> T {
        poll_fn(|cx| match &mut *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(listener) => poll(listener, cx),
            None => Poll::Pending,
        })
        .await
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
        self.next(|listener, cx| listener.poll_accept(cx)).await
    }
}

impl<L> Drop for Acceptor<L> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<L> Shared<L> {
    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
