//! Every balancer under the same faults.

use super::gauntlet::{self, Outcome, TAKES, Trial};
use super::{Check, few_failed_unexcused, none_failed, none_repeated};
use crate::BoxError;
use crate::load::Calls;
use crate::report::Report;

pub(super) const BALANCERS: Check = Check {
    name: "balancers",
    what: "under every balancer a slow one of four is killed and another stopped",
    run: |report, quick| Box::pin(balancers(report, quick)),
};

const NAMES: [&str; 7] = [
    "adaptive",
    "consistenthash",
    "leastactive",
    "p2c",
    "random",
    "roundrobin",
    "shortestresponse",
];

async fn balancers(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let mut fleet = gauntlet::fleet().await?;
    let mut trials = Vec::new();
    for name in NAMES {
        let consumer = fleet.consumer(&[&format!("consumer.loadbalance={name}")])?;
        let client = fleet.client(&consumer).await?;
        let (reads, writes) = (Calls::Reads(TAKES), Calls::Writes(TAKES));
        trials.push(Trial { name, consumer, client, reads, writes });
    }
    let (faults, outcomes) = gauntlet::run(&mut fleet, trials, quick).await?;
    for Outcome { name, reads, writes, .. } in outcomes {
        none_failed(report, &format!("{name}: reads"), &reads);
        few_failed_unexcused(report, &format!("{name}: writes"), &writes, &faults);
    }
    none_repeated(report, fleet.folder())
}
