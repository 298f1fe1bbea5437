//! Every policy under the same faults, each judged by what it promises.

use std::collections::BTreeSet;
use std::time::Duration;

use dubhe::Delivery;
use tokio::time::Instant;

use super::gauntlet::{self, Faults, Outcome, TAKES, Trial};
use super::telling::{self, Telling};
use super::{Check, few_failed_unexcused, none_failed, none_repeated, pass};
use crate::BoxError;
use crate::fleet::Fleet;
use crate::ledger::{self, Kind};
use crate::load::{Calls, NOBODY, Seen};
use crate::report::Report;

pub(super) const POLICIES: Check = Check {
    name: "policies",
    what: "under every policy a slow one of four is killed and another stopped",
    run: |report, quick| Box::pin(policies(report, quick)),
};

/// A policy, the methods that have it, and what is called. `broadcast` is called by [`Telling`].
struct Policy {
    name: &'static str,
    cluster: &'static str,
    methods: &'static [&'static str],
    more: &'static [&'static str],
    reads: Calls,
    writes: Calls,
}

/// A share of the calls goes to every provider: by others a run may pass without a call that meets a
/// fault, and then show nothing of a policy.
const EVEN: &[&str] = &["consumer.loadbalance=roundrobin"];

const POLICY: Policy = Policy {
    name: "",
    cluster: "",
    methods: &["read", "write"],
    more: &[],
    reads: Calls::Reads(TAKES),
    writes: Calls::Writes(TAKES),
};

const ALL: [Policy; 6] = [
    Policy { name: "failover", cluster: "failover", ..POLICY },
    Policy { name: "failfast", cluster: "failfast", more: EVEN, ..POLICY },
    Policy { name: "available", cluster: "available", ..POLICY },
    Policy {
        name: "failsafe",
        cluster: "failsafe",
        methods: &["find", "note"],
        more: EVEN,
        reads: Calls::Finds(TAKES),
        writes: Calls::Notes(TAKES),
    },
    Policy {
        name: "failback",
        cluster: r#"{"name": "failback", "interval": "500ms"}"#,
        methods: &["mark", "note"],
        more: EVEN,
        reads: Calls::Marks(TAKES),
        writes: Calls::Notes(TAKES),
    },
    Policy {
        name: "forking",
        cluster: r#"{"name": "forking", "forks": 2}"#,
        methods: &["read"],
        // Every read is a copy more than the usual budget is for.
        more: &["consumer.retry_budget.percent=100"],
        ..POLICY
    },
];

async fn policies(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let mut fleet = gauntlet::fleet().await?;
    let mut trials = Vec::new();
    for Policy { name, cluster, methods, more, reads, writes } in ALL {
        let setting = |method: &&str| {
            format!("consumer.services.\"chaos.Store\".methods.{method}.cluster={cluster}")
        };
        let settings: Vec<String> = methods.iter().map(setting).collect();
        let settings = settings.iter().map(String::as_str).chain(more.iter().copied());
        let consumer = fleet.consumer(&settings.collect::<Vec<_>>())?;
        let client = fleet.client(&consumer).await?;
        trials.push(Trial { name, consumer, client, reads, writes });
    }
    let telling = Telling::start(&fleet).await?;
    let (faults, outcomes) = gauntlet::run(&mut fleet, trials, quick).await?;
    let told = telling.stop().await?;
    for outcome in outcomes {
        judge(report, &fleet, &faults, outcome).await?;
    }
    telling::judge(report, &fleet, &faults, &told)?;
    none_repeated(report, fleet.folder())
}

async fn judge(
    report: &mut Report,
    fleet: &Fleet,
    faults: &Faults,
    outcome: Outcome,
) -> Result<(), BoxError> {
    let (name, reads, writes) = (outcome.name, &outcome.reads, &outcome.writes);
    let (of_reads, of_writes) = (format!("{name}: reads"), format!("{name}: writes"));
    match name {
        "failsafe" => {
            none_failed(report, &of_reads, reads);
            none_failed(report, &of_writes, writes);
            stand_ins(report, reads, faults);
            return Ok(());
        }
        "failback" => {
            none_failed(report, &of_reads, reads);
            done_later(report, fleet, &outcome).await?;
        }
        "available" => {
            few_failed_unexcused(report, &of_reads, reads, faults);
            first_serves(report, fleet, reads, faults);
        }
        "failfast" => few_failed_unexcused(report, &of_reads, reads, faults),
        _ => none_failed(report, &of_reads, reads),
    }
    few_failed_unexcused(report, &of_writes, writes, faults);
    Ok(())
}

