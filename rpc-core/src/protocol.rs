//! The contract of a wire protocol, and the table of those a process speaks.
//!
//! A protocol has two ends. The provider's recognizes its connections by their first bytes, serves
//! them, and turns peers away that are not served. The consumer's opens channels; a protocol may
//! lack it. All names, choices and error texts come from the table: nothing else lists protocols.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::task::AtomicWaker;

use crate::channel::Channel;
use crate::client::ClientConfig;
use crate::error::Error;
use crate::method::MethodKind;
use crate::peer::Peer;
use crate::server::{LocalServers, ServerState};
use crate::status::Status;
use crate::transport::{BoxTransport, Dial, TransportAddr};

/// The future of [`Protocol::serve`] and [`Protocol::turn_away`].
pub type ServeFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A wire protocol: how a provider recognizes and serves its connections, and how a consumer opens
/// them.
///
/// ```
/// use std::io;
///
/// use rpc_core::Status;
/// use rpc_core::protocol::{Accepted, Protocol, Protocols, ServeFuture, Sniff};
/// use tokio::io::AsyncWriteExt;
///
/// /// Answers `PING` with `PONG`, for a load balancer that checks ports.
/// #[derive(Debug)]
/// struct Ping;
///
/// impl Protocol for Ping {
///     fn names(&self) -> &[&'static str] {
///         &["ping"]
///     }
///
///     fn sniff(&self, first: &[u8]) -> Sniff {
///         Sniff::prefix(first, b"PING")
///     }
///
///     fn serve(&self, mut accepted: Accepted) -> ServeFuture {
///         Box::pin(async move { accepted.io.write_all(b"PONG").await })
///     }
///
///     fn turn_away(&self, mut accepted: Accepted, why: Status) -> ServeFuture {
///         Box::pin(async move { accepted.io.write_all(why.message().as_bytes()).await })
///     }
/// }
///
/// # fn main() -> Result<(), rpc_core::Error> {
/// let protocols = Protocols::new(vec![std::sync::Arc::new(Ping)])?;
/// assert!(protocols.serves("ping"));
/// assert_eq!(Ping.sniff(b"PI"), Sniff::NotYet);
/// # Ok(())
/// # }
/// ```
pub trait Protocol: fmt::Debug + Send + Sync + 'static {
    /// The names that `provider.protocols` lists and instances publish: one for most, several for a
    /// stack that carries several, as HTTP does. At least one; the first names the protocol.
    fn names(&self) -> &[&'static str];

    /// Whether the `first` bytes of a connection are of this protocol. It is asked again as more of
    /// them arrive, up to 24.
    fn sniff(&self, first: &[u8]) -> Sniff;

    /// Serves a connection to its end, or until the server closes: see [`ServerState::phase`].
    ///
    /// # Errors
    /// The connection broke, or its peer violated the protocol; logged at level debug.
    fn serve(&self, accepted: Accepted) -> ServeFuture;

    /// Tells a peer `why` it is not served, and closes.
    ///
    /// # Cancel safety
    /// The caller limits the time by dropping the future.
    fn turn_away(&self, accepted: Accepted, why: Status) -> ServeFuture;

    /// Whether it is spoken on connections, so that ports serve it and instances publish it; `true` by
    /// default. A protocol that stays inside a process returns `false`.
    fn is_wire(&self) -> bool {
        true
    }

    /// The consumer's end; `None`, the default, for a protocol that is only served.
    fn client(&self) -> Option<Arc<dyn ProtocolClient>> {
        None
    }
}

/// The consumer's end of a protocol.
pub trait ProtocolClient: fmt::Debug + Send + Sync + 'static {
    /// A channel to `target`. Does no I/O: the first call connects.
    fn channel(&self, target: Target) -> Arc<dyn Channel>;

    /// Whether it can carry methods of this kind.
    fn carries(&self, kind: MethodKind) -> bool;
}

/// The verdict of one protocol on the first bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniff {
    /// They begin a connection of this protocol.
    Yes,
    /// They may, once there are more of them.
    NotYet,
    /// They cannot.
    No,
}

impl Sniff {
    /// Compares the `first` bytes with `prefix`.
    #[must_use]
    pub fn prefix(first: &[u8], prefix: &[u8]) -> Self {
        if first.starts_with(prefix) {
            Self::Yes
        } else if prefix.starts_with(first) {
            Self::NotYet
        } else {
            Self::No
        }
    }

