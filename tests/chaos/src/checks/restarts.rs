//! Providers that go: asked politely one after the other, or killed.

use std::collections::HashSet;
use std::time::Duration;

use super::{Check, none_failed, none_repeated, pass, seconds};
use crate::BoxError;
use crate::api::Store;
use crate::fleet::Fleet;
use crate::ledger::{self, Kind};
use crate::load::{Calls, Load};
use crate::report::Report;

pub(super) const ROLLING: Check = Check {
    name: "rolling-restart",
    what: "ten providers are replaced one after the other, retries off",
    run: |report, quick| Box::pin(rolling(report, quick)),
};

pub(super) const KILL_READS: Check = Check {
    name: "kill-reads",
    what: "kill -9 of one of three under idempotent calls",
    run: |report, quick| Box::pin(kill_reads(report, quick)),
};

pub(super) const KILL_WRITES: Check = Check {
    name: "kill-writes",
    what: "kill -9 of one of three under calls that are not idempotent, retries off",
    run: |report, quick| Box::pin(kill_writes(report, quick)),
};

/// How many calls may be lost on their way to the killed provider, beside those it had begun: its
/// machine has them, but it has not read them yet.
const LOST_UNREAD: usize = 5;

async fn rolling(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let mut fleet = Fleet::start(10, &[]).await?;
    let consumer = fleet.consumer(&["consumer.retries=0"])?;
    let client = fleet.client(&consumer).await?;
    let patient = fleet.consumer(&["consumer.retries=0", "consumer.timeout=20s"])?;
    let patient = fleet.client(&patient).await?;
    let load = Load::start(&client, Calls::Writes(2), if quick { 1000 } else { 2000 });
    // One on each provider or so, begun before any is told to go.
    let long: Vec<_> = (0..10_u64)
        .map(|id| {
            let client = patient.clone();
            tokio::spawn(async move { client.write(u64::MAX - id, 5000).await })
        })
        .collect();
    pass(Duration::from_millis(300)).await;
    let mut cut = 0;
    for number in 0..fleet.providers.len() {
        let next = fleet.provider(&format!("n{number}"), &[]).await?;
        let mut old = std::mem::replace(&mut fleet.providers[number], next);
        cut += old.terminate().await?;
    }
    let seen = load.stop().await?;
    none_failed(report, "calls during the restarts", &seen);
    report.at_most("calls that were cut by a provider's end", cut, 0);
    let mut failed = Vec::new();
    for call in long {
        failed.extend(call.await?.err().map(|status| status.to_string()));
    }
    let figure = format!("{} of 10 failed {failed:?}", failed.len());
    report.note("calls of 5 s that were begun before", &figure, failed.is_empty());
    none_repeated(report, &fleet)
}

async fn kill_reads(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let mut fleet = Fleet::start(3, &[]).await?;
    let consumer = fleet.consumer(&[])?;
    let client = fleet.client(&consumer).await?;
    let load = Load::start(&client, Calls::Reads(2), 5000);
    pass(seconds(quick, 2, 5)).await;
    let killed = load.now();
    fleet.providers[0].kill().await?;
    pass(seconds(quick, 2, 5)).await;
    let seen = load.stop().await?;
    none_failed(report, "calls", &seen);
    let after = seen.between(killed.saturating_sub(Duration::from_secs(1)), Duration::MAX);
    report.at_most("slowest call after the kill", after.slowest(), Duration::from_secs(1));
    let resent = consumer.resends();
    report.note("calls that were sent again", &resent.to_string(), resent > 0);
    Ok(())
}

async fn kill_writes(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let mut fleet = Fleet::start(3, &[]).await?;
    let consumer = fleet.consumer(&["consumer.retries=0"])?;
    let client = fleet.client(&consumer).await?;
    let load = Load::start(&client, Calls::Writes(5), 2000);
    pass(seconds(quick, 2, 5)).await;
    let killed = load.now();
    fleet.providers[0].kill().await?;
    pass(seconds(quick, 2, 5)).await;
    let seen = load.stop().await?;
    let early = seen.between(Duration::ZERO, killed.saturating_sub(Duration::from_secs(1)));
    none_failed(report, "calls that were due a second before the kill and earlier", &early);
    let late = seen.failed().filter(|call| call.due > killed + Duration::from_millis(200)).count();
    report.at_most("calls that failed later than 200 ms after the kill", late, 0);
    let executed = ledger::executed(fleet.folder(), Kind::Write)?;
    let begun: HashSet<u64> = executed.get("p0").into_iter().flatten().copied().collect();
    let (in_flight, unread): (Vec<_>, Vec<_>) =
        seen.failed().partition(|call| begun.contains(&call.id));
    let figure = format!("{} by its ledger", in_flight.len());
    report.note("failed calls that the killed one had begun", &figure, !in_flight.is_empty());
    report.at_most("failed calls that it had not begun", unread.len(), LOST_UNREAD);
    let (executed, answered) =
        (executed.values().map(Vec::len).sum(), seen.len() - seen.failed().count());
    report.at_least("executions for the calls that were answered", executed, answered);
    none_repeated(report, &fleet)
}
