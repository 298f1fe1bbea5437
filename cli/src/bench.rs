//! `dubhe bench`: load on one method, and how long its calls took.
//!
//! Either so many callers that each wait for their answer (`--concurrency`), or so many calls a
//! second whatever the answers take (`--rate`). The latter shows what users of a busy service see:
//! a call that could not start in time because others were slow is counted from when it should
//! have, and one that could not start until the end is reported as not started. Calls go out as
//! JSON through the whole cluster layer of a consumer. A failure that a policy answers in its place
//! is a failure here: it says nothing of the provider that calls are quick while there is none.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use clap::Args;
use dubhe::prelude::CallOptions;
use dubhe::{AttemptLog, DynamicClient};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::call::tell_doubtful_list;
use crate::failure::{CommandResult, Failure};
use crate::latency::Latencies;
use crate::options::Options;
use crate::target::{self, CallArgs, MethodTarget};
use crate::{input, output};

/// The default number of callers that each wait for their answer.
const CALLERS: u16 = 8;

/// The default limit of calls at a time with `--rate`.
const PACED_CALLERS: u16 = 1024;

/// How many histograms the callers share.
const SHARDS: usize = 16;

/// Put load on a method and measure latencies.
#[derive(Debug, Args)]
pub(crate) struct BenchCommand {
    /// The method, as SERVICE/METHOD
    #[arg(value_name = "SERVICE/METHOD")]
    target: MethodTarget,
    /// The arguments of every call, as for `dubhe call`
    #[arg(value_name = "JSON")]
    arguments: Option<String>,
    /// Most calls at a time: 8, each followed by the next; 1024 with --rate
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    concurrency: Option<u16>,
    /// Calls a second, however long the answers take
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// How long to start calls
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = input::duration)]
    duration: Duration,
    /// Call the method even if it is not idempotent
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    call: CallArgs,
}

impl BenchCommand {
    pub(crate) async fn run(self, options: &Options) -> CommandResult {
        let arguments = input::arguments(self.arguments.as_deref())?;
        let consumer = options.caller(&self.call.metadata)?;
        let MethodTarget { service, method } = &self.target;
        let client = target::client(&consumer, service, &self.call).await?;
        client.check(method, &arguments)?;
        if !client.method(method)?.is_idempotent && !self.yes {
            return Err(Failure::usage(format!(
                "{service}/{method} is not idempotent: every call may change something; add --yes \
                 if that is meant"
            )));
        }
        // What is known of a list goes with its last client, and is told after the load.
        let load = Load::new(&self, client.clone(), arguments);
        let usual = if self.rate.is_some() { PACED_CALLERS } else { CALLERS };
        let callers = self.concurrency.unwrap_or(usual);
        let measured = load.run(callers.into()).await?;
        if !options.json {
            tell_doubtful_list(&consumer, service)?;
        }
        Failure::told_if(!measured.is_complete(), self.print(options, &measured))
    }

    fn print(&self, options: &Options, measured: &Measured) -> CommandResult {
        let Measured { latencies, took, given_up, not_started } = measured;
        let (succeeded, failed) = (latencies.succeeded(), latencies.failed());
        let rate = succeeded as f64 / took.as_secs_f64().max(f64::EPSILON);
        if options.json {
            let mut whole = latencies.json();
            whole["given_up"] = json!(given_up);
            whole["not_started"] = json!(not_started);
            whole["seconds"] = json!(took.as_secs_f64());
            whole["succeeded_per_second"] = json!(rate);
            return output::json(&whole);
        }
        let seconds = took.as_secs_f64();
        let calls = succeeded + failed;
        let tables = latencies.text();
        let mut rest = String::new();
        if *given_up > 0 {
            rest += &format!(", {given_up} given up");
        }
        if *not_started > 0 {
            rest += &format!(", {not_started} not started: more were under way than --concurrency");
        }
        output::text(format_args!(
            "{calls} calls in {seconds:.1} s, {rate:.1} succeeded a second, {failed} failed{rest}\n\
             {tables}"
        ))
    }
}

/// The result of a load.
struct Measured {
    latencies: Latencies,
    took: Duration,
    /// Calls that were under way when the load was ended at once.
    given_up: u64,
    /// Calls that were due, with a rate, and found no caller free before the end.
    not_started: u64,
}

impl Measured {
    /// Whether every call that was due was made, and succeeded.
    fn is_complete(&self) -> bool {
        self.latencies.failed() + self.given_up + self.not_started == 0
    }
}

