//! Providers that are cut off from the registry, and from nobody else.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::super::{none_failed, pass, seconds};
use super::network::{by_way, can_cut, cut};
use super::scene::{Scene, addresses};
use super::server::Server;
use crate::BoxError;
use crate::report::Report;

/// The share of the calls that one of three has to have at least while it is there.
const ITS_SHARE: f64 = 0.1;

/// `count` providers, those of some numbers by a way that can be cut off; `None`, which is told, where there is none.
async fn start<'a>(
    report: &mut Report,
    server: &'a mut Server,
    count: usize,
    is_cut: impl Fn(usize) -> bool,
) -> Result<Option<Scene<'a>>, BoxError> {
    if !can_cut(report) {
        return Ok(None);
    }
    let kind = server.kind;
    let by = |number: usize, url: String| if is_cut(number) { by_way(kind, &url) } else { url };
    Scene::start(server, count, by).await.map(Some)
}

/// One of three providers is cut off for longer than its session lasts. Consumers reach it all the time, and call
/// it as long as it is listed.
pub(super) async fn cut_off(
    report: &mut Report,
    server: &mut Server,
    quick: bool,
) -> Result<(), BoxError> {
    let Some(scene) = start(report, server, 3, |number| number == 2).await? else { return Ok(()) };
    let kind = scene.server.kind;
    let silent = scene.now();
    cut(kind, true)?;
    let listed: BTreeSet<_> = addresses(&scene.providers[..2]);
    let gone = scene.observer.becomes(&listed, scene.server.session() * 2).await;
    // Not only has it been silent for so long: its session is over.
    report.note("it is off the list", &format!("{gone:?}"), gone.is_ok());
    let off = scene.now();
    pass(Duration::from_secs(3)).await;
    cut(kind, false)?;
    scene.settles(report, Instant::now()).await?;
    let back = scene.now();
    scene.stays(report, "for a minute after that", seconds(quick, 10, 60)).await;
    let (name, end) = (scene.providers[2].name.clone(), scene.now());
    let seen = scene.judged(report).await?;
    none_failed(report, "writes while it was cut off", &seen.between(silent, back));
    for (when, from, to) in
        [("until its session was over", silent, off), ("since it is back", back, end)]
    {
        let share = seen.between(from, to).share_of(&name);
        report.at_least(&format!("its share of the answers {when}"), share, ITS_SHARE);
    }
    Ok(())
}

/// The registry loses sight of half of eight providers, and keeps them.
pub(super) async fn half_lost(report: &mut Report, server: &mut Server) -> Result<(), BoxError> {
    let is_cut = |number: usize| number.is_multiple_of(2);
    let Some(scene) = start(report, server, 8, is_cut).await? else { return Ok(()) };
    let kind = scene.server.kind;
    let begun = Instant::now();
    cut(kind, true)?;
    let lease = scene.server.session();
    let told = scene.server.says("preserving true", lease * 2).await?;
    report.note("it says that it keeps the silent", &told.to_string(), told);
    // The lease, and a sweep each second from then on.
    report.at_most("until it did", begun.elapsed(), lease + Duration::from_secs(2));
    pass(lease).await;
    // A sweep may take 15 %, one of eight, before it sees how many are silent.
    scene.shortest(report, "meanwhile", 7);
    cut(kind, false)?;
    scene.settles(report, Instant::now()).await?;
    let over = scene.server.says("preserving false", lease).await?;
    report.note("it says that this is over", &over.to_string(), over);
    scene.end(report).await
}
