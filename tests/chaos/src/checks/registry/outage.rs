//! The registry dies: for long, again and again, with its data, one of three of it.

use std::time::Duration;

use tokio::time::Instant;

use super::super::{pass, seconds};
use super::scene::{self, Scene};
use super::server::Server;
use crate::BoxError;
use crate::fleet::Member;
use crate::report::Report;

/// The whole of it dies under load and comes back on its data.
pub(super) async fn outage(
    report: &mut Report,
    server: &mut Server,
    quick: bool,
) -> Result<(), BoxError> {
    let scene = Scene::of_three(server).await?;
    let idle = Member::start("idle", &["as-idle", &scene.server.url()]).await?;
    scene.server.kill().await?;
    let (begun, before) = (Instant::now(), idle.cpu()?);
    pass(seconds(quick, 60, 600)).await;
    let (took, used) = (begun.elapsed(), idle.cpu()? - before);
    let share = used.as_secs_f64() / took.as_secs_f64();
    report.at_most("CPU of who only tries to come back, as a share", share, 0.02);
    scene.shortest(report, "meanwhile", 3);
    scene.server.revive().await?;
    scene.settles(report, Instant::now()).await?;
    scene.shortest(report, "until then", 1);
    scene.end(report).await
}

/// It is killed and comes back again and again.
pub(super) async fn restarts(
    report: &mut Report,
    server: &mut Server,
    quick: bool,
) -> Result<(), BoxError> {
    let scene = Scene::of_three(server).await?;
    let (begun, mut rounds) = (Instant::now(), 0);
    let mut last = begun;
    while begun.elapsed() < seconds(quick, 20, 120) {
        pass(Duration::from_secs(5).saturating_sub(last.elapsed())).await;
        scene.server.kill().await?;
        scene.server.revive().await?;
        (last, rounds) = (Instant::now(), rounds + 1);
    }
    report.at_least("restarts", rounds, 1);
    scene.settles(report, last).await?;
    scene.end(report).await
}

/// It comes back without anything of what it knew.
pub(super) async fn emptied(
    report: &mut Report,
    server: &mut Server,
    quick: bool,
) -> Result<(), BoxError> {
    let scene = Scene::of_three(server).await?;
    scene.server.kill().await?;
    scene.server.forget().await?;
    pass(seconds(quick, 1, 3)).await;
    scene.server.revive().await?;
    scene.settles(report, Instant::now()).await?;
    // Of the sessions before it nothing ends later.
    let session = scene.server.session();
    scene.stays(report, "until sessions of before have ended", session).await;
    scene.end(report).await
}

/// One of three dies, the one that leads if that is known; the others are the registry all the same.
pub(super) async fn one_of_three(report: &mut Report, server: &mut Server) -> Result<(), BoxError> {
    let mut scene = Scene::of_three(server).await?;
    scene.server.kill_one().await?;
    scene.settles(report, Instant::now()).await?;
    let url = scene.server.url();
    let late = scene::provider(&url, scene.folder(), "late").await?;
    let came = Instant::now();
    scene.providers.push(late);
    scene.settles(report, came).await?;
    scene.server.revive().await?;
    scene.settles(report, Instant::now()).await?;
    scene.end(report).await
}
