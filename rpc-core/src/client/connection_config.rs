//! Times and limits of a consumer's connections.

use std::time::Duration;

use crate::codec::Limits;

/// Limits and times of every connection of a consumer.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// How long one try to connect may take; default 1 s.
    pub connect_timeout: Duration,
    /// Silence after which a heartbeat asks whether the provider is there; default 10 s.
    pub heartbeat: Duration,
    /// How long the answer to a heartbeat may take; default 5 s.
    pub heartbeat_timeout: Duration,
    /// Largest body of a frame, either way, in bytes; default 8 MiB.
    pub payload: usize,
    /// Most memory that the reply of one call takes, in bytes; default 64 MiB.
    pub decoded: usize,
    /// Most calls that wait on one connection; default 65,536.
    pub in_flight: usize,
    /// Most bytes that wait to be written on one connection; default 64 MiB.
    pub queued: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            heartbeat: Duration::from_secs(10),
            heartbeat_timeout: Duration::from_secs(5),
            payload: 8 * 1024 * 1024,
            decoded: Limits::DECODED,
            in_flight: 65_536,
            queued: 64 * 1024 * 1024,
        }
    }
}
