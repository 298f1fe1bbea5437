//! Bodies as translators see them: nothing in them is of the stack underneath.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// The body of a request, as it arrives.
pub(super) struct RequestBody(Incoming);

impl RequestBody {
    pub(super) fn new(incoming: Incoming) -> Self {
        Self(incoming)
    }

    /// How many bytes it says it has, as far as it says so.
    pub(super) fn least(&self) -> u64 {
        self.0.size_hint().lower()
    }

    /// Whether nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_end_stream()
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The body broke off; says how.
    pub(super) async fn data(&mut self) -> Option<Result<Bytes, String>> {
        loop {
            let frame = match self.0.frame().await? {
                Ok(frame) => frame,
                Err(error) => return Some(Err(error.to_string())),
            };
            if let Ok(data) = frame.into_data() {
                return Some(Ok(data));
            }
        }
    }
}
