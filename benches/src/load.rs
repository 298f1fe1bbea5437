//! The closed loop that every peer is driven by: N callers on one connection, each issuing its
//! next call when the last is answered; what happens between two instants is counted.
//!
//! The loop costs a call one clock reading and one append to the caller's own list, so that it
//! neither shares a cache line between callers nor hides the differences it is there to show; the
//! percentiles are taken from the complete lists afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, timeout};

use crate::cpu::CpuTime;
use crate::peers::{BoxError, Echo};

/// How long callers may take to return after the end, and the first call to be answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// One run's load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Callers that share the connection.
    pub(crate) callers: usize,
    /// Bytes of a call's body.
    pub(crate) size: usize,
    /// Time under load before anything is counted.
    pub(crate) warm_up: Duration,
    /// Time that is counted.
    pub(crate) measured: Duration,
    /// Process id of the server, for its CPU time.
    pub(crate) server: u32,
}

/// What one run showed; of several, what their medians show.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Answers per second of all callers together.
    pub(crate) calls_per_second: f64,
    /// Latencies in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// CPU microseconds a call, user and system time of the process.
    pub(crate) client_cpu: f64,
    pub(crate) server_cpu: f64,
    /// Calls of the slowest caller over those of the median caller.
    pub(crate) fairness: f64,
    /// Callers that ended on a failed call, over the whole run.
    pub(crate) failures: usize,
    /// The first failure's message.
    pub(crate) failure: Option<String>,
}

/// Puts `load` on the connection behind `echo`.
///
/// # Errors
/// When the first call fails or answers something else, when a process's CPU time cannot be read,
/// and when a caller does not come back. Failed calls under load are part of the sample.
pub(crate) async fn drive<E: Echo>(echo: E, load: Load) -> Result<Sample, BoxError> {
    let body = Bytes::from(vec![b'x'; load.size]);
    let first = timeout(PATIENCE, echo.echo(body.clone())).await;
    if first.map_err(|_| format!("the first call was not answered for {PATIENCE:?}"))?? != body {
        return Err("the server answers something else than it was sent".into());
    }
    let window = Window::open_in(load.warm_up, load.measured);
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..load.callers {
        callers.spawn(call(echo.clone(), body.clone(), window, stop.clone()));
    }
    let cpu = task::spawn_blocking(move || window.cpu(load.server)).await?;
    stop.store(true, Ordering::Relaxed);
    let tallies = timeout(PATIENCE, callers.join_all()).await;
    let tallies = tallies.map_err(|_| format!("a call was not answered for {PATIENCE:?}"))?;
    Ok(summary(tallies, load.measured, cpu?))
}

/// The counted span of a run.
#[derive(Debug, Clone, Copy)]
struct Window {
    opens: Instant,
    closes: Instant,
}

impl Window {
    fn open_in(warm_up: Duration, measured: Duration) -> Self {
        let opens = Instant::now() + warm_up;
        Self { opens, closes: opens + measured }
    }

    /// Waits for the window and gives the share of a core that client and server used in it. A
    /// thread of its own, because a timer of the runtime would come late under load; the load
    /// goes on until the second reading, so that a late one changes no share.
    fn cpu(self, server: u32) -> Result<[f64; 2], BoxError> {
        let processes = [std::process::id(), server];
        let first = at(self.opens, processes)?;
        let last = at(self.closes, processes)?;
        let elapsed = (last.0 - first.0).as_secs_f64();
        Ok([0, 1].map(|i| last.1[i].since(first.1[i]).as_secs_f64() / elapsed))
    }
}

fn at(instant: Instant, processes: [u32; 2]) -> Result<(Instant, [CpuTime; 2]), BoxError> {
    std::thread::sleep(instant.saturating_duration_since(Instant::now()));
    Ok((Instant::now(), [CpuTime::of(processes[0])?, CpuTime::of(processes[1])?]))
}

