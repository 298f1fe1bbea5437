//! How many bytes of requests and answers lie here: those of all connections together, and of one.

use std::sync::Arc;

use super::connection_share::{ConnectionShare, refused};
use super::quota::Shortage;
use crate::status::Status;

/// Bytes that a connection holds; they count until this is dropped.
#[derive(Debug)]
pub struct HeldBytes {
    share: Arc<ConnectionShare>,
    bytes: usize,
}

impl HeldBytes {
    /// Nothing yet, to be grown.
    #[inline]
    pub const fn nothing(share: Arc<ConnectionShare>) -> Self {
        Self { share, bytes: 0 }
    }

    /// How many bytes are counted.
    #[must_use]
    #[inline]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts `more` bytes.
    ///
    /// # Errors
    /// `resource_exhausted`, refused: this connection would hold more than it leaves to others.
    #[inline]
    pub fn grow(&mut self, more: usize) -> Result<(), Status> {
        if more == 0 {
            return Ok(());
        }
        let ConnectionShare { state, caller } = &*self.share;
        let limit = state.bytes.limit;
        state.bytes.take(&caller.bytes, more, false).map_err(|short| {
            let rest = format!(
                "of {limit} bytes; send less at a time or raise `provider.limits.buffered`"
            );
            refused(match short {
                Shortage::All => format!(
                    "requests and answers of all connections have no room for {more} more {rest}"
                ),
                Shortage::Own(left) => format!(
                    "requests and answers of this connection would hold more than they leave to \
                     others, {left} {rest}"
                ),
            })
        })?;
        self.bytes += more;
        Ok(())
    }

    /// Counts at most `bytes` from now on.
    #[inline]
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(less @ 1..) = self.bytes.checked_sub(bytes) {
            self.bytes = bytes;
            let ConnectionShare { state, caller } = &*self.share;
            state.bytes.give_back(&caller.bytes, less);
        }
    }

    /// The count of `bytes` of these, or of all there are, by itself.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { share: self.share.clone(), bytes }
    }

    /// Counts what `other` of the same connection counted, too.
    pub fn join(&mut self, other: &mut Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}
