//! Why a call ended where it did, in words.

use super::Status;
use crate::deadline::Deadline;

impl Status {
    /// The end of the call in words, from its [hint](Self::hint), as `Display` and tools print it:
    /// `not sent again: retries = 2`, `ended by the deadline: consumer.timeout = 1s (default)`.
    #[must_use]
    pub fn ending(&self) -> Option<String> {
        let hint = self.hint()?;
        Some(if hint.starts_with(Deadline::HINT) {
            format!("ended by the {hint}")
        } else if self.0.is_verdict {
            format!("decided by {hint}")
        } else {
            format!("not sent again: {hint}")
        })
    }

    /// Names the setting by which the answers count as a failure, such as `quorum = 60`, where a
    /// further attempt was not in question.
    #[must_use]
    pub fn with_verdict(mut self, hint: impl Into<String>) -> Self {
        self.0.is_verdict = true;
        self.with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_call_is_told_by_what_brought_it() {
        let gone = || Status::unavailable("gone");
        assert_eq!(gone().ending(), None);
        for (status, told) in [
            (gone().with_hint("retries = 2"), "not sent again: retries = 2"),
            (gone().with_hint("retries = 2, deadline"), "not sent again: retries = 2, deadline"),
            (
                gone().with_hint("deadline: 1s, set for this call"),
                "ended by the deadline: 1s, set for this call",
            ),
            (gone().with_verdict("quorum = 60"), "decided by quorum = 60"),
        ] {
            assert_eq!(status.ending().as_deref(), Some(told));
            assert_eq!(status.to_string(), format!("unavailable: gone; {told}"));
        }
    }
}
