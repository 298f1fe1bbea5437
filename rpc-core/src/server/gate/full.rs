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
        let refused = Status::resource_exhausted(text).with_delivery(Delivery::Refused);
        refused.with_retry_after(retry_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_turned_away_hears_when_to_come_back() {
        let full = Full { limit: 8, retry_after: Duration::from_millis(40) };
        let status = full.into_status("shop.Stock/count");
        assert!(status.is_full(), "{status}");
        assert_eq!(status.retry_after(), Some(Duration::from_millis(40)));
        assert!(status.message().contains("`provider.gate`"), "{status}");
    }
}