/// The empty value stands in for what failed, and for nothing else. It does not tell where it
/// failed, so those that can have met a fault are held to what one of three gets in some three seconds.
fn stand_ins(report: &mut Report, finds: &Seen, faults: &Faults) {
    let by_nobody = finds.calls().filter(|call| call.outcome.as_deref() == Ok(NOBODY));
    let (excused, others): (Vec<_>, Vec<_>) =
        by_nobody.partition(|call| faults.can_meet(call).contains(&true));
    report.at_least("failsafe: empty values for reads that met a fault", excused.len(), 1);
    report.at_most("failsafe: the same", excused.len(), finds.len() / 10);
    report.at_most("failsafe: empty values for other reads", others.len(), finds.len() / 100);
}

/// While the first address answers, it answers everything; then the next does. Looked at with some
/// distance to the faults: a call may be late.
fn first_serves(report: &mut Report, fleet: &Fleet, reads: &Seen, faults: &Faults) {
    let who = |from, to| {
        let part = reads.between(from, to);
        let answers = part.calls().filter_map(|call| call.outcome.as_deref().ok());
        answers.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let half = Duration::from_millis(500);
    let phases = [
        (2 * half, faults.killed.saturating_sub(half)),
        (faults.killed + half, faults.stopped.saturating_sub(half)),
        (faults.stopped + 5 * half, faults.resumed.saturating_sub(half)),
    ];
    for (provider, (from, to)) in fleet.providers.iter().zip(phases) {
        let answered = who(from, to);
        let passed = answered.iter().eq([&provider.name]);
        let what = format!("available: {} alone answers while it is the first", provider.name);
        report.note(&what, &format!("{answered:?}"), passed);
    }
}

/// What failed is done later; what may have run is not done again.
async fn done_later(report: &mut Report, fleet: &Fleet, outcome: &Outcome) -> Result<(), BoxError> {
    let Outcome { consumer, reads: marks, writes: notes, .. } = outcome;
    let (backlog, begun) = (consumer.backlog(), Instant::now());
    while backlog.waiting() > 0 && begun.elapsed() < Duration::from_secs(20) {
        pass(Duration::from_millis(20)).await;
    }
    report.at_most("failback: calls left waiting", backlog.waiting(), 0);
    report.at_most("failback: calls given up", backlog.dropped(), 0);
    let marked = ledger::executed(fleet.folder(), Kind::Mark)?;
    let everywhere: BTreeSet<u64> = marked.values().flatten().copied().collect();
    let undone = marks.calls().filter(|call| !everywhere.contains(&call.id)).count();
    report.at_most("failback: marks that nobody has done", undone, 0);
    let twice: usize = marked.values().map(|ids| ledger::repeated(ids)).sum();
    report.at_most("failback: marks that one provider has done twice", twice, 0);
    let again = marked.values().map(Vec::len).sum::<usize>() - everywhere.len();
    let figure = format!("{} marks, {again} of them done by a second provider too", marks.len());
    report.note("failback: what failed was repeated", &figure, again > 0);
    let noted: BTreeSet<u64> = ledger::all(fleet.folder(), Kind::Write)?.into_iter().collect();
    let promised = notes.calls().filter(|call| call.outcome.is_ok());
    let undone = promised.filter(|call| !noted.contains(&call.id)).count();
    report.at_most("failback: writes promised and not done", undone, 0);
    let unsent = notes.reasons().filter(|failure| failure.delivery != Delivery::MaybeSent);
    report.at_most("failback: writes that failed though they cannot have run", unsent.count(), 0);
    Ok(())
}
