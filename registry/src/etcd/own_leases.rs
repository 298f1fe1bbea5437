//! The leases of earlier sessions that may still live at the servers.
//!
//! A session that is lost leaves its lease, and the keys that end with it, until that has run out. They are this
//! process's own: the next session may remove such a key, and its end gives such a lease back.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::locked;

/// Sessions that are remembered; an outage leaves one or two.
const MOST: usize = 16;

/// The longest that a lease is remembered, whatever its server says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The leases of the sessions of one registry.
#[derive(Debug, Default)]
pub(super) struct OwnLeases(Mutex<VecDeque<OwnLease>>);

#[derive(Debug, Clone, Copy)]
struct OwnLease {
    number: i64,
    lasts: Duration,
    /// When it is over, as no session renews it any more.
    over: Instant,
}

impl OwnLeases {
    /// Notes the lease of a new session, which lasts so long without a renewal.
    pub(super) fn note(&self, number: i64, lasts: Duration) {
        let mut leases = locked(&self.0);
        let (now, lasts) = (Instant::now(), lasts.min(LONGEST));
        for lease in leases.iter_mut() {
            // Servers that were away count all its time again; and again if they choose a leader then.
            lease.over = now + lease.lasts * 2;
        }
        if leases.len() == MOST {
            leases.pop_front();
        }
        leases.push_back(OwnLease { number, lasts, over: now + lasts * 2 });
    }

    /// The others that may still live, beside that of the present session.
    pub(super) fn beside(&self, present: i64) -> Vec<i64> {
        let now = Instant::now();
        let mut leases = locked(&self.0);
        leases.retain(|lease| lease.number == present || lease.over > now);
        leases.iter().map(|lease| lease.number).filter(|number| *number != present).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn leases_are_forgotten_once_they_are_over_and_count_anew_with_each_session() {
        let (leases, lasts) = (OwnLeases::default(), Duration::from_secs(30));
        leases.note(1, lasts);
        assert_eq!(leases.beside(1), [0; 0]);
        // The servers were away all this time.
        advance(lasts * 10).await;
        leases.note(2, lasts);
        assert_eq!(leases.beside(2), [1]);
        advance(lasts).await;
        leases.note(3, lasts);
        advance(lasts).await;
        assert_eq!(leases.beside(3), [1, 2]);
        advance(lasts).await;
        assert_eq!(leases.beside(3), [0; 0]);
        assert_eq!(leases.beside(4), [0; 0], "that of a session that is over by itself, too");
    }

    #[tokio::test(start_paused = true)]
    async fn many_sessions_leave_the_last_few_leases() {
        let leases = OwnLeases::default();
        // What a server says is no number to count with.
        leases.note(7, Duration::from_secs(u64::MAX));
        for number in 0..100 {
            leases.note(number, Duration::from_secs(30));
        }
        assert_eq!(leases.beside(99).len(), MOST - 1);
    }
}
