//! The tokio runtime of this thread, asked for before anything is changed that needs it.
//!
//! Without one `tokio::spawn` and timers panic, and so do timers and sockets of a runtime that was
//! built without them. Whoever is about to use them asks here first and fails with what is missing.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::error::Error;
use crate::panics;
use crate::status::{Delivery, Status};

/// The part of a tokio runtime that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// Any runtime.
    Runtime,
    /// Timers of the runtime that is here.
    Timers,
    /// Its sockets.
    Io,
}

/// The runtime here.
///
/// # Errors
/// There is none.
pub fn here() -> Result<Handle, Missing> {
    Handle::try_current().map_err(|_| Missing::Runtime)
}

/// The runtime here, which has timers.
///
/// # Errors
/// There is none, or it has no timers.
pub fn with_timers() -> Result<Handle, Missing> {
    let handle = here()?;
    // Tokio tells it by a panic alone.
    let made = panics::catch(|| drop(tokio::time::sleep(Duration::ZERO)));
    made.map(|()| handle).map_err(|_| Missing::Timers)
}

/// The runtime here, which has timers and IO; for what sets something up, as it opens a socket.
///
/// # Errors
/// There is none, or it lacks one of them.
pub fn whole() -> Result<Handle, Missing> {
    let handle = with_timers()?;
    let Ok(socket) = std::net::UdpSocket::bind(("127.0.0.1", 0)) else { return Ok(handle) };
    let registered = panics::catch(|| {
        // Only the panic says that there is no IO.
        let _ = socket.set_nonblocking(true).and_then(|()| tokio::net::UdpSocket::from_std(socket));
    });
    registered.map(|()| handle).map_err(|_| Missing::Io)
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runtime => {
                "no tokio runtime with timers and IO here: call this inside of one, as under \
                 `#[tokio::main]`"
            }
            Self::Timers => {
                "no tokio runtime with timers and IO here: this one has no timers, build it with \
                 `enable_all()`"
            }
            Self::Io => {
                "no tokio runtime with timers and IO here: this one has no IO, build it with \
                 `enable_all()`"
            }
        })
    }
}

impl std::error::Error for Missing {}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        Self::invalid_config(missing.to_string())
    }
}

impl From<Missing> for Status {
    /// Of a call that was not sent; it would fail so everywhere.
    fn from(missing: Missing) -> Self {
        Self::internal(missing.to_string()).with_delivery(Delivery::NotSent)
    }
}
