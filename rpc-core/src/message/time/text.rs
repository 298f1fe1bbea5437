//! The texts of protobuf's JSON mapping: spans as seconds, points of time by RFC 3339.

/// Seconds and the billionths of one beside them: of a span both have one sign, of a point of time
/// the billionths count forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TimeParts {
    pub(super) seconds: i64,
    pub(super) nanos: i32,
}

pub(super) const NANOS: i32 = 1_000_000_000;

const DAY: i64 = 86_400;

/// `1.500s`: three, six or nine digits behind the point, or no point, as few as are exact.
pub(super) fn of_span(TimeParts { seconds, nanos }: TimeParts) -> String {
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    format!("{sign}{}{}s", seconds.unsigned_abs(), fraction(nanos.unsigned_abs()))
}

/// `2024-02-29T12:00:00.500Z`
pub(super) fn of_point(TimeParts { seconds, nanos }: TimeParts) -> String {
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = fraction(nanos.unsigned_abs());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

fn fraction(nanos: u32) -> String {
    match nanos {
        0 => String::new(),
        _ if nanos.is_multiple_of(1_000_000) => format!(".{:03}", nanos / 1_000_000),
        _ if nanos.is_multiple_of(1_000) => format!(".{:06}", nanos / 1_000),
        _ => format!(".{nanos:09}"),
    }
}

/// The span that `text` says; `None` if it says none.
pub(super) fn span(text: &str) -> Option<TimeParts> {
    let digits = text.strip_suffix('s')?;
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, digits),
    };
    let (whole, nanos) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, nanos(fraction)?),
        None => (digits, 0),
    };
    Some(TimeParts { seconds: i64::from(sign) * number(whole)?, nanos: sign * nanos })
}

/// The point of time that `text` says; `None` if it says none.
pub(super) fn point(text: &str) -> Option<TimeParts> {
    let (date, time) = text.split_once(['T', 't'])?;
    let [year, month, day] = three(date, '-', [4, 2, 2])?;
    let (clock, offset) = offset(time)?;
    let (clock, nanos) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, nanos(fraction)?),
        None => (clock, 0),
    };
    let [hour, minute, second] = three(clock, ':', [2, 2, 2])?;
    let is_clock = hour < 24 && minute < 60 && second < 60;
    let is_date = (1..=12).contains(&month) && day >= 1 && day <= days_of(year, month);
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    (is_clock && is_date).then_some(TimeParts { seconds, nanos })
}

/// The time without what stands for its offset, and that in seconds.
fn offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let (clock, of) = time.split_at_checked(time.len().checked_sub("+01:00".len())?)?;
    let (sign, of) = match of.strip_prefix('+') {
        Some(of) => (1, of),
        None => (-1, of.strip_prefix('-')?),
    };
    let (hours, minutes) = of.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some((clock, sign * (hours * 3600 + minutes * 60)))
}

fn three(text: &str, between: char, lens: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(between);
    let mut next = |len| digits(parts.next()?, len);
    let found = [next(lens[0])?, next(lens[1])?, next(lens[2])?];
    parts.next().is_none().then_some(found)
}

fn digits(text: &str, len: usize) -> Option<i64> {
    if text.len() == len { number(text) } else { None }
}

fn number(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Billionths of a second, of up to nine digits behind the point: more would not be exact.
fn nanos(fraction: &str) -> Option<i32> {
    let missing = 9_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let nanos = number(fraction)? * 10_i64.pow(missing);
    i32::try_from(nanos).ok().filter(|nanos| *nanos < NANOS)
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, in which years begin in March, so that
/// the odd day of leap years is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The day that is so many days after 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + of_era + i64::from(month <= 2);
    (year, month, of_year - (153 * march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_protobufs_range_is_the_next_of_the_one_before() {
        let first = days(1, 1, 1);
        assert_eq!(first * DAY, -62_135_596_800);
        let mut expected = (1, 1, 1);
        for day in first..=days(9999, 12, 31) {
            assert_eq!(date(day), expected);
            let (year, month, of_month) = expected;
            assert_eq!(days(year, month, of_month), day);
            expected = match (month, of_month == days_of(year, month)) {
                (_, false) => (year, month, of_month + 1),
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
            };
        }
    }

    #[test]
    fn texts_are_as_short_as_they_are_exact() {
        for (seconds, nanos, span, point) in [
            (0, 0, "0s", "1970-01-01T00:00:00Z"),
            (1, 500_000_000, "1.500s", "1970-01-01T00:00:01.500Z"),
            (0, 1_000, "0.000001s", "1970-01-01T00:00:00.000001Z"),
            (951_782_400, 1, "951782400.000000001s", "2000-02-29T00:00:00.000000001Z"),
        ] {
            let parts = TimeParts { seconds, nanos };
            assert_eq!((of_span(parts), of_point(parts)), (span.to_owned(), point.to_owned()));
        }
        assert_eq!(of_span(TimeParts { seconds: 0, nanos: -5_000_000 }), "-0.005s");
        assert_eq!(
            of_point(TimeParts { seconds: -1, nanos: 5_000_000 }),
            "1969-12-31T23:59:59.005Z"
        );
    }

    #[test]
    fn a_point_of_time_may_be_told_from_another_place() {
        let expected = point("2024-02-29T12:00:00Z");
        assert!(expected.is_some());
        for same in ["2024-02-29T13:30:00+01:30", "2024-02-28T23:59:00.000-12:01"] {
            assert_eq!(point(same), expected, "{same}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "s",
            "1",
            "1.s",
            ".5s",
            "1.0000000001s",
            "+1s",
            "--1s",
            "1e3s",
            "1 s",
            "1.-5s",
            "١s",
            "99999999999999999999s",
        ] {
            assert_eq!(span(text), None, "{text}");
        }
        for text in [
            "2024-02-29",
            "2023-02-29T12:00:00Z",
            "2024-02-29T24:00:00Z",
            "2024-02-29T12:00:60Z",
            "2024-2-29T12:00:00Z",
            "2024-02-29T12:00:00",
            "2024-02-29 12:00:00Z",
            "é",
            "Té01:00",
            "2024-02-29T12:00:00.Z",
            "2024-02-29T12:00:00.0000000001Z",
            "2024-13-01T00:00:00Z",
            "2024-02-29T12:00:00+0100",
            "2024-00-01T00:00:00Z",
            "+024-02-29T12:00:00Z",
        ] {
            assert_eq!(point(text), None, "{text}");
        }
    }
}
