//! The registry dies: consumers that have a list go on, those that have none use the one on disk.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::{Check, none_failed, none_repeated, pass, seconds};
use crate::BoxError;
use crate::api::{Store, StoreClient};
use crate::fleet::{self, Fleet, is_complete};
use crate::load::{Calls, Load};
use crate::report::Report;

pub(super) const KILLED: Check = Check {
    name: "registry-killed",
    what: "the registry is killed under load, and again, and comes back",
    run: |report, quick| Box::pin(killed(report, quick)),
};

pub(super) const COLD_START: Check = Check {
    name: "cold-start",
    what: "a consumer starts while the registry is dead",
    run: |report, quick| Box::pin(cold_start(report, quick)),
};

async fn killed(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let mut fleet = Fleet::start(3, &[]).await?;
    let consumer = fleet.consumer(&["consumer.retries=0"])?;
    let client = fleet.client(&consumer).await?;
    let load = Load::start(&client, Calls::Writes(2), 1000);
    pass(seconds(true, 1, 1)).await;
    for _ in 0..if quick { 2 } else { 6 } {
        fleet.restart_registry().await?;
        pass(Duration::from_millis(700)).await;
    }
    fleet.registry.kill().await?;
    pass(seconds(quick, 6, 60)).await;
    fleet.revive_registry().await?;
    let back = Instant::now();
    let newcomer = fleet.consumer(&[])?;
    let read = newcomer.client::<StoreClient>().await?.read(0, 0).await;
    let figure = match &read {
        Ok(who) => format!("answered by {who} after {:?}", back.elapsed()),
        Err(status) => status.to_string(),
    };
    report.note("a newcomer finds a provider by what the killed one kept", &figure, read.is_ok());
    while !is_complete(&consumer, 3) && back.elapsed() < Duration::from_secs(30) {
        pass(Duration::from_millis(20)).await;
    }
    // The new registry withholds its list for up to 3 s, and a backoff comes before.
    pass(seconds(true, 5, 5)).await;
    let seen = load.stop().await?;
    none_failed(report, "writes", &seen);
    let complete = is_complete(&consumer, 3);
    report.note("the list is the live set again", &complete.to_string(), complete);
    none_repeated(report, &fleet)
}

async fn cold_start(report: &mut Report, _: bool) -> Result<(), BoxError> {
    let mut fleet = Fleet::start(3, &[]).await?;
    let cache = fleet.folder().join("cache");
    let setting = format!("registry.cache_dir={}", cache.to_str().ok_or("not UTF-8")?);
    let settings = [setting.as_str(), "registry.cache=true"];
    let first = fleet.consumer(&settings)?;
    fleet.client(&first).await?.read(1, 0).await?;
    let kept = Instant::now();
    while !has_list(&cache) && kept.elapsed() < Duration::from_secs(20) {
        pass(Duration::from_millis(5)).await;
    }
    drop(first);
    fleet.registry.kill().await?;
    let begun = Instant::now();
    let second = fleet.consumer(&settings)?;
    let client: StoreClient = second.client().await?;
    let answered = client.read(2, 0).await;
    let figure = match &answered {
        Ok(who) => format!("answered by {who}"),
        Err(status) => status.to_string(),
    };
    report.note("the first call, from the list on disk", &figure, answered.is_ok());
    report.at_most("until it was answered", begun.elapsed(), Duration::from_secs(2));
    let third = fleet::consumer(&fleet.url(), &[])?;
    let begun = Instant::now();
    let client: StoreClient = third.client().await?;
    let failed = client.read(3, 0).await.err().map_or(String::new(), |status| status.to_string());
    let named = failed.contains(&fleet.registry.address);
    report.note("without a cache the error names the registry", &failed, named);
    report.at_most("until that was told", begun.elapsed(), Duration::from_millis(2500));
    fleet.revive_registry().await?;
    let mut healed = false;
    let begun = Instant::now();
    while !healed && begun.elapsed() < Duration::from_secs(15) {
        healed = client.read(4, 0).await.is_ok();
    }
    report.note("it heals by itself", &format!("after {:?}", begun.elapsed()), healed);
    Ok(())
}

/// Whether a list is on the disk: it is written after calls can be made by it.
fn has_list(cache: &Path) -> bool {
    let files = std::fs::read_dir(cache).into_iter().flatten().flatten();
    files.map(|file| file.path()).any(|path| path.extension().is_some_and(|end| end == "list"))
}
