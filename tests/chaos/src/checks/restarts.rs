//! Providers that go: asked politely one after the other, or killed.

use std::collections::HashSet;
use std::time::Duration;

use dubhe::Consumer;

use super::{Check, none_failed, none_repeated, pass, seconds};
use crate::BoxError;
use crate::api::Store;
use crate::fleet::Fleet;
use crate::ledger::{self, Kind};
use crate::load::{Calls, Ended, Load, Seen};
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

/// How often a provider is killed, at most, until one dies with a call that it had begun.
const MOST_KILLS: usize = 10;

/// The calls of the killed provider's callers.
const WRITES_A_SECOND: u32 = 2000;

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
    none_repeated(report, fleet.folder())
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
    let mut begun = 0;
    for kill in 1..=MOST_KILLS {
        begun = kill_under_writes(report, &mut fleet, &consumer, quick).await?;
        if begun > 0 {
            break;
        }
        // It died between two calls, which is another fault: then the next one is killed.
        report.note("a kill that hit no call", &format!("kill {kill}"), kill < MOST_KILLS);
        let next = fleet.provider(&format!("n{kill}"), &[]).await?;
        fleet.providers.push(next);
    }
    let figure = format!("{begun} by its ledger");
    report.note("failed calls that the killed one had begun", &figure, begun > 0);
    none_repeated(report, fleet.folder())
}

/// Kills the first provider under calls that are not idempotent; returns how many of those that
/// failed it had begun.
async fn kill_under_writes(
    report: &mut Report,
    fleet: &mut Fleet,
    consumer: &Consumer,
    quick: bool,
) -> Result<usize, BoxError> {
    let client = fleet.client(consumer).await?;
    let load = Load::start(&client, Calls::Writes(5), WRITES_A_SECOND);
    pass(seconds(quick, 2, 5)).await;
    let killed = load.now();
    let mut victim = fleet.providers.remove(0);
    victim.kill().await?;
    let dead = load.now();
    pass(seconds(quick, 2, 5)).await;
    let seen = load.stop().await?;
    let early = seen.between(Duration::ZERO, killed.saturating_sub(Duration::from_secs(1)));
    none_failed(report, "calls that were due a second before the kill and earlier", &early);
    let late = seen.failed().filter(|call| call.due > killed + Duration::from_millis(200)).count();
    report.at_most("calls that failed later than 200 ms after the kill", late, 0);
    let executed = ledger::executed(fleet.folder(), Kind::Write)?;
    let its: HashSet<u64> = executed.get(&victim.name).into_iter().flatten().copied().collect();
    let (in_flight, unread): (Vec<_>, Vec<_>) =
        seen.failed().partition(|call| its.contains(&call.id));
    let sent_there = |call: &&&Ended| {
        let reason = call.outcome.as_ref().err();
        reason.and_then(|reason| reason.address.as_deref()) == Some(&*victim.address)
    };
    let strays = unread.len() - unread.iter().filter(sent_there).count();
    report.at_most("failed calls that were not sent to the killed one", strays, 0);
    report.at_most(
        "failed calls that it had not begun",
        unread.len(),
        unreadable(&seen, killed, dead),
    );
    let answered: HashSet<u64> =
        seen.calls().filter(|call| call.outcome.is_ok()).map(|call| call.id).collect();
    let done = executed.values().flatten().filter(|id| answered.contains(id)).count();
    report.at_least("executions for the calls that were answered", done, answered.len());
    Ok(in_flight.len())
}

/// How many calls could lie in the killed one's buffers, which it has and has not read: those that
/// were due since it can have read last. As long as the slowest answer of that time took, it may
/// not have come to run.
fn unreadable(seen: &Seen, killed: Duration, dead: Duration) -> usize {
    let second = Duration::from_secs(1);
    let answers = seen.between(killed.saturating_sub(second), dead);
    let slowest = answers.calls().filter(|call| call.outcome.is_ok()).map(|call| call.latency);
    let asleep = slowest.max().unwrap_or_default();
    seen.between(killed.saturating_sub(asleep), dead + asleep).len()
}
