//! The identity of a client across sessions: a secret that it makes and shows to its server alone.
//!
//! It is in no list, log or `Debug` output. A server keeps it with the instance that
//! was registered with it, on disk too, so that no other client can take an instance whose client
//! lives.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sound::Teller;

/// Longest secret that a server takes, in bytes.
pub(crate) const MAX_SECRET: usize = 64;

/// A client's secret; empty if it is not known.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ClientSecret(Arc<str>);

/// The identity of a client across its sessions.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    pub(crate) secret: ClientSecret,
    /// Log lines about lists that were already written.
    pub(crate) told: Teller,
}

// === impl Secret ===

impl ClientSecret {
    /// A unique one.
    pub(crate) fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()).into())
    }

    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for ClientSecret {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || is_same(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret")
    }
}

// === impl Identity ===

impl Identity {
    /// A new one.
    pub(crate) fn random() -> Arc<Self> {
        Arc::new(Self { secret: ClientSecret::random(), told: Teller::default() })
    }
}

/// Compares in a time that follows from the length of `given` alone, not from where the two differ.
pub(crate) fn is_same(given: &[u8], secret: &[u8]) -> bool {
    let mut differ = u8::from(given.len() != secret.len());
    for (i, byte) in given.iter().enumerate() {
        let expected = secret.get(i % secret.len().max(1)).unwrap_or(&0);
        differ = std::hint::black_box(differ | (byte ^ expected));
    }
    differ == 0
}
