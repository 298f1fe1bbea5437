//! One entry changes all the time while the registry is restarted and connections break: whoever follows it sees the changes in
//! their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::super::pass;
use super::hand::{FIRST, ORDERED};
use super::network::{by_way, can_cut, reset};
use super::scene::Observer;
use super::server::Server;
use crate::BoxError;
use crate::report::Report;

const WATCHERS: usize = 8;

/// In so many parts the changes are divided: after every second one the registry is restarted, which makes
/// three restarts, and after the others half of the watchers lose their connections.
const PARTS: u64 = 8;

/// How long one change may find no server.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn order(
    report: &mut Report,
    server: &mut Server,
    quick: bool,
) -> Result<(), BoxError> {
    let changes = if quick { 1000 } else { 10_000 };
    let written = Arc::<AtomicU64>::default();
    let (mut hand, noted) = (server.hand(), written.clone());
    let writing = tokio::task::spawn_blocking(move || {
        for version in 1..=changes {
            let begun = Instant::now();
            while let Err(error) = hand.list_version(version) {
                if begun.elapsed() > PATIENCE {
                    return Err(format!("version {version}: {error}"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            noted.store(version, Ordering::Release);
        }
        // What it has registered may end with it.
        Ok(hand)
    });
    let (url, kind, can_break) = (server.url(), server.kind, can_cut(report));
    let watchers = (0..WATCHERS).map(|number| {
        let is_broken = can_break && number % 2 == 1;
        let url = if is_broken { by_way(kind, &url) } else { url.clone() };
        async move { Observer::of(&url, ORDERED).await }
    });
    let watchers = try_join_all(watchers).await?;
    for part in 1..PARTS {
        while written.load(Ordering::Acquire) < changes * part / PARTS && !writing.is_finished() {
            pass(Duration::from_millis(5)).await;
        }
        if part.is_multiple_of(2) {
            server.kill().await?;
            server.revive().await?;
        } else if can_break {
            reset(kind).await?;
        }
    }
    let hand = writing.await??;
    let ended = Instant::now();
    let is_last = |watcher: &Observer| watcher.order().0 == FIRST + changes;
    while !watchers.iter().all(is_last) && ended.elapsed() < Duration::from_secs(60) {
        pass(Duration::from_millis(5)).await;
    }
    let took = ended.elapsed();
    drop(hand);
    report.at_least("changes, and as many versions", written.load(Ordering::Acquire), changes);
    let equal = watchers.iter().filter(|watcher| is_last(watcher)).count();
    report.at_least("watchers that end with the last", equal, WATCHERS);
    report.at_most("until they did", took, Duration::from_secs(5));
    let back: usize = watchers.iter().map(|watcher| watcher.order().1).sum();
    report.at_most("lists that went back", back, 0);
    let lists: usize = watchers.iter().map(|watcher| watcher.order().2).sum();
    report.at_least("lists that were seen", lists, WATCHERS * 10);
    Ok(())
}
