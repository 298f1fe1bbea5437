//! More calls than the providers have room for.

use super::{Check, none_failed, none_repeated, pass, seconds};
use crate::BoxError;
use crate::fleet::Fleet;
use crate::load::{Calls, Load};
use crate::report::Report;

pub(super) const OVERLOAD: Check = Check {
    name: "overload",
    what: "eight full providers are not asked again and again; one of three with room is enough",
    run: |report, quick| Box::pin(overload(report, quick)),
};

async fn overload(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    all_full(report, quick).await?;
    one_with_room(report, quick).await
}

/// Five times as many calls as eight providers have room for.
async fn all_full(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let fleet = Fleet::start(8, &["provider.limits.in_flight=2"]).await?;
    let consumer = fleet.consumer(&["consumer.retries=0"])?;
    let client = fleet.client(&consumer).await?;
    let load = Load::start(&client, Calls::Writes(80), 1000);
    pass(seconds(quick, 4, 10)).await;
    let seen = load.stop().await?;
    let refused = seen.reasons().filter(|failure| failure.code == dubhe::Code::ResourceExhausted);
    let share = refused.count() as f64 / seen.len().max(1) as f64;
    report.at_least("share of the calls that were refused", share, 0.5);
    let others = seen.reasons().filter(|failure| failure.code != dubhe::Code::ResourceExhausted);
    report.at_most("failures of another kind", others.count(), 0);
    let attempts = 1.0 + consumer.resends() as f64 / seen.len().max(1) as f64;
    report.at_most("attempts a call", attempts, 1.1);
    none_repeated(report, fleet.folder())
}

/// More calls than two providers have room for, and a third that has enough for all.
async fn one_with_room(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let mut fleet = Fleet::start(2, &["provider.limits.in_flight=2"]).await?;
    let roomy = fleet.provider("roomy", &[]).await?;
    fleet.providers.push(roomy);
    let consumer = fleet.consumer(&["consumer.retries=0", "consumer.loadbalance=random"])?;
    let client = fleet.client(&consumer).await?;
    let load = Load::start(&client, Calls::Writes(20), 1000);
    pass(seconds(quick, 3, 8)).await;
    let seen = load.stop().await?;
    none_failed(report, "writes while one of three has room", &seen);
    none_repeated(report, fleet.folder())
}
