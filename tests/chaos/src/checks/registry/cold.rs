//! A consumer starts while its registry is dead.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::super::pass;
use super::scene;
use super::server::Server;
use crate::BoxError;
use crate::api::{Store, StoreClient};
use crate::fleet;
use crate::load::fresh_id;
use crate::report::Report;

/// With a list on the disk it is served at once, without it is told why not, and served later.
pub(super) async fn cold_start(report: &mut Report, server: &mut Server) -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    let url = server.url();
    scene::emptied(&url).await?;
    let mut provider = scene::provider(&url, &folder, "p0").await?;
    let setting = format!("registry.cache_dir={}", cache.to_str().ok_or("not UTF-8")?);
    let settings = [setting.as_str(), "registry.cache=true"];
    let first = fleet::consumer(&url, &settings)?;
    fleet::client(&first, 1).await?.read(fresh_id(), 0).await?;
    let kept = Instant::now();
    while !has_list(&cache) && kept.elapsed() < Duration::from_secs(20) {
        pass(Duration::from_millis(5)).await;
    }
    drop(first);
    server.kill().await?;
    let begun = Instant::now();
    let second = fleet::consumer(&url, &settings)?;
    let client: StoreClient = second.client().await?;
    let answered = client.read(fresh_id(), 0).await;
    let figure = format!("{answered:?}");
    report.note("the first call, from the list on disk", &figure, answered.is_ok());
    report.at_most("until it was answered", begun.elapsed(), Duration::from_secs(2));
    let third = fleet::consumer(&url, &[])?;
    let begun = Instant::now();
    let client: StoreClient = third.client().await?;
    let failed = client.read(fresh_id(), 0).await.err();
    let failed = failed.map_or(String::new(), |status| status.to_string());
    // Its address without parameters: those of a session are nobody's concern.
    let named = failed.contains(url.split('?').next().unwrap_or_default());
    report.note("without a cache the error names the registry", &failed, named);
    report.at_most("until that was told", begun.elapsed(), Duration::from_millis(2500));
    server.revive().await?;
    let mut healed = false;
    let begun = Instant::now();
    while !healed && begun.elapsed() < Duration::from_secs(30) {
        healed = client.read(fresh_id(), 0).await.is_ok();
    }
    report.note("it heals by itself", &healed.to_string(), healed);
    report.at_most("until it has", begun.elapsed(), Duration::from_secs(10));
    provider.terminate().await?;
    Ok(())
}

/// Whether a list is on the disk: it is written after calls can be made by it.
fn has_list(cache: &Path) -> bool {
    let files = std::fs::read_dir(cache).into_iter().flatten().flatten();
    files.map(|file| file.path()).any(|path| path.extension().is_some_and(|end| end == "list"))
}
