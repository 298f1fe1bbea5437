//! Many consumers lose the same registry at the same moment.

use std::sync::Arc;
use std::time::Duration;

use dubhe::ServiceKey;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::super::pass;
use super::scene;
use super::server::{STORE, Server};
use crate::BoxError;
use crate::report::Report;

/// How many there are; each has a session of its own.
const CONSUMERS: usize = 500;

/// Within this time each has heard how many there are: of the server, or by a look at the others' entries.
const COUNTED: Duration = Duration::from_secs(35);

/// All have to be back within this time,
const BACK: Duration = Duration::from_secs(30);

/// and at most this part of them in any second.
const IN_A_SECOND: usize = CONSUMERS / 4;

/// The registry is killed and comes back; nobody storms it.
pub(super) async fn herd(report: &mut Report, server: &mut Server) -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let url = server.url();
    scene::emptied(&url).await?;
    let mut provider = scene::provider(&url, &folder, "p0").await?;
    let registries: Vec<_> =
        (0..CONSUMERS).map(|_| registry::connect(&url)).collect::<Result<_, _>>()?;
    let store = ServiceKey::new(STORE);
    let lists = join_all(registries.iter().map(|registry| registry.subscribe(&store))).await;
    let lists = lists.into_iter().collect::<Result<Vec<_>, _>>()?;
    let heard = lists.iter().map(|list| {
        let mut trouble = list.watch_trouble();
        async move { trouble.wait_for(Option::is_none).await.is_ok() }
    });
    timeout(BACK, join_all(heard)).await.map_err(|_| "they do not come in")?;
    // Until they have heard how many they are.
    pass(COUNTED).await;
    server.kill().await?;
    let mut watches: Vec<_> = lists.iter().map(|list| list.watch_trouble()).collect();
    for trouble in &mut watches {
        timeout(BACK, trouble.wait_for(Option::is_some)).await??;
    }
    pass(Duration::from_secs(10)).await;
    // A server answers before all that follows its start is done: who is early is not late.
    let began = Arc::new(Instant::now());
    let back = watches.into_iter().map(|mut trouble| {
        let began = began.clone();
        async move {
            trouble.wait_for(Option::is_none).await.ok()?;
            Some(began.elapsed())
        }
    });
    let back = tokio::spawn(timeout(BACK * 4, join_all(back)));
    server.revive().await?;
    let ready = began.elapsed();
    let back = back.await?.map_err(|_| "some never come back")?;
    let mut times: Vec<Duration> = back.into_iter().flatten().collect();
    times.sort_unstable();
    report.at_least("consumers that are back", times.len(), CONSUMERS);
    let last = times.last().copied().unwrap_or_default().saturating_sub(ready);
    report.at_most("until the last is, from when the server is ready", last, BACK);
    let within = |first: &Duration| {
        times
            .iter()
            .filter(|time| *time >= first && **time < *first + Duration::from_secs(1))
            .count()
    };
    let most = times.iter().map(within).max().unwrap_or_default();
    report.at_most("most that come back within any second", most, IN_A_SECOND);
    join_all(registries.iter().map(|registry| registry.shutdown())).await;
    provider.terminate().await?;
    Ok(())
}
