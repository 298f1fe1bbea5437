//! The access log: one line for each call that has ended, on each side; of calls that failed alone,
//! unless it is set otherwise.
//!
//! A line is an event of `tracing` at INFO. A call without one pays for a comparison.

use std::fmt::{self, Display, Write};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::field;

use crate::status::Code;
use crate::trail::CallId;

/// Which calls leave a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    /// None.
    Off,
    /// Calls that failed, or were given up.
    #[default]
    Failures,
    /// All calls.
    All,
}

impl AccessLog {
    /// Whether a call leaves a line that has or has not failed.
    #[inline]
    pub(crate) const fn tells(self, failed: bool) -> bool {
        match self {
            Self::Off => false,
            Self::Failures => failed,
            Self::All => true,
        }
    }
}

/// One that may change while calls run.
#[derive(Debug)]
pub(crate) struct LiveAccessLog(AtomicU8);

impl LiveAccessLog {
    #[inline]
    pub(crate) fn get(&self) -> AccessLog {
        match self.0.load(Relaxed) {
            0 => AccessLog::Off,
            1 => AccessLog::Failures,
            _ => AccessLog::All,
        }
    }

    pub(crate) fn set(&self, log: AccessLog) {
        self.0.store(log as u8, Relaxed);
    }
}

impl Default for LiveAccessLog {
    fn default() -> Self {
        Self(AtomicU8::new(AccessLog::default() as u8))
    }
}

/// A line.
pub(crate) struct Line<'a> {
    /// `consumer` or `provider`.
    pub(crate) side: &'static str,
    /// `None` where the request did not come so far as to say that.
    pub(crate) service: Option<&'a str>,
    pub(crate) method: Option<&'a str>,
    /// The provider that answered last, or the caller.
    pub(crate) peer: Option<&'a dyn Display>,
    pub(crate) code: Code,
    pub(crate) took: Duration,
    /// On the consumer's side: how often it was sent.
    pub(crate) attempts: Option<u32>,
    pub(crate) id: Option<CallId>,
    pub(crate) message: &'a str,
}

impl Line<'_> {
    /// Writes it.
    pub(crate) fn write(&self) {
        tracing::info!(
            target: "dubhe::access",
            side = self.side,
            service = self.service,
            method = self.method,
            peer = self.peer.map(field::display),
            code = self.code.name(),
            elapsed = ?micros(self.took),
            attempts = self.attempts,
            id = self.id.map(field::display),
            "{}",
            OneLine(self.message),
        );
    }
}

/// A time without what is less than a microsecond.
fn micros(took: Duration) -> Duration {
    Duration::new(took.as_secs(), took.subsec_micros() * 1000)
}

/// Text, perhaps of a peer, on one line and at most as long as a line, whatever it holds.
struct OneLine<'a>(&'a str);

/// Characters of a message that are written.
const LONGEST: usize = 500;

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, c) in self.0.chars().enumerate() {
            match c {
                _ if at == LONGEST => return f.write_str("…"),
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    write!(f, "{}", c.escape_default())?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_says_stays_on_its_line() {
        let shown = |text: &str| OneLine(text).to_string();
        assert_eq!(shown("gone: é"), "gone: é");
        assert_eq!(shown("a\nb\r\u{1b}[31mc\u{2028}"), "a\\nb\\r\\u{1b}[31mc\\u{2028}");
        assert_eq!(shown(&"x".repeat(501)), "x".repeat(500) + "…");
        assert_eq!(shown(&"x".repeat(500)), "x".repeat(500));
    }

    #[test]
    fn failures_alone_leave_a_line_unless_it_is_set_otherwise() {
        let tells = |log: AccessLog| [log.tells(false), log.tells(true)];
        assert_eq!(tells(AccessLog::default()), [false, true]);
        assert_eq!(tells(AccessLog::Off), [false, false]);
        assert_eq!(tells(AccessLog::All), [true, true]);
        for log in [AccessLog::Off, AccessLog::Failures, AccessLog::All] {
            let live = LiveAccessLog::default();
            live.set(log);
            assert_eq!(live.get(), log);
        }
    }
}
