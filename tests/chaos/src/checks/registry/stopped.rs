//! The registry stands still, and nodes are removed by hand.

use std::time::Duration;

use tokio::time::Instant;

use super::super::pass;
use super::kind::Kind;
use super::scene::Scene;
use super::server::Server;
use crate::BoxError;
use crate::report::Report;

/// Within this time providers have looked after their own nodes.
const CHECKED: Duration = Duration::from_secs(30);

/// It is stopped for longer than sessions last, and goes on.
pub(super) async fn stopped(report: &mut Report, server: &mut Server) -> Result<(), BoxError> {
    let scene = Scene::of_three(server).await?;
    scene.server.stop().await?;
    // Of ours two leases: it has to see that it was itself that stood still.
    let leases = if scene.server.kind == Kind::Embedded { 2 } else { 1 };
    pass(scene.server.session() * leases).await;
    scene.shortest(report, "meanwhile", 3);
    scene.server.resume().await?;
    let (resumed, serving) = (Instant::now(), scene.server.serving());
    let settled = scene.settles_once(report, || serving.since()).await?;
    report.remark(&format!("lists are right {:?} after it goes on", settled - resumed));
    if scene.server.kind == Kind::Embedded {
        let lease = scene.server.session();
        scene.stays(report, "until a lease later", lease).await;
    }
    scene.end(report).await
}

/// All nodes of providers are removed by hand.
pub(super) async fn deleted(report: &mut Report, server: &mut Server) -> Result<(), BoxError> {
    let scene = Scene::of_three(server).await?;
    let begun = Instant::now();
    scene.server.remove_providers().await?;
    // Lists have to be seen to shrink: what was not removed cannot come back.
    let mut fewest = scene.observer.fewest();
    while fewest == 3 && begun.elapsed() < Duration::from_secs(10) {
        pass(Duration::from_millis(5)).await;
        fewest = scene.observer.fewest();
    }
    report.at_most("shortest list once they were removed", fewest, 2);
    let live = scene.live();
    let back = scene.observer.becomes(&live, CHECKED * 2).await;
    let figure = format!("{back:?}, {:?} after", begun.elapsed());
    report.note("nodes are back", &figure, back.is_ok());
    report.at_most("until they are", begun.elapsed(), CHECKED);
    scene.settles(report, Instant::now()).await?;
    scene.end(report).await
}
