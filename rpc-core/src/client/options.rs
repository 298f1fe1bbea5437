//! What one call may set for itself, stronger than every configuration.

use std::time::Duration;

use crate::attempts::AttemptLog;
use crate::metadata::{Metadata, MetadataValue};
use crate::reply::ReplyMetadata;

/// Options of single calls, for `with` of a generated client. An option that is not set is as
/// configured.
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
    pub(crate) reply_metadata: Option<ReplyMetadata>,
}

impl CallOptions {
    /// Options with nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the call may take in all, retries included. The longest is a day; inside a handler
    /// it is the handler's remaining time. Zero fails the call before it is sent.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets a key/value for the provider, text or bytes; it replaces an earlier value of the key.
    /// Past 128 of them, or 16 KiB in all, the call fails with `invalid_argument` before it is
    /// sent.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<MetadataValue>) -> Self {
        self.metadata.insert(key, value);
        self
    }

    /// Sets the key of a hashing balancer: calls with the same key go to the same provider.
    pub fn hash_key(mut self, key: u64) -> Self {
        self.hash_key = Some(key);
        self
    }

    /// Sets the codec to prefer, by name; an unknown name fails the call and lists the known ones.
    pub fn codec(mut self, name: impl Into<String>) -> Self {
        self.codec = Some(name.into());
        self
    }

    /// Records every attempt in `log`, also those of calls that succeed.
    pub fn attempts(mut self, log: &AttemptLog) -> Self {
        self.attempts = Some(log.clone());
        self
    }

    /// Stores the metadata of the reply in `seen` once the call has succeeded or begun to stream. A
    /// failed call leaves `seen` as it was, and so does a broadcast, which has many replies.
    ///
    /// ```
    /// use rpc_core::ReplyMetadata;
    /// use rpc_core::client::CallOptions;
    ///
    /// let seen = ReplyMetadata::new();
    /// let options = CallOptions::new().reply_metadata(&seen);
    /// // let page = client.with(options).list(20).await?;
    /// let next = seen.last().value("next-page").map(str::to_owned);
    /// # drop((options, next));
    /// ```
    pub fn reply_metadata(mut self, seen: &ReplyMetadata) -> Self {
        self.reply_metadata = Some(seen.clone());
        self
    }
}
