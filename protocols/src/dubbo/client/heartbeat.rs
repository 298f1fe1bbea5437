//! When a silent provider is asked whether it is there, and when it is given up.
//!
//! A heartbeat is sent as the first frame of a connection and after `consumer.heartbeat` without a
//! byte from the provider. If nothing at all arrives within `consumer.heartbeat_timeout` after it,
//! the connection is dead. Any byte counts as an answer; calls in flight do not postpone a
//! heartbeat, since a provider that is alive answers it whatever its handlers do.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

/// The heartbeat of one connection. Whatever the provider says counts as an answer.
pub(super) struct Heartbeat {
    /// Silence after which the provider is asked.
    interval: Duration,
    last_read: Instant,
    /// The answer that is waited for.
    pong: Option<Pong>,
}

/// The answer to a heartbeat that is waited for.
#[derive(Clone, Copy)]
struct Pong {
    due: Instant,
    patience: Duration,
}

impl Heartbeat {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, last_read: now, pong: None }
    }

    /// Notes that the provider has said something.
    pub(super) fn heard(&mut self, now: Instant) {
        (self.last_read, self.pong) = (now, None);
    }

    /// Notes that the provider was asked, and has `patience` to answer.
    pub(super) fn asked(&mut self, now: Instant, patience: Duration) {
        self.pong = Some(Pong { due: now + patience, patience });
    }

    /// When it is to be looked at next.
    pub(super) fn due(&self) -> Instant {
        self.pong.map_or(self.last_read + self.interval, |pong| pong.due)
    }

    /// Whether the provider is to be asked now.
    ///
    /// # Errors
    /// A heartbeat was sent, and the time for its answer is over.
    pub(super) fn is_due(&self, now: Instant) -> io::Result<bool> {
        match self.pong {
            Some(Pong { due, patience }) if due <= now => {
                let text = format!("the provider did not answer a heartbeat within {patience:?}");
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
            Some(_) => Ok(false),
            None => Ok(self.last_read + self.interval <= now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_asked_about_once_and_given_up_after_its_patience() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut heartbeat = Heartbeat::new(10 * second, start);
        let at = |seconds: u32| start + second * seconds;
        assert_eq!((heartbeat.due(), heartbeat.is_due(at(9)).unwrap()), (at(10), false));
        assert!(heartbeat.is_due(at(10)).unwrap());
        heartbeat.asked(at(10), 5 * second);
        assert_eq!((heartbeat.due(), heartbeat.is_due(at(14)).unwrap()), (at(15), false));
        let given_up = heartbeat.is_due(at(15)).unwrap_err();
        assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
        assert!(given_up.to_string().contains("within 5s"), "{given_up}");
        heartbeat.heard(at(15));
        assert_eq!((heartbeat.due(), heartbeat.is_due(at(24)).unwrap()), (at(25), false));
    }
}
