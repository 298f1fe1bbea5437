//! What a call is told that may not begin.

use std::time::Duration;

use crate::status::{Delivery, Status};

/// Why a call may not begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Full {
    pub(super) limit: u32,
    pub(super) retry_after: Duration,
}

impl Full {
    /// What the caller is told.
    pub(crate) fn into_status(self, call: &str) -> Status {
        let Self { limit, retry_after } = self;
        let wait = retry_after.as_millis();
        let text = format!(
            "{call} is overloaded: {limit} calls run, as many as it answers in time \
             (`provider.gate`); come back in {wait} ms"
        );
        turned_away(text, retry_after)
    }
}

/// A refusal that says when to come back.
fn turned_away(text: String, _retry_after: Duration) -> Status {
    Status::resource_exhausted(text).with_delivery(Delivery::Refused)
}
