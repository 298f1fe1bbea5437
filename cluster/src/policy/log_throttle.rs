//! Log lines of what may happen thousands of times a second: one a second, with the number of
//! those left out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const APART: Duration = Duration::from_secs(1);

/// Lets one event through a second and counts the others.
#[derive(Debug, Default)]
pub(super) struct LogThrottle(Mutex<State>);

/// The last event that was let through, and how many have been left out since.
#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl LogThrottle {
    /// Whether to tell of the event that happens now; how many were left out before it.
    pub(super) fn pass(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now < last + APART) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_event_a_second_passes_and_tells_of_the_others() {
        let seldom = LogThrottle::default();
        let passed: Vec<Option<u64>> = (0..4).map(|_| seldom.pass()).collect();
        assert_eq!(passed, [Some(0), None, None, None]);
        tokio::time::advance(APART).await;
        assert_eq!(seldom.pass(), Some(3));
    }
}
