//! What one call may set for itself, stronger than every configuration.

use std::time::Duration;

use crate::attempts::AttemptLog;
use crate::metadata::{Metadata, MetadataValue};

/// Options of single calls, for `with` of a generated client. What is not set is as configured.
///
/// ```
/// use std::time::Duration;
///
/// use rpc_core::client::CallOptions;
///
/// let patient = CallOptions::new().timeout(Duration::from_secs(5)).metadata("tenant", "blue");
/// // client.with(patient).hello("bob".into()).await
/// # drop(patient);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) metadata: Metadata,
    pub(crate) hash_key: Option<u64>,
    pub(crate) codec: Option<String>,
    pub(crate) attempts: Option<AttemptLog>,
}

impl CallOptions {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the call may take in all, retries included; at most a day, and never longer than a
    /// handler has left in which the call is made. Zero fails the call before it is sent.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A key/value for the provider, text or bytes; replaces what the key had. Past 128 of them, or
    /// 16 KiB in all, the call fails with `invalid_argument` before it is sent.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<MetadataValue>) -> Self {
        self.metadata.insert(key, value);
        self
    }

    /// Calls of the same key go to the same provider, where the balancer hashes.
    pub fn hash_key(mut self, key: u64) -> Self {
        self.hash_key = Some(key);
        self
    }

    /// The codec to prefer, by name; an unknown one fails the call and lists the known ones.
    pub fn codec(mut self, name: impl Into<String>) -> Self {
        self.codec = Some(name.into());
        self
    }

    /// Writes every attempt down in `log`, also those of calls that succeed.
    pub fn attempts(mut self, log: &AttemptLog) -> Self {
        self.attempts = Some(log.clone());
        self
    }
}
