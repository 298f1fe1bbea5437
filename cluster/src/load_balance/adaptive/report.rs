//! What a provider says of its own load, and how its calls go: what `adaptive` compares.
//!
//! Dubbo's formula of adaptive balancing, with its numbers in milliseconds and percent. The
//! provider's word comes in the metadata of its answers under [`KEY`], if the call asked for it.
//! Mended: reading changes nothing (in Dubbo each look at an endpoint ages it), clocks of two
//! machines are never compared, a failure counts as silence, successes are counted over the last
//! hundred calls or so instead of for ever, and few calls do not count as failures: in Dubbo an
//! endpoint with a single, successful call is twice as bad as one with a hundred.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_core::{Invocation, Metadata};
use tokio::time::Instant;

use crate::endpoint::state::{EndedCall, EndpointState};

/// The key of both the question and the answer.
const KEY: &str = "lb_adaptive";
/// Dubbo's question for the load; shared by all calls without metadata of their own, so that asking
/// allocates nothing.
static QUESTION: LazyLock<Metadata> = LazyLock::new(|| Metadata::from_iter([(KEY, "mem,load")]));

/// The answer is an average over a minute, so not every call needs to carry the question.
const PAUSE: Duration = Duration::from_millis(200);

/// How much of the average is kept when a sample comes.
const BETA: f64 = 0.5;
/// After so many calls the counts are halved, so that what was long ago weighs less.
const REMEMBERED: f64 = 128.0;
/// The weight in Dubbo's formula; drawing by weight is the balancer's part.
const WEIGHT: f64 = 100.0;
/// A machine at rest is not infinitely better than others, in percent.
const LEAST_CPU: f64 = 1.0;

/// Figures known about one endpoint.
#[derive(Debug, Default)]
pub(super) struct LoadReport(Mutex<Known>);

/// Load and outcomes of one endpoint, as Dubbo's formula takes them.
#[derive(Debug, Default)]
struct Known {
    /// Percent of all processors; `None` until the provider has reported it.
    cpu: Option<f64>,
    /// When it was last asked.
    asked: Option<Instant>,
    /// Average latency in milliseconds, 0 until a sample has come, and when the last one did.
    ewma: f64,
    sampled: Option<Instant>,
    /// The last time it was called, and how long that call may take.
    picked: Option<(Instant, Duration)>,
    /// Calls that have ended, and those of them that succeeded; both fade, so that about the last
    /// hundred calls count.
    ended: f64,
    succeeded: f64,
}

impl EndpointState for LoadReport {
    fn begin(&self, invocation: &mut Invocation, now: Instant) {
        let timeout = invocation.deadline.remaining_from(now);
        self.ask(&mut invocation.metadata, now, timeout);
    }

    fn end(&self, call: &EndedCall<'_>) {
        match call.outcome {
            Some(_) if call.is_failure => self.fail(call.now),
            Some(Ok(reply)) => self.succeed(&reply.metadata, call.latency, call.now),
            Some(Err(status)) => self.succeed(status.metadata(), call.latency, call.now),
            None => {}
        }
    }
}

impl LoadReport {
    /// Notes that a call of `timeout` goes to it, which asks the provider for its load, unless one
    /// has asked it a moment ago.
    fn ask(&self, metadata: &mut Metadata, now: Instant, timeout: Duration) {
        let mut known = self.lock();
        known.picked = Some((now, timeout));
        if known.asked.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE) {
            known.asked = Some(now);
            metadata.extend(&QUESTION);
        }
    }

    /// Notes an answer after `elapsed`, if that says something of the provider, and what its
    /// metadata tell.
    fn succeed(&self, metadata: &Metadata, elapsed: Option<Duration>, now: Instant) {
        let mut known = self.lock();
        known.count(1.0);
        // The last to come counts: by the provider's clock, words would be late for as long as that
        // was put back.
        if let Some(cpu) = metadata.value(KEY).and_then(parse) {
            known.cpu = Some(cpu);
        }
        if let Some(elapsed) = elapsed {
            known.sample(elapsed.as_secs_f64() * 1e3, now);
        }
    }

    /// Notes a failure of the endpoint; it counts as latency of twice the call's timeout.
    fn fail(&self, now: Instant) {
        let mut known = self.lock();
        known.count(0.0);
        let timeout = known.picked.map_or(0.0, |(_, timeout)| timeout.as_secs_f64() * 1e3);
        known.sample(2.0 * timeout, now);
    }

    /// Dubbo's load of an endpoint with `in_flight` calls (already in proportion to its weight);
    /// 0 if it was not called for twice the `timeout`, so that it is tried; `None` if the provider
    /// has not told its own.
    pub(super) fn load(&self, now: Instant, timeout: Duration, in_flight: f64) -> Option<f64> {
        let known = self.lock();
        let cpu = known.cpu?.max(LEAST_CPU);
        let is_recent =
            |(at, _): (Instant, Duration)| now.saturating_duration_since(at) <= 2 * timeout;
        if !known.picked.is_some_and(is_recent) {
            return Some(0.0);
        }
        let succeeded = (known.succeeded + 1.0) / (known.ended + in_flight + 1.0);
        let latency = known.latency(now, timeout, in_flight > 0.0);
        Some(cpu * (latency.sqrt() + 1.0) * (in_flight + 1.0) / (succeeded * WEIGHT + 1.0))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn count(&mut self, success: f64) {
        self.ended += 1.0;
        self.succeeded += success;
        if self.ended >= REMEMBERED {
            self.ended /= 2.0;
            self.succeeded /= 2.0;
        }
    }

    fn sample(&mut self, latency: f64, now: Instant) {
        self.ewma = match self.sampled {
            Some(_) => BETA * self.ewma + (1.0 - BETA) * latency,
            None => latency,
        };
        self.sampled = Some(now);
    }

    /// The average at `now`. With every `timeout` that has passed without a sample, half of it
    /// gives way: to twice the timeout if calls wait for an answer, to nothing if none do.
    fn latency(&self, now: Instant, timeout: Duration, is_waiting: bool) -> f64 {
        let silence = self.sampled.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let timeout = timeout.as_secs_f64().max(1e-3);
        let missed = (silence.as_secs_f64() / timeout).floor();
        if missed < 1.0 {
            return self.ewma;
        }
        let kept = BETA.powf(missed);
        let silent = if is_waiting { 2.0 * timeout * 1e3 } else { 0.0 };
        kept * self.ewma + (1.0 - kept) * silent
    }
}

