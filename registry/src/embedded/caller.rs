//! The client that registers: its connection, and the secret that identifies it in its next
//! session.

use super::secret::ClientSecret;

/// The client that registers an instance.
#[derive(Debug, Clone)]
pub(crate) struct Registrant {
    pub(crate) connection: u64,
    /// By what it is known again.
    pub(crate) secret: ClientSecret,
}

#[cfg(test)]
impl Registrant {
    /// One that is known by its number in every life.
    pub(crate) fn numbered(connection: u64) -> Self {
        Self { connection, secret: ClientSecret::of(&format!("secret {connection}")) }
    }
}
