//! Who registers: a connection, and by what its client is known again in its next session.

use super::secret::Secret;

/// Who registers.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) connection: u64,
    /// By what it is known again.
    pub(crate) secret: Secret,
}

#[cfg(test)]
impl Caller {
    /// One that is known by its number in every life.
    pub(crate) fn numbered(connection: u64) -> Self {
        Self { connection, secret: Secret::of(&format!("secret {connection}")) }
    }
}
