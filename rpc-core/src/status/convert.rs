//! Turns foreign errors into a [`Status`], searching the source chain for one first.

use std::error::Error as StdError;

use super::Status;

/// Any error between tower layers.
pub type BoxError = Box<dyn StdError + Send + Sync>;

impl From<BoxError> for Status {
    /// The status inside, if there is one anywhere in the chain; else `unknown` with the message.
    fn from(error: BoxError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(status) => return *status,
            Err(other) => other,
        };
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(status) = cause.downcast_ref::<Self>() {
                return status.clone();
            }
            source = cause.source();
        }
        Self::unknown(error.to_string())
    }
}