/// The calls to make, and when.
struct Load {
    client: DynamicClient,
    options: CallOptions,
    method: String,
    arguments: Value,
    rate: Option<u32>,
    begin: Instant,
    end: Instant,
    /// How many calls were given out, with a rate.
    given: AtomicU64,
    started: AtomicU64,
    stopped: watch::Sender<bool>,
}

impl Load {
    fn new(bench: &BenchCommand, client: DynamicClient, arguments: Value) -> Self {
        let (begin, method) = (Instant::now(), bench.target.method.clone());
        let (end, rate, options) = (begin + bench.duration, bench.rate, bench.call.options());
        let (given, started, stopped) = Default::default();
        Self { client, options, method, arguments, rate, begin, end, given, started, stopped }
    }

    /// Makes the calls; Ctrl-C ends it early. Calls under way are waited for, until Ctrl-C again.
    async fn run(self, callers: usize) -> Result<Measured, Failure> {
        let this = Arc::new(self);
        let shards = (0..callers.min(SHARDS)).map(|_| Ok(Mutex::new(Latencies::new()?)));
        let shards = Arc::new(shards.collect::<Result<Vec<_>, Failure>>()?);
        let mut interrupted = pin!(interrupt());
        // It listens from its first poll on: before the first call, so that none is ever cut.
        if poll_fn(|cx| Poll::Ready(interrupted.as_mut().poll(cx).is_ready())).await {
            interrupted.set(interrupt());
        }
        let mut callers_at_work = JoinSet::new();
        for caller in 0..callers {
            callers_at_work.spawn(this.clone().call_on(shards.clone(), caller % SHARDS));
        }
        let mut due_until = this.end;
        loop {
            tokio::select! {
                joined = callers_at_work.join_next() => if joined.is_none() { break },
                () = &mut interrupted => {
                    if this.stopped.send_replace(true) {
                        callers_at_work.shutdown().await;
                        break;
                    }
                    due_until = due_until.min(Instant::now());
                    interrupted.set(interrupt());
                }
            }
        }
        let took = this.begin.elapsed();
        let started = this.started.load(Ordering::Relaxed);
        let not_started = this.due(due_until).saturating_sub(started);
        let mut all = Latencies::new()?;
        for shard in shards.iter() {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.add(std::mem::replace(&mut *shard, Latencies::new()?))?;
        }
        let given_up = started.saturating_sub(all.succeeded() + all.failed());
        Ok(Measured { latencies: all, took, given_up, not_started })
    }

    /// How many calls were due before `until`, with a rate.
    fn due(&self, until: Instant) -> u64 {
        let time = until.saturating_duration_since(self.begin).as_nanos();
        let due = self.rate.map_or(0, |rate| (time * u128::from(rate)).div_ceil(1_000_000_000));
        u64::try_from(due).unwrap_or(u64::MAX)
    }

    /// One caller: makes one call after the other.
    async fn call_on(self: Arc<Self>, shards: Arc<Vec<Mutex<Latencies>>>, shard: usize) {
        let mut stopped = self.stopped.subscribe();
        while let Some(start) = self.next(&mut stopped).await {
            self.started.fetch_add(1, Ordering::Relaxed);
            let log = AttemptLog::new();
            let client = self.client.with(self.options.clone().attempts(&log));
            let result = client.call(&self.method, self.arguments.clone()).await;
            let took = start.elapsed();
            let result = log.fell_back_from().map_or(result, Err);
            let mut shard = shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
            shard.note(took, &result);
            shard.note_providers(&log);
        }
    }

    /// Waits for the time of the next call and gives the time to count from; `None` at the end.
    async fn next(&self, stopped: &mut watch::Receiver<bool>) -> Option<Instant> {
        let now = Instant::now();
        if *stopped.borrow() || now >= self.end {
            return None;
        }
        let Some(rate) = self.rate else { return Some(now) };
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let at = self.begin + Duration::from_secs_f64(number as f64 / f64::from(rate));
        if at >= self.end {
            return None;
        }
        if now >= at {
            // Every caller was busy: the call has been waiting since then.
            return Some(at);
        }
        tokio::select! {
            () = sleep_until(at) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return None,
        }
        // How late the timer is says nothing about the provider.
        Some(Instant::now())
    }
}

/// Ctrl-C; where it cannot be listened for, only the end ends the load.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