    /// Compares the `first` bytes with each of `prefixes`.
    #[must_use]
    pub fn prefixes<'a>(first: &[u8], prefixes: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut said = Self::No;
        for prefix in prefixes {
            match Self::prefix(first, prefix) {
                Self::Yes => return Self::Yes,
                Self::NotYet => said = Self::NotYet,
                Self::No => {}
            }
        }
        said
    }
}

/// A connection that was accepted and whose protocol is known.
pub struct Accepted {
    /// The stream, of which [`first`](Self::first) is read already.
    pub io: BoxTransport,
    /// The first bytes, which were read to recognize the protocol.
    pub first: BytesMut,
    /// The address of the peer.
    pub from: TransportAddr,
    /// The state that all connections of the server share.
    pub server: Arc<ServerState>,
    /// The waker to call at each new [`Phase`](crate::server::Phase) of the server; the driver of
    /// the connection registers there.
    pub driver: Arc<AtomicWaker>,
}

impl Accepted {
    /// The peer of this connection, which speaks `protocol`.
    #[must_use]
    pub fn peer(&self, protocol: &'static str) -> Arc<Peer> {
        Arc::new(Peer::new(self.from.clone(), protocol))
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("from", &self.from).finish_non_exhaustive()
    }
}

/// The address and the settings of a channel.
#[derive(Debug, Clone)]
pub struct Target {
    /// `host:port`.
    pub address: Arc<str>,
    /// How streams are opened.
    pub dial: Arc<dyn Dial>,
    /// Limits and times.
    pub config: Arc<ClientConfig>,
    /// The servers that are in this process.
    pub local: LocalServers,
}

/// The protocols of a process in their order; cheap to clone.
#[derive(Debug, Clone)]
pub struct Protocols {
    table: Arc<[Arc<dyn Protocol>]>,
    /// The names that are served; all of the table if there are none.
    served: Option<Arc<[String]>>,
}

impl Protocols {
    /// A table of which everything is served.
    ///
    /// # Errors
    /// Two protocols of the same name.
    pub fn new(table: Vec<Arc<dyn Protocol>>) -> Result<Self, Error> {
        let protocols = Self { table: table.into(), served: None };
        let names: Vec<&str> = protocols.iter().flat_map(|one| one.names()).copied().collect();
        let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
        match twice {
            None => Ok(protocols),
            Some((_, name)) => Err(Error::invalid_config(format!(
                "two protocols have the name `{name}`, so it is unclear which is meant: let the \
                 `names` of one return another"
            ))),
        }
    }

    /// Limits the protocols that are served to `served`.
    #[must_use]
    pub fn serving(mut self, served: impl IntoIterator<Item = String>) -> Self {
        self.served = Some(served.into_iter().collect());
        self
    }

    /// Every name in the table that connections can speak, served or not.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let spoken = self.table.iter().filter(|protocol| protocol.is_wire());
        spoken.flat_map(|protocol| protocol.names()).copied()
    }

    /// Whether `name` is served.
    #[must_use]
    pub fn serves(&self, name: &str) -> bool {
        self.served.as_ref().is_none_or(|served| served.iter().any(|one| one == name))
    }

    /// The names that are served, in the order of the table.
    pub fn served(&self) -> impl Iterator<Item = &'static str> {
        self.names().filter(|name| self.serves(name))
    }

    /// Whether anything that `protocol` carries is served.
    #[must_use]
    pub fn serves_any(&self, protocol: &dyn Protocol) -> bool {
        protocol.names().iter().any(|name| self.serves(name))
    }

    /// The protocols of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Protocol>> {
        self.table.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_possible_prefix_is_waited_for() {
        let prefixes = [&b"PRI *"[..], b"PUT "];
        let said = |first: &[u8]| Sniff::prefixes(first, prefixes);
        assert_eq!(said(b""), Sniff::NotYet);
        assert_eq!(said(b"P"), Sniff::NotYet);
        assert_eq!(said(b"PUT /x"), Sniff::Yes);
        assert_eq!(said(b"PR"), Sniff::NotYet);
        assert_eq!(said(b"POST"), Sniff::No);
    }
}
