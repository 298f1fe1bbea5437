//! Limits and times of a provider, whatever protocols it serves.

use std::time::Duration;

use crate::codec::Limits;

/// Limits and times of a provider's port.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Names and addresses, besides those of loopback, by which HTTP requests may call the
    /// provider, without port and brackets; `None`, which is the default, for any. A provider on
    /// loopback has some, so that no web page reaches it by a name of its own.
    pub hosts: Option<Vec<String>>,
    /// Whether `GET /metrics` serves the metrics; default `false`.
    pub serves_metrics: bool,
    /// Largest body of a request or reply, in bytes; default 8 MiB.
    pub payload: usize,
    /// Most memory that the arguments of one call take, in bytes; default 64 MiB.
    pub decoded: usize,
    /// Largest head of an HTTP request, in bytes; default 16 KiB.
    pub header: usize,
    /// Most connections at a time; default 10,000.
    pub connections: usize,
    /// Most calls that run at a time, those that end at once not counted; default 10,000. A
    /// connection has at most as many as it leaves, unless it is the only one.
    pub in_flight: usize,
    /// Most bytes of requests and answers that all connections hold; default 512 MiB. A connection
    /// has at most as many as it leaves, so half of them.
    pub buffered: usize,
    /// How long a connection may take until its protocol is known; default 5 s.
    pub sniff_timeout: Duration,
    /// How long a frame or an HTTP head that has begun may take; default 10 s. A frame or a body
    /// has longer as long as it brings 1 KiB a second.
    pub header_timeout: Duration,
    /// How long a peer may take no byte of its answers; default 10 s.
    pub write_timeout: Duration,
    /// Silence after which a connection is closed; default 600 s.
    pub idle_timeout: Duration,
    /// How long a call without a deadline may run; default 60 s.
    pub default_timeout: Duration,
}

/// Bytes a second that a frame or a body brings at least, once it has taken long.
const SLOWEST: u64 = 1024;

impl ServerConfig {
    /// Whether it is too little that a frame brought so much in this time.
    pub fn is_slow(&self, bytes: usize, took: Duration) -> bool {
        (bytes as u128) < took.as_millis() * u128::from(SLOWEST) / 1000
    }

    /// How long a body may have taken of which `bytes` are here.
    pub fn time_for(&self, bytes: usize) -> Duration {
        self.header_timeout + Duration::from_millis(bytes as u64 * 1000 / SLOWEST)
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            hosts: None,
            serves_metrics: false,
            payload: 8 * 1024 * 1024,
            decoded: Limits::DECODED,
            header: 16 * 1024,
            connections: 10_000,
            in_flight: 10_000,
            buffered: 512 * 1024 * 1024,
            sniff_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(600),
            default_timeout: Self::DEFAULT_TIMEOUT,
        }
    }
}
