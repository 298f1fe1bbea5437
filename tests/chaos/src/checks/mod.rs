//! Every check: a scenario, its figures, and what it holds them to.
//!
//! They hold fleets of processes to what `docs/reliability.md` says of each fault.

mod balancers;
mod blocking;
mod faults;
mod gate;
mod gauntlet;
mod nested;
mod outliers;
mod overload;
mod policies;
pub(crate) mod registry;
mod restarts;
mod rules;
mod telling;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use self::gauntlet::Faults;
use crate::BoxError;
use crate::api::{Store, StoreClient};
use crate::fleet;
use crate::ledger::{self, Kind};
use crate::load::Seen;
use crate::report::Report;

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + 'a>>;

/// One scenario; `run` is told whether it is to be short.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(&mut Report, bool) -> Running<'_>,
}

/// All of them, in the order they run.
pub(crate) const ALL: &[Check] = &[
    restarts::ROLLING,
    restarts::KILL_READS,
    restarts::KILL_WRITES,
    outliers::STOPPED,
    outliers::STALLS,
    outliers::BLACK_HOLE,
    outliers::MOST_FAIL,
    outliers::ALL_FAIL,
    faults::REFUSED_BY_LIMIT,
    overload::OVERLOAD,
    blocking::BLOCKING,
    nested::NESTED_FAILURE,
    faults::NETWORK,
    faults::SILENT_NEWCOMERS,
    rules::RULES,
    balancers::BALANCERS,
    policies::POLICIES,
    gate::GATE,
];

/// Five of a shorter run, fifteen of a whole one, or any such pair of seconds.
const fn seconds(quick: bool, short: u64, whole: u64) -> Duration {
    Duration::from_secs(if quick { short } else { whole })
}

/// Notes that nothing failed, and of what if something did.
fn none_failed(report: &mut Report, what: &str, seen: &Seen) {
    let passed = seen.failed().count() == 0 && seen.len() > 0;
    report.note(what, &seen.failures(), passed);
}

/// Notes that calls failed only by the provider that broke and before that was known, but for those
/// that found out whether it is over.
fn few_failed_unexcused(report: &mut Report, what: &str, seen: &Seen, faults: &Faults) {
    let others = seen.failed().filter(|call| !faults.excuse(call)).count();
    let figure = format!("{others} besides those that met a fault; in all {}", seen.failures());
    report.note(what, &figure, others <= seen.len() / 100 && seen.len() > 0);
}

/// Notes that no call was executed twice.
fn none_repeated(report: &mut Report, folder: &Path) -> Result<(), BoxError> {
    let executed = ledger::all(folder, Kind::Write)?;
    let repeated = ledger::repeated(&executed);
    let figure = format!("{repeated} of {} executions", executed.len());
    report.note("no write was executed twice", &figure, repeated == 0);
    Ok(())
}

/// Tells one provider to answer every call with `unavailable`, or no longer.
async fn set_failing(address: &str, failing: bool) -> Result<(), BoxError> {
    let consumer = fleet::consumer(&format!("static://{address}"), &[])?;
    let client: StoreClient = consumer.client().await?;
    Ok(client.fail(failing).await?)
}

/// Tells one provider to take so many milliseconds longer.
async fn set_slow(address: &str, millis: u64) -> Result<(), BoxError> {
    let consumer = fleet::consumer(&format!("static://{address}"), &[])?;
    let client: StoreClient = consumer.client().await?;
    Ok(client.slow(millis).await?)
}

/// Real processes take real time: this is how scenarios are paced, never how they synchronise.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
