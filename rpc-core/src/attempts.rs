//! A log of the attempts of a call, also of one that succeeded.
//!
//! A failed call lists its attempts in its [`Status`]; a successful one returns a value and nothing
//! else. A caller that wants the attempts passes an [`AttemptLog`] with the call, and every
//! endpoint records the outcome there. A call without one pays for a null pointer.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::status::{AttemptFailure, Status};
use crate::trail::CallId;

/// No call has more attempts worth looking at.
const MAX_RECORDS: usize = 1024;

/// One attempt of a call and how it ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AttemptRecord {
    /// The address that it went to, as `host:port`.
    pub address: Arc<str>,
    /// How long after the log was made it began.
    pub begun: Duration,
    /// How long it took.
    pub elapsed: Duration,
    /// Its id in the provider's logs; `None` if it was not sent.
    pub id: Option<CallId>,
    /// How it ended.
    pub outcome: AttemptOutcome,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// With a reply.
    Replied,
    /// It failed.
    Failed(AttemptFailure),
    /// Its caller stopped waiting: another attempt was quicker, or the call was dropped.
    GivenUp,
}

/// Collects the attempts of the calls that it is passed with; clones share what they collect.
///
/// ```
/// use rpc_core::AttemptLog;
/// use rpc_core::client::CallOptions;
///
/// let log = AttemptLog::new();
/// let options = CallOptions::new().attempts(&log);
/// // client.with(options).reserve(7).await, and then:
/// for attempt in log.records() {
///     println!("{} took {:?}: {:?}", attempt.address, attempt.elapsed, attempt.outcome);
/// }
/// # drop(options);
/// ```
#[derive(Clone)]
pub struct AttemptLog(Arc<Log>);

struct Log {
    made: Instant,
    records: Mutex<Vec<AttemptRecord>>,
    fell_back_from: Mutex<Option<Status>>,
}

impl Default for AttemptLog {
    fn default() -> Self {
        Self::new()
    }
}

impl AttemptLog {
    /// An empty log, whose clock starts now.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Log {
            made: Instant::now(),
            records: Mutex::default(),
            fell_back_from: Mutex::default(),
        }))
    }

    /// The attempts that have ended so far, in the order of their ends; at most 1,024.
    #[must_use]
    pub fn records(&self) -> Vec<AttemptRecord> {
        self.0.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The failure that a policy replaced by an answer in the last of these calls, as failsafe and
    /// failback do; `None` if a provider gave the answer.
    #[must_use]
    pub fn fell_back_from(&self) -> Option<Status> {
        self.0.fell_back_from.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that a policy answers in place of this failure.
    pub fn note_fallback(&self, failure: &Status) {
        *self.0.fell_back_from.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(failure.clone());
    }

    /// Records an attempt at `address` that began at `started`, was sent as `id`, and ends now; the
    /// outcome `None` means that it was given up.
    pub fn note(
        &self,
        address: &Arc<str>,
        started: Instant,
        id: Option<CallId>,
        outcome: Option<Result<(), &Status>>,
    ) {
        let elapsed = started.elapsed();
        let outcome = match outcome {
            None => AttemptOutcome::GivenUp,
            Some(Ok(())) => AttemptOutcome::Replied,
            Some(Err(status)) => AttemptOutcome::Failed(AttemptFailure {
                address: address.clone(),
                code: status.code(),
                message: status.message().to_owned(),
                delivery: status.delivery(),
                elapsed,
            }),
        };
        let begun = started.saturating_duration_since(self.0.made);
        let record = AttemptRecord { address: address.clone(), begun, elapsed, id, outcome };
        let mut records = self.0.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() < MAX_RECORDS {
            records.push(record);
        }
    }
}

impl fmt::Debug for AttemptLog {
    /// How much there is to read, as `AttemptLog(3 attempts)`; what there is has [`Self::records`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.records.lock().unwrap_or_else(PoisonError::into_inner).len() {
            1 => f.write_str("AttemptLog(1 attempt)"),
            count => write!(f, "AttemptLog({count} attempts)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_log_tells_when_each_attempt_began_and_how_it_ended() {
        let log = AttemptLog::new();
        let (a, b) = (Arc::from("a:1"), Arc::from("b:1"));
        let first = Instant::now();
        tokio::time::advance(Duration::from_millis(3)).await;
        log.clone().note(&a, first, None, Some(Err(&Status::unavailable("gone"))));
        let second = Instant::now();
        tokio::time::advance(Duration::from_millis(4)).await;
        log.note(&b, second, None, Some(Ok(())));
        log.note(&a, second, None, None);
        let records = log.records();
        let times: Vec<_> = records.iter().map(|r| (r.begun, r.elapsed)).collect();
        let ms = Duration::from_millis;
        assert_eq!(times, [(ms(0), ms(3)), (ms(3), ms(4)), (ms(3), ms(4))]);
        assert!(matches!(&records[0].outcome, AttemptOutcome::Failed(f) if f.message == "gone"));
        assert!(matches!(records[1].outcome, AttemptOutcome::Replied));
        assert!(matches!(records[2].outcome, AttemptOutcome::GivenUp));
        assert_eq!(format!("{log:?}"), "AttemptLog(3 attempts)");
    }

    #[test]
    fn a_log_tells_of_the_failure_that_was_answered_in_its_place() {
        let log = AttemptLog::new();
        assert!(log.fell_back_from().is_none());
        log.clone().note_fallback(&Status::unavailable("gone"));
        assert_eq!(log.fell_back_from(), Some(Status::unavailable("gone")));
    }

    #[test]
    fn a_log_does_not_grow_without_bound() {
        let log = AttemptLog::new();
        for _ in 0..2 * MAX_RECORDS {
            log.note(&Arc::from("a:1"), Instant::now(), None, None);
        }
        assert_eq!(log.records().len(), MAX_RECORDS);
    }
}
