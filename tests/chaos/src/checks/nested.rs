//! Providers whose own calls fail, and who pass that on.

use std::time::Duration;

use super::{Check, none_failed, pass, seconds};
use crate::BoxError;
use crate::api::{Store, StoreClient};
use crate::fleet::{self, Fleet};
use crate::ledger::{self, Kind};
use crate::load::{Calls, Load};
use crate::report::Report;

pub(super) const NESTED_FAILURE: Check = Check {
    name: "nested-failure",
    what: "what three providers depend on dies, then for one alone; their other methods go on",
    run: |report, quick| Box::pin(nested_failure(report, quick)),
};

async fn nested_failure(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let mut banks = Fleet::start(2, &[]).await?;
    let [first, second] = [0, 1].map(|number| banks.providers[number].address.clone());
    let fleet = Fleet::start(3, &[]).await?;
    for provider in &fleet.providers {
        depend(&provider.address, &first).await?;
    }
    banks.providers[0].kill().await?;
    for_all(report, &fleet, quick).await?;
    for provider in &fleet.providers[1..] {
        depend(&provider.address, &second).await?;
    }
    for_one(report, &fleet, quick).await
}

/// Everybody's dependency is dead: nobody is taken out for it, and nothing is asked twice.
async fn for_all(report: &mut Report, fleet: &Fleet, quick: bool) -> Result<(), BoxError> {
    let consumer = fleet.consumer(&["consumer.loadbalance=roundrobin"])?;
    let client = fleet.client(&consumer).await?;
    let before = ledger::all(fleet.folder(), Kind::Read)?.len();
    let leaning = Load::start(&client, Calls::Leaning, 300);
    let reads = Load::start(&client, Calls::Reads(1), 300);
    pass(seconds(quick, 3, 8)).await;
    let (leaning, reads) = (leaning.stop().await?, reads.stop().await?);
    none_failed(report, "reads while what the providers depend on is dead", &reads);
    let answered = leaning.len() - leaning.failed().count();
    report.at_most("calls that depend on it and were answered", answered, 0);
    let unnamed = leaning.reasons().filter(|why| !why.text.contains("its call chaos.Store/read"));
    report.at_most("failures that do not name the call further on", unnamed.count(), 0);
    let least = ["p0", "p1", "p2"].map(|name| reads.share_of(name)).into_iter().fold(1.0, f64::min);
    report.at_least("least share of the reads of any of the three", least, 0.2);
    let executed = ledger::all(fleet.folder(), Kind::Read)?.len() - before;
    let attempts = executed as f64 / (leaning.len() + reads.len()).max(1) as f64;
    report.at_most("attempts a call", attempts, 1.01);
    Ok(())
}

/// One of three is cut off from what the others reach: it is left out.
async fn for_one(report: &mut Report, fleet: &Fleet, quick: bool) -> Result<(), BoxError> {
    let consumer = fleet.consumer(&[])?;
    let client = fleet.client(&consumer).await?;
    let load = Load::start(&client, Calls::Leaning, 500);
    pass(seconds(quick, 5, 10)).await;
    let seen = load.stop().await?;
    let settled = seen.between(Duration::from_secs(2), Duration::MAX);
    let share = settled.failed().count() as f64 / settled.len().max(1) as f64;
    report.at_most("failed from 2 s on, one being cut off, as a share", share, 0.01);
    Ok(())
}

/// Tells one provider whom its own reads go to.
async fn depend(address: &str, upstream: &str) -> Result<(), BoxError> {
    let consumer = fleet::consumer(&format!("static://{address}"), &[])?;
    let client: StoreClient = consumer.client().await?;
    Ok(client.depend(upstream.to_owned()).await?)
}
