//! How far the clock of a server is from ours.
//!
//! What is known is bounded by two readings of ours, before and after the server read its own, and by the
//! precision in which it tells. Only what is certain is a warning.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::check::Diagnosis;

/// The largest difference, in milliseconds, that does no harm: starts are compared to the second, and
/// warm-up takes minutes.
const HARMLESS_MS: i128 = 1000;

/// The time that a server has told, between two readings of our clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToldTime {
    asked: SystemTime,
    answered: SystemTime,
    told: SystemTime,
    precision: Duration,
}

impl ToldTime {
    /// A time of this `precision` that was told just now to a question asked at `asked`.
    pub(crate) fn now(asked: SystemTime, told: SystemTime, precision: Duration) -> Self {
        Self { asked, answered: SystemTime::now(), told, precision }
    }

    /// A time in milliseconds since 1970, told just now.
    pub(crate) fn of_ms(asked: SystemTime, told_ms: u64) -> Self {
        let told = UNIX_EPOCH.checked_add(Duration::from_millis(told_ms));
        // A clock that far off is reported as one at the beginning of time.
        Self::now(asked, told.unwrap_or(UNIX_EPOCH), Duration::from_millis(1))
    }

    /// What it says of the clock of `server`.
    pub(crate) fn diagnosis(&self, server: &str) -> Diagnosis {
        let latest = i128::try_from(self.precision.as_millis()).unwrap_or_default();
        let (least, most) =
            (ms(self.told) - ms(self.answered), ms(self.told) + latest - ms(self.asked));
        let differs = |by: i128, how: &str| {
            let seconds = by as f64 / 1e3;
            let remedy = "set both clocks by the same time servers (NTP): starts, warm-up and the \
                          age of lists depend on them";
            let seen = format!("at least {seconds:.1} s {how} that of this machine");
            Diagnosis::warn("clock", server, seen, remedy)
        };
        match (least, most) {
            (least, _) if least > HARMLESS_MS => differs(least, "ahead of"),
            (_, most) if most < -HARMLESS_MS => differs(-most, "behind"),
            (least, most) => {
                let most = least.abs().max(most.abs());
                Diagnosis::ok("clock", server, format!("differs from ours by {most} ms at most"))
            }
        }
    }
}

fn ms(time: SystemTime) -> i128 {
    let ms = |time: Duration| i128::try_from(time.as_millis()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => ms(since),
        Err(before) => -ms(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CheckResult;

    fn diagnosis(told_ms: u64, precision_ms: u64) -> Diagnosis {
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        let told = ToldTime {
            asked: at(100_000),
            answered: at(100_300),
            told: at(told_ms),
            precision: Duration::from_millis(precision_ms),
        };
        told.diagnosis("a:1")
    }

    #[test]
    fn only_a_difference_that_is_certain_is_a_warning() {
        for (told, precision, expected, seen) in [
            (100_100, 1, CheckResult::Ok, "by 200 ms at most"),
            // A date of HTTP has no fractions.
            (99_000, 1000, CheckResult::Ok, "by 1300 ms at most"),
            (101_300, 1, CheckResult::Ok, "by 1301 ms at most"),
            (101_400, 1, CheckResult::Warn, "at least 1.1 s ahead of"),
            (98_900, 1, CheckResult::Warn, "at least 1.1 s behind"),
            (0, 1, CheckResult::Warn, "at least 100.0 s behind"),
        ] {
            let found = diagnosis(told, precision);
            assert_eq!(found.result, expected, "{found}");
            assert!(found.seen.contains(seen), "{found}");
        }
        let lost = ToldTime::of_ms(SystemTime::now(), u64::MAX).diagnosis("a:1");
        assert_eq!(lost.result, CheckResult::Warn, "{lost}");
    }
}