/// Reads the percentage of `curTime:<ms>,load:<percent>`; whatever else is in it is skipped.
fn parse(text: &str) -> Option<f64> {
    let value = text.split(',').find_map(|part| part.trim().strip_prefix("load:"))?;
    value.trim().parse().ok().filter(|load: &f64| load.is_finite() && *load >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn told(text: &str) -> Metadata {
        Metadata::from_iter([(KEY, text)])
    }

    fn reporting(now: Instant, cpu: &str, latency: Duration) -> LoadReport {
        let report = LoadReport::default();
        report.ask(&mut Metadata::new(), now, SECOND);
        report.succeed(&told(&format!("curTime:7,load:{cpu}")), Some(latency), now);
        report
    }

    #[test]
    fn the_load_is_that_of_dubbos_formula() {
        let now = Instant::now();
        let report = reporting(now, "40", Duration::from_millis(9));
        // 40 x (sqrt(9) + 1) x (1 + 1) / ((1 + 1) / (1 + 1 + 1) x 100 + 1)
        let load = report.load(now, SECOND, 1.0).unwrap();
        assert!((load - 320.0 / (200.0 / 3.0 + 1.0)).abs() < 1e-9, "{load}");
    }

    #[test]
    fn whoever_was_not_taken_for_twice_the_timeout_is_tried() {
        let now = Instant::now();
        let report = reporting(now, "40", SECOND);
        assert!(report.load(now + 2 * SECOND, SECOND, 0.0).unwrap() > 0.0);
        assert_eq!(report.load(now + 3 * SECOND, SECOND, 0.0), Some(0.0));
    }

    #[test]
    fn not_every_call_asks() {
        let (now, report) = (Instant::now(), LoadReport::default());
        let asks = |now| {
            let mut metadata = Metadata::new();
            report.ask(&mut metadata, now, SECOND);
            metadata.value(KEY) == Some("mem,load")
        };
        let milliseconds = [0, 1, 199, 200, 201, 399, 400].map(Duration::from_millis);
        let asked = milliseconds.map(|after| asks(now + after));
        assert_eq!(asked, [true, false, false, true, false, false, true]);
    }

    #[test]
    fn silence_makes_an_endpoint_dear_only_while_calls_wait() {
        let now = Instant::now();
        let report = reporting(now, "40", Duration::from_millis(100));
        let before = report.load(now, SECOND, 1.0).unwrap();
        report.ask(&mut Metadata::new(), now + SECOND, SECOND);
        assert!(report.load(now + SECOND, SECOND, 1.0).unwrap() > 2.0 * before);
        assert!(report.load(now + SECOND, SECOND, 0.0).unwrap() < before);
    }

    #[test]
    fn failures_make_it_dear_and_successes_cheap_again() {
        let now = Instant::now();
        let report = reporting(now, "40", Duration::from_millis(10));
        let before = report.load(now, SECOND, 0.0).unwrap();
        report.fail(now);
        assert!(report.load(now, SECOND, 0.0).unwrap() > 5.0 * before);
        for _ in 0..200 {
            report.succeed(&Metadata::new(), Some(Duration::from_millis(10)), now);
        }
        assert!(report.load(now, SECOND, 0.0).unwrap() < 1.1 * before);
    }

    #[test]
    fn who_was_called_once_is_no_worse_than_who_was_called_often() {
        let now = Instant::now();
        let load = |calls| {
            let report = reporting(now, "40", Duration::from_millis(10));
            for _ in 1..calls {
                report.succeed(&Metadata::new(), Some(Duration::from_millis(10)), now);
            }
            report.load(now, SECOND, 0.0).unwrap()
        };
        assert!((load(1) / load(100) - 1.0).abs() < 1e-9, "{} {}", load(1), load(100));
    }

    #[test]
    fn the_last_word_to_come_counts_also_of_a_provider_whose_clock_was_put_back() {
        let now = Instant::now();
        let report = reporting(now, "40", Duration::from_millis(10));
        report.succeed(&told("curTime:6,load:90"), Some(Duration::from_millis(10)), now);
        assert_eq!(report.lock().cpu, Some(90.0));
    }

    #[test]
    fn what_is_no_word_changes_nothing() {
        let now = Instant::now();
        let report = reporting(now, "40", Duration::from_millis(10));
        let loads = || report.load(now, SECOND, 0.0);
        for text in ["curTime:9", "load:x", "curTime:9,load:NaN", "curTime:9,load:-1", ""] {
            report.succeed(&told(text), Some(Duration::from_millis(10)), now);
            assert_eq!(report.lock().cpu, Some(40.0), "{text}");
        }
        assert!(loads().is_some());
        let silent = LoadReport::default();
        silent.succeed(&told("curTime:9,load:x"), Some(SECOND), now);
        assert_eq!(silent.load(now, SECOND, 0.0), None);
    }
}