/// What one caller saw.
#[derive(Debug, Default)]
struct Tally {
    /// Latencies of the counted calls in nanoseconds, at most 4.3 s each.
    latencies: Vec<u32>,
    failure: Option<String>,
}

async fn call<E: Echo>(echo: E, body: Bytes, window: Window, stop: Arc<AtomicBool>) -> Tally {
    let mut tally = Tally::default();
    let mut began = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        match echo.echo(body.clone()).await {
            Ok(answer) if answer.len() == body.len() => {}
            Ok(answer) => tally.failure = Some(format!("{} bytes came back", answer.len())),
            Err(error) => tally.failure = Some(error.to_string()),
        }
        if tally.failure.is_some() {
            break;
        }
        let ended = Instant::now();
        if window.opens <= ended && ended < window.closes {
            let nanos = (ended - began).as_nanos();
            tally.latencies.push(u32::try_from(nanos).unwrap_or(u32::MAX));
        }
        began = ended;
    }
    tally
}

fn summary(tallies: Vec<Tally>, measured: Duration, cpu: [f64; 2]) -> Sample {
    let mut counts: Vec<_> = tallies.iter().map(|tally| tally.latencies.len()).collect();
    counts.sort_unstable();
    let failed: Vec<_> = tallies.iter().filter_map(|tally| tally.failure.clone()).collect();
    let mut latencies: Vec<_> = tallies.into_iter().flat_map(|tally| tally.latencies).collect();
    let calls_per_second = latencies.len() as f64 / measured.as_secs_f64();
    Sample {
        calls_per_second,
        p50: percentile(&mut latencies, 0.5),
        p99: percentile(&mut latencies, 0.99),
        p999: percentile(&mut latencies, 0.999),
        client_cpu: ratio(cpu[0] * 1e6, calls_per_second),
        server_cpu: ratio(cpu[1] * 1e6, calls_per_second),
        fairness: ratio(counts[0] as f64, counts[counts.len() / 2] as f64),
        failures: failed.len(),
        failure: failed.into_iter().next(),
    }
}

/// The latency in microseconds that the share `rank` of the calls did not exceed; 0 without calls.
fn percentile(latencies: &mut [u32], rank: f64) -> f64 {
    let last = (latencies.len() as f64 * rank).ceil() as usize;
    let Some(index) = last.checked_sub(1) else {
        return 0.0;
    };
    f64::from(*latencies.select_nth_unstable(index).1) / 1e3
}

/// `part / whole`, and 0 where nothing happened.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(latencies: impl IntoIterator<Item = u32>) -> Tally {
        Tally { latencies: latencies.into_iter().collect(), failure: None }
    }

    #[test]
    fn percentiles_are_taken_over_the_calls_of_all_callers() {
        let tallies =
            vec![caller((1..=500).map(|n| n * 1000)), caller((501..=1000).map(|n| n * 1000))];
        let sample = summary(tallies, Duration::from_secs(2), [0.5, 1.0]);
        assert_eq!((sample.p50, sample.p99, sample.p999), (500.0, 990.0, 999.0));
        assert_eq!((sample.client_cpu, sample.server_cpu), (1000.0, 2000.0));
    }

    #[test]
    fn the_slowest_caller_is_held_against_the_median_one() {
        let tallies = [30, 10, 20].map(|calls| caller(vec![1000; calls]));
        assert_eq!(summary(tallies.into(), Duration::from_secs(1), [0.0; 2]).fairness, 0.5);
    }

    #[test]
    fn a_run_without_answers_gives_zeros() {
        let failed = Tally { failure: Some("gone".into()), ..Tally::default() };
        let sample = summary(vec![failed], Duration::from_secs(1), [1.0; 2]);
        assert_eq!((sample.calls_per_second, sample.p99, sample.client_cpu), (0.0, 0.0, 0.0));
        assert_eq!((sample.failures, sample.failure.as_deref()), (1, Some("gone")));
    }
}
