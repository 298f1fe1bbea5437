//! The result of a load: latencies in a histogram of fixed size, failures by code, calls by provider.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use dubhe::{AttemptLog, AttemptOutcome, Delivery, Status};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{TextTable, millis, ms};

/// The longest latency that is distinguished, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// The percentiles that are shown.
const PERCENTILES: [(&str, f64); 4] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)];

/// How long the longest bar of the histogram is, in characters.
const BAR: u64 = 50;

/// Latencies of calls that succeeded, and failures by code; takes the same memory however many.
#[derive(Debug)]
pub(crate) struct Latencies {
    succeeded: Histogram<u64>,
    failed: BTreeMap<&'static str, Failed>,
    /// How many calls each provider answered.
    answered: BTreeMap<Arc<str>, u64>,
}

/// Failures of one code.
#[derive(Debug)]
struct Failed {
    count: u64,
    /// The message of the first one.
    example: String,
}

impl Latencies {
    pub(crate) fn new() -> Result<Self, Failure> {
        let succeeded = Histogram::new_with_bounds(1, LONGEST, 3)
            .map_err(|error| Failure::failed(format!("cannot make a histogram: {error}")))?;
        Ok(Self { succeeded, failed: BTreeMap::new(), answered: BTreeMap::new() })
    }

    /// Notes a call that took this long.
    pub(crate) fn note<T>(&mut self, took: Duration, result: &Result<T, Status>) {
        match result {
            Ok(_) => {
                let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST);
                self.succeeded.saturating_record(micros);
            }
            Err(status) => {
                let failed = self
                    .failed
                    .entry(status.code().name())
                    .or_insert_with(|| Failed { count: 0, example: why(status) });
                failed.count += 1;
            }
        }
    }

    /// Counts the provider that answered the call of this log, be it by a failure.
    pub(crate) fn note_providers(&mut self, log: &AttemptLog) {
        for attempt in log.records() {
            let is_answer = match &attempt.outcome {
                AttemptOutcome::Replied => true,
                AttemptOutcome::Failed(why) => why.delivery == Delivery::Answered,
                _ => false,
            };
            if is_answer {
                *self.answered.entry(attempt.address).or_default() += 1;
            }
        }
    }

    /// Takes over what `other` has.
    pub(crate) fn add(&mut self, other: Self) -> Result<(), Failure> {
        self.succeeded
            .add(other.succeeded)
            .map_err(|error| Failure::failed(format!("cannot add histograms: {error}")))?;
        for (code, more) in other.failed {
            let known = self.failed.entry(code);
            known.and_modify(|failed| failed.count += more.count).or_insert(more);
        }
        for (address, count) in other.answered {
            *self.answered.entry(address).or_default() += count;
        }
        Ok(())
    }

    pub(crate) fn succeeded(&self) -> u64 {
        self.succeeded.len()
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.values().map(|failed| failed.count).sum()
    }

    /// Tables of latencies and failures, and the histogram.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if self.succeeded() > 0 {
            let mut table = TextTable::new(["p50", "p90", "p99", "p99.9", "max"]);
            let [p50, p90, p99, p999] = PERCENTILES.map(|(_, p)| millis(self.percentile(p)));
            table.row([p50, p90, p99, p999, millis(micros(self.succeeded.max()))]);
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{table}\n{}", self.bars());
        }
        if !self.failed.is_empty() {
            let mut table = TextTable::new(["failed", "code", "first message"]);
            for (code, Failed { count, example }) in &self.failed {
                table.row([count.to_string(), (*code).to_owned(), example.clone()]);
            }
            let _ = write!(text, "\n{table}");
        }
        if !self.answered.is_empty() {
            let mut table = TextTable::new(["provider", "answered"]);
            for (address, count) in &self.answered {
                table.row([address.to_string(), count.to_string()]);
            }
            let _ = write!(text, "\n{table}");
        }
        text
    }

    /// The result as JSON.
    pub(crate) fn json(&self) -> Value {
        let mut latency: serde_json::Map<String, Value> = PERCENTILES
            .iter()
            .map(|(name, p)| ((*name).to_owned(), json!(ms(self.percentile(*p)))))
            .collect();
        latency.insert("max".to_owned(), json!(ms(micros(self.succeeded.max()))));
        let failures = self.failed.iter().map(|(code, Failed { count, example })| {
            json!({ "code": code, "count": count, "first_message": example })
        });
        let histogram = self
            .buckets()
            .into_iter()
            .map(|(upto, count)| json!({ "upto_ms": ms(micros(upto)), "count": count }));
        let providers = self.answered.iter();
        let providers =
            providers.map(|(address, count)| json!({ "address": &**address, "answered": count }));
        json!({
            "succeeded": self.succeeded(),
            "failed": self.failed(),
            "latency_ms": latency,
            "failures": failures.collect::<Vec<_>>(),
            "histogram": histogram.collect::<Vec<_>>(),
            "providers": providers.collect::<Vec<_>>(),
        })
    }

    fn percentile(&self, percentile: f64) -> Duration {
        micros(self.succeeded.value_at_percentile(percentile))
    }

    /// Upper bounds in microseconds, each twice the one before, and how many calls are below it
    /// and above that; from the first that has any to the last.
    fn buckets(&self) -> Vec<(u64, u64)> {
        let mut buckets: Vec<(u64, u64)> = Vec::new();
        for step in self.succeeded.iter_recorded() {
            let upto = step.value_iterated_to().max(1).next_power_of_two();
            while let Some((last, _)) = buckets.last()
                && last * 2 < upto
            {
                buckets.push((last * 2, 0));
            }
            let count = step.count_since_last_iteration();
            match buckets.last_mut() {
                Some((last, counted)) if *last == upto => *counted += count,
                _ => buckets.push((upto, count)),
            }
        }
        buckets
    }

    fn bars(&self) -> String {
        let buckets = self.buckets();
        let most = buckets.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
        let mut text = String::new();
        for (upto, count) in buckets {
            let length = (count * BAR).div_ceil(most) as usize;
            let (upto, bar) = (millis(micros(upto)), "#".repeat(length));
            let line = format!("{upto:>14}  {bar:<50}  {count}");
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// The message, and why the call ended there.
fn why(status: &Status) -> String {
    let ending = status.ending().map(|ending| format!("; {ending}"));
    format!("{}{}", status.message(), ending.unwrap_or_default())
}

const fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_success_is_in_exactly_one_bar_and_every_failure_under_its_code() {
        let (mut all, mut more) = (Latencies::new().unwrap(), Latencies::new().unwrap());
        for millis in 1..=100 {
            all.note(Duration::from_millis(millis), &Ok(()));
        }
        for _ in 0..3 {
            let gone = Status::unavailable("gone").with_hint("retries = 0");
            more.note(Duration::ZERO, &Err::<(), _>(gone));
        }
        all.add(more).unwrap();
        assert_eq!((all.succeeded(), all.failed()), (100, 3));
        let in_bars: u64 = all.buckets().iter().map(|(_, count)| count).sum();
        assert_eq!(in_bars, 100);
        let bounds: Vec<u64> = all.buckets().iter().map(|(upto, _)| upto / 1024).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 64, 128]);
        let p50 = all.percentile(50.0);
        assert!((50..=51).contains(&p50.as_millis()), "{p50:?}");
        let text = all.text();
        assert!(text.contains("unavailable") && text.contains("gone; not sent again: retries = 0"));
    }

    #[test]
    fn a_latency_beyond_the_longest_is_counted_as_that() {
        let mut all = Latencies::new().unwrap();
        all.note(Duration::MAX, &Ok(()));
        assert_eq!(all.succeeded(), 1);
    }
}
