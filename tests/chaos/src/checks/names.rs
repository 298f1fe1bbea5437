//! The same faults under every balancer and under the policies that can answer a read despite them.

use std::time::Duration;

use super::{Check, none_repeated, pass, seconds};
use crate::BoxError;
use crate::fleet::Fleet;
use crate::load::{Calls, Load};
use crate::report::Report;

pub(super) const BALANCERS: Check = Check {
    name: "balancers",
    what: "under every balancer one of three is stopped and another killed",
    run: |report, quick| Box::pin(balancers(report, quick)),
};

pub(super) const POLICIES: Check = Check {
    name: "policies",
    what: "under each policy that asks one provider after another, or copies reads, one of three is \
           stopped and another killed",
    run: |report, quick| Box::pin(policies(report, quick)),
};

const LOAD_BALANCERS: [&str; 7] = [
    "adaptive",
    "consistenthash",
    "leastactive",
    "p2c",
    "random",
    "roundrobin",
    "shortestresponse",
];

/// The policies, and whether a read that met the stopped provider is to be answered by another
/// within its second. Left out are `failsafe` and `failback`, which need a value to answer in place
/// of a failure and a read of the store has none, and `broadcast`, which fails while one of all does.
const CLUSTER_POLICIES: [(&str, bool); 4] =
    [("failover", true), ("failfast", false), ("forking", true), ("available", false)];

async fn balancers(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    // The others are the same in a whole run; in a short one the ones unlike each other.
    let short = ["consistenthash", "p2c", "roundrobin"];
    for name in LOAD_BALANCERS.iter().filter(|name| !quick || short.contains(name)) {
        let setting = format!("consumer.loadbalance={name}");
        stop_and_kill(report, name, &[&setting], true, quick).await?;
    }
    Ok(())
}

async fn policies(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    for (name, resends) in CLUSTER_POLICIES {
        let setting = format!("consumer.services.\"chaos.Store\".methods.read.cluster={name}");
        stop_and_kill(report, name, &[&setting], resends, quick).await?;
    }
    Ok(())
}

/// Reads and writes while one provider is stopped for a while and then another killed.
async fn stop_and_kill(
    report: &mut Report,
    name: &str,
    settings: &[&str],
    resends: bool,
    quick: bool,
) -> Result<(), BoxError> {
    let mut fleet = Fleet::start(3, &[]).await?;
    let consumer = fleet.consumer(settings)?;
    let client = fleet.client(&consumer).await?;
    let reads = Load::start(&client, Calls::Reads(2), 300);
    let writes = Load::start(&client, Calls::Writes(2), 300);
    pass(seconds(quick, 1, 3)).await;
    let stopped = reads.now();
    fleet.providers[0].stop().await?;
    pass(seconds(quick, 4, 6)).await;
    fleet.providers[0].resume().await?;
    pass(seconds(quick, 1, 3)).await;
    fleet.providers[1].kill().await?;
    pass(seconds(quick, 2, 4)).await;
    let (reads, writes) = (reads.stop().await?, writes.stop().await?);
    // One that hangs on the stopped provider takes the deadline with it, whatever the policy.
    let settled = reads.between(stopped + Duration::from_secs(2), Duration::MAX);
    let limit = if resends { 2 } else { settled.len() / 50 };
    report.at_most(
        &format!("{name}: reads failed from 2 s after the stop"),
        settled.failed().count(),
        limit,
    );
    let share = writes.failed().count() as f64 / writes.len().max(1) as f64;
    report.at_most(&format!("{name}: share of writes failed in all"), share, 0.15);
    none_repeated(report, &fleet)
}
