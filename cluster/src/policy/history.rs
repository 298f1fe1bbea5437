//! The attempts of one call, and the status that tells of them.

use std::sync::Arc;
use std::time::Duration;

use rpc_core::status::AttemptFailure;
use rpc_core::{Code, Delivery, Method, Status};

/// What was tried for a call so far; for policies of any kind.
#[derive(Debug, Default)]
pub struct History(Vec<AttemptFailure>);

impl History {
    /// Nothing was tried.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a failed attempt; one that reached no endpoint is none.
    pub fn add(&mut self, status: &Status, elapsed: Duration) {
        if let Some(address) = status.address() {
            self.0.push(AttemptFailure {
                address: address.into(),
                code: status.code(),
                message: status.message().to_owned(),
                delivery: status.delivery(),
                elapsed,
            });
        }
    }

    /// How many attempts there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The addresses that were tried.
    #[must_use]
    pub fn addresses(&self) -> Vec<Arc<str>> {
        self.0.iter().map(|failed| failed.address.clone()).collect()
    }

    /// The addresses that do not have what is called: to ask them again is in vain.
    #[must_use]
    pub fn lacking(&self) -> Vec<Arc<str>> {
        let lacks = |failed: &&AttemptFailure| {
            failed.code == Code::Unimplemented && failed.delivery == Delivery::Refused
        };
        self.0.iter().filter(lacks).map(|failed| failed.address.clone()).collect()
    }

    /// The status the call ends with: the last one, naming the call, every attempt, and what
    /// decided that it ends here.
    ///
    /// If any attempt may have run, so may the call, whatever became of the last attempt.
    #[must_use]
    pub fn into_status(self, last: Status, method: &Method, hint: Option<String>) -> Status {
        let has_run = |failed: &AttemptFailure| {
            matches!(failed.delivery, Delivery::MaybeSent | Delivery::Answered)
        };
        let is_plain_answer = last.delivery() == Delivery::Answered && self.len() <= 1;
        let mut status = last.with_call(method.path().clone());
        if matches!(status.delivery(), Delivery::NotSent | Delivery::Refused)
            && self.0.iter().any(has_run)
        {
            status = status.with_delivery(Delivery::MaybeSent);
        }
        if let Some(hint) = hint {
            status = status.with_hint(hint);
        }
        if is_plain_answer {
            return status;
        }
        status.with_attempts(self.0)
    }
}
