//! Faults between consumer and provider: refusals, and a network that misbehaves.

use std::time::Duration;

use super::{Check, none_failed, none_repeated, pass, seconds};
use crate::BoxError;
use crate::api::Store;
use crate::fleet::{Fleet, is_complete};
use crate::load::{Calls, Load, fresh_id};
use crate::proxy::{Fault, Proxy};
use crate::report::Report;

pub(super) const REFUSED_BY_LIMIT: Check = Check {
    name: "refused-by-limit",
    what: "a provider at its limit refuses; the call goes elsewhere, retries off",
    run: |report, quick| Box::pin(refused_by_limit(report, quick)),
};

pub(super) const NETWORK: Check = Check {
    name: "network",
    what: "one of three behind a network that refuses, resets, swallows, delays, goes half-open",
    run: |report, quick| Box::pin(network(report, quick)),
};

pub(super) const SILENT_NEWCOMERS: Check = Check {
    name: "silent-newcomers",
    what: "twenty that accept and hang or reset come to the list beside one that has answered",
    run: |report, quick| Box::pin(silent_newcomers(report, quick)),
};

async fn refused_by_limit(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let mut fleet = Fleet::start(2, &[]).await?;
    let small = fleet.provider("small", &["provider.limits.in_flight=2"]).await?;
    fleet.providers.push(small);
    let consumer = fleet.consumer(&["consumer.retries=0", "consumer.loadbalance=random"])?;
    let client = fleet.client(&consumer).await?;
    let load = Load::start(&client, Calls::Writes(10), 1000);
    pass(seconds(quick, 3, 6)).await;
    let seen = load.stop().await?;
    none_failed(report, "writes", &seen);
    let resent = consumer.resends();
    report.note("refused calls that were sent elsewhere", &resent.to_string(), resent > 0);
    none_repeated(report, fleet.folder())
}

async fn silent_newcomers(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let mut fleet = Fleet::start(1, &[]).await?;
    let consumer = fleet.consumer(&["consumer.retries=0"])?;
    let client = fleet.client(&consumer).await?;
    client.read(fresh_id(), 0).await?;
    let mut proxies = Vec::new();
    for number in 0..20 {
        let (proxy, target) = Proxy::start().await?;
        proxy.set(if number % 2 == 0 { Fault::HalfOpen } else { Fault::Reset });
        let advertise = format!("provider.advertise={}", proxy.address());
        let silent = fleet.provider(&format!("silent{number}"), &[&advertise]).await?;
        target.send_replace(silent.address.clone());
        fleet.providers.push(silent);
        proxies.push((proxy, target));
    }
    let client = fleet.client(&consumer).await?;
    let reads = Load::start(&client, Calls::Reads(1), 500);
    let writes = Load::start(&client, Calls::Writes(1), 500);
    pass(seconds(quick, 4, 10)).await;
    let (reads, writes) = (reads.stop().await?, writes.stop().await?);
    none_failed(report, "reads", &reads);
    none_failed(report, "writes", &writes);
    none_repeated(report, fleet.folder())
}

/// What the network in front of one of three providers does, and its name.
const FAULTS: [(&str, Fault); 5] = [
    ("refuse", Fault::Refuse),
    ("reset", Fault::Reset),
    ("half-open", Fault::HalfOpen),
    ("slow (200 ms)", Fault::Slow(Duration::from_millis(200))),
    ("swallows answers", Fault::SwallowAnswers),
];

async fn network(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let mut fleet = Fleet::start(2, &[]).await?;
    let (proxy, target) = Proxy::start().await?;
    let advertise = format!("provider.advertise={}", proxy.address());
    let behind = fleet.provider("behind", &[&advertise]).await?;
    target.send_replace(behind.address.clone());
    fleet.providers.push(behind);
    for (name, fault) in FAULTS {
        one_fault(report, &fleet, &proxy, name, fault, quick).await?;
    }
    none_repeated(report, fleet.folder())
}

async fn one_fault(
    report: &mut Report,
    fleet: &Fleet,
    proxy: &Proxy,
    name: &str,
    fault: Fault,
    quick: bool,
) -> Result<(), BoxError> {
    proxy.set(Fault::None);
    let settings = ["consumer.heartbeat=1s", "consumer.heartbeat_timeout=1s"];
    let consumer = fleet.consumer(&settings)?;
    let client = fleet.client(&consumer).await?;
    let reads = Load::start(&client, Calls::Reads(2), 500);
    let writes = Load::start(&client, Calls::Writes(2), 500);
    pass(seconds(quick, 1, 3)).await;
    let begun = writes.now();
    proxy.set(fault);
    pass(seconds(quick, 4, 8)).await;
    let still = is_complete(&consumer, fleet.providers.len());
    proxy.set(Fault::None);
    let (reads, writes) = (reads.stop().await?, writes.stop().await?);
    // What hangs on the lost one is answered by another halfway.
    none_failed(report, &format!("{name}: reads"), &reads);
    let settled = writes.between(begun + Duration::from_millis(2500), Duration::MAX);
    let share = settled.failed().count() as f64 / settled.len().max(1) as f64;
    report.at_most(&format!("{name}: share of failed writes from 2.5 s on"), share, 0.005);
    let unclear = writes.reasons().filter(|failure| {
        !matches!(failure.code, dubhe::Code::Unavailable | dubhe::Code::DeadlineExceeded)
    });
    report.at_most(&format!("{name}: failures of another kind"), unclear.count(), 0);
    report.note(&format!("{name}: the list was left alone"), &still.to_string(), still);
    Ok(())
}
