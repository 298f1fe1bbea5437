//! The other end of a connection, as handlers and layers see it.

use std::fmt;
use std::sync::Arc;

use crate::transport::TransportAddr;

/// The caller: its address, its protocol, and the identity that TLS has proven.
///
/// One for each connection, shared by its calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    address: TransportAddr,
    protocol: &'static str,
    identity: Option<Arc<str>>,
}

impl Peer {
    /// A peer at `address` that speaks `protocol` and has proven no identity.
    #[must_use]
    pub const fn new(address: TransportAddr, protocol: &'static str) -> Self {
        Self { address, protocol, identity: None }
    }

    /// Sets the identity that the peer's certificate proves.
    #[must_use]
    pub fn with_identity(mut self, identity: impl Into<Arc<str>>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// The address that it calls from.
    #[must_use]
    pub const fn address(&self) -> &TransportAddr {
        &self.address
    }

    /// The protocol it speaks, such as `dubbo`.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// The identity that TLS has proven; `None` without TLS.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
