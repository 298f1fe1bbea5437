//! What every registry gets from `supervise`, with a backend that fails on command, on paused time.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use dubhe_registry::{RegistryParams, Session as _};
use rpc_core::{Instance, Source};
use tokio::time::{Instant, sleep, timeout};
use world::flaky::{Flaky, SERVICE};
use world::log::{listen, logged};
use world::{instance, key, shows};

/// What comes within ten minutes; on paused time, what never comes would be waited for without end.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(600), future).await.expect("nothing came of it")
}

#[tokio::test(start_paused = true)]
async fn a_list_that_missed_its_push_is_repaired_within_a_reconcile() {
    let (flaky, registry) = Flaky::new(true);
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &[]).await;
    flaky.register(&instance(SERVICE, "a:1")).await.unwrap();
    let began = Instant::now();
    soon(list.next()).await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(36), "{:?}", began.elapsed());
    assert_eq!(list.latest().instances.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bad_instance_of_any_backend_costs_no_other() {
    let (flaky, registry) = Flaky::new(true);
    let long = format!("{}:1", "a".repeat(600));
    for address in ["a:1", "b:1", "nowhere", "c\u{1b}[2J:1", &long] {
        flaky.register(&instance(SERVICE, address)).await.unwrap();
    }
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1", "b:1"]).await;
    assert_eq!(registry.list(&key(SERVICE)).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_of_a_list_that_does_not_change_is_told_again() {
    listen();
    let (flaky, registry) = Flaky::new(true);
    flaky.register(&instance(SERVICE, "at-no-port")).await.unwrap();
    let list = registry.subscribe(&key(SERVICE)).await.unwrap();
    let told = || logged(&["unusable instances are left out", "`at-no-port`"]);
    sleep(Duration::from_secs(599)).await;
    assert_eq!(told(), 1);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(told(), 2);
    drop(list);
}

#[tokio::test(start_paused = true)]
async fn each_session_counts_its_revisions_for_itself() {
    let (flaky, registry) = Flaky::new(true);
    flaky.register(&instance(SERVICE, "a:1")).await.unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    let revision = flaky.0.revision.load(Ordering::SeqCst);
    let mut trouble = list.watch_trouble();
    flaky.0.is_up.send_replace(false);
    soon(trouble.wait_for(Option::is_some)).await.unwrap();
    flaky.register(&instance(SERVICE, "b:1")).await.unwrap();
    flaky.0.revision.store(revision, Ordering::SeqCst);
    flaky.0.is_up.send_replace(true);
    soon(list.next()).await.unwrap();
    assert_eq!(list.latest().instances.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_vanished_is_made_again_within_a_reconcile() {
    let (flaky, registry) = Flaky::new(true);
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    assert!(guard.is_registered());
    flaky.forget();
    sleep(Duration::from_secs(37)).await;
    assert_eq!(flaky.listed(), ["a:1"]);
}

#[tokio::test(start_paused = true)]
async fn the_newest_content_is_registered_again_after_a_loss() {
    let (flaky, registry) = Flaky::new(true);
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    flaky.0.is_up.send_replace(false);
    soon(guard.watch().wait_for(|is| !is)).await.unwrap();
    flaky.forget();
    guard.update(Instance { weight: 7, ..instance(SERVICE, "a:1") }).unwrap();
    sleep(Duration::from_secs(600)).await;
    flaky.0.is_up.send_replace(true);
    let back = Instant::now();
    soon(guard.watch().wait_for(|is| *is)).await.unwrap();
    assert!(back.elapsed() <= Duration::from_secs(5), "{:?}", back.elapsed());
    assert_eq!(flaky.0.listed.lock().unwrap()["a:1"].weight, 7);
}

#[tokio::test(start_paused = true)]
async fn a_refused_registration_is_tried_again() {
    let (flaky, registry) = Flaky::new(true);
    flaky.0.refusals.store(3, Ordering::SeqCst);
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    soon(guard.watch().wait_for(|is| *is)).await.unwrap();
    assert_eq!(flaky.0.registers.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_registered_is_tried_as_seldom_as_others_are_checked_and_not_together() {
    let (flaky, registry) = Flaky::new(true);
    let register =
        |address| registry.register(Instance { weight: 0, ..instance(SERVICE, address) });
    let _guards = (register("a:1").await, register("b:1").await);
    sleep(Duration::from_secs(600)).await;
    let pauses = ["a:1", "b:1"].map(|address| flaky.pauses(address));
    // A check comes 10 % to 25 % sooner than after 30 s, and the first of a session at any time from 4 s on; timers count
    // whole milliseconds.
    let (least, most) = (Duration::from_millis(22_499), Duration::from_millis(27_001));
    let first = Duration::from_secs(4);
    for pauses in &pauses {
        assert!((first..=most).contains(&pauses[0]), "{pauses:?}");
        assert!(pauses[1..].iter().all(|pause| (least..=most).contains(pause)), "{pauses:?}");
    }
    assert!(pauses.iter().all(|pauses| pauses.len() >= 20), "{pauses:?}");
    assert_ne!(pauses[0], pauses[1], "many that were refused at once come again at once");
}

#[tokio::test(start_paused = true)]
async fn an_outage_keeps_the_last_list_and_costs_few_attempts() {
    let (flaky, registry) = Flaky::new(true);
    flaky.register(&instance(SERVICE, "a:1")).await.unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    flaky.0.is_up.send_replace(false);
    let before = flaky.0.connects.load(Ordering::SeqCst);
    sleep(Duration::from_secs(600)).await;
    let attempts = flaky.0.connects.load(Ordering::SeqCst) - before;
    assert!((100..250).contains(&attempts), "{attempts} attempts in 10 minutes");
    let latest = list.latest();
    assert_eq!((latest.instances.len(), latest.source), (1, Source::Live));
    flaky.forget();
    flaky.register(&instance(SERVICE, "b:1")).await.unwrap();
    flaky.0.is_up.send_replace(true);
    shows(&mut list, &["b:1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_registry_is_named_with_its_error_for_as_long_as_it_is_lost() {
    let (flaky, registry) = Flaky::new(true);
    flaky.register(&instance(SERVICE, "a:1")).await.unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    assert_eq!((&**list.registry(), list.trouble()), ("flaky://", None));
    let mut trouble = list.watch_trouble();
    let lost_at = Instant::now();
    flaky.0.is_up.send_replace(false);
    sleep(Duration::from_secs(60)).await;
    let lost = list.trouble().unwrap();
    assert_eq!((&*lost.error, lost.since), ("flaky:// is down", lost_at));
    flaky.0.is_up.send_replace(true);
    soon(trouble.wait_for(Option::is_none)).await.unwrap();
    assert_eq!(list.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_die_at_once_are_not_opened_in_a_spin() {
    let (flaky, registry) = Flaky::new(true);
    let _guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let before = flaky.0.connects.load(Ordering::SeqCst);
    for _ in 0..6000 {
        flaky.0.is_up.send_replace(false);
        sleep(Duration::from_millis(5)).await;
        flaky.0.is_up.send_replace(true);
        sleep(Duration::from_millis(5)).await;
    }
    let attempts = flaky.0.connects.load(Ordering::SeqCst) - before;
    assert!(attempts < 60, "{attempts} attempts in a minute");
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_while_nothing_changes() {
    let (flaky, registry) = Flaky::new(true);
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let list = registry.subscribe(&key(SERVICE)).await.unwrap();
    sleep(Duration::from_secs(3600)).await;
    let registers = flaky.0.registers.load(Ordering::SeqCst);
    assert!((100..=152).contains(&registers), "{registers} checks in an hour");
    assert_eq!(flaky.0.watches.load(Ordering::SeqCst), 1);
    assert_eq!(flaky.0.connects.load(Ordering::SeqCst), 1);
    drop((guard, list));
}

#[tokio::test(start_paused = true)]
async fn unregistering_while_the_registry_is_away_says_so() {
    let (flaky, registry) = Flaky::new(true);
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    flaky.0.is_up.send_replace(false);
    soon(guard.watch().wait_for(|is| !is)).await.unwrap();
    assert!(guard.unregister().await.unwrap_err().is_unreachable());
}

#[tokio::test(start_paused = true)]
async fn a_cached_list_is_as_old_as_its_last_confirmation_and_seldom_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = RegistryParams::new("flaky://");
    config.cache_dir = Some(dir.path().to_owned());
    let (flaky, registry) = Flaky::with(true, config);
    flaky.register(&instance(SERVICE, "a:1")).await.unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    let files = || {
        let entries = std::fs::read_dir(dir.path()).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|e| e == "list")).collect::<Vec<_>>()
    };
    // A file that was removed shows when it is written next.
    let mut written = 0;
    for _ in 0..3600 {
        sleep(Duration::from_secs(1)).await;
        for file in files() {
            std::fs::remove_file(file).unwrap();
            written += 1;
        }
    }
    assert!((10..=12).contains(&written), "written {written} times in an hour");
    flaky.0.is_up.send_replace(false);
    sleep(Duration::from_secs(1200)).await;
    assert_eq!(files().len(), 0, "written although nobody confirmed it");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_the_disk_did_not_take_is_written_when_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("lists");
    // No folder can be made where a file is.
    std::fs::write(&folder, "").unwrap();
    let mut config = RegistryParams::new("flaky://");
    config.cache_dir = Some(folder.clone());
    let (flaky, registry) = Flaky::with(true, config);
    flaky.register(&instance(SERVICE, "a:1")).await.unwrap();
    listen();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    sleep(Duration::from_secs(1200)).await;
    assert_eq!(logged(&["list not cached", &folder.display().to_string()]), 1);
    std::fs::remove_file(&folder).unwrap();
    // The list does not change, and the registry has nothing new to say.
    sleep(Duration::from_secs(360)).await;
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_recovers_soon_has_a_list_that_changed_soon() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("lists");
    let mut config = RegistryParams::new("flaky://");
    config.cache_dir = Some(folder.clone());
    let (flaky, registry) = Flaky::with(true, config);
    flaky.register(&instance(SERVICE, "a:1")).await.unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    sleep(Duration::from_secs(1)).await;
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    flaky.register(&instance(SERVICE, "b:1")).await.unwrap();
    sleep(Duration::from_secs(30)).await;
    shows(&mut list, &["a:1", "b:1"]).await;
    std::fs::remove_file(&folder).unwrap();
    // Long before the list is read again.
    sleep(Duration::from_secs(10)).await;
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_at_the_start_is_told_and_who_is_refused_later_is_kept() {
    let (flaky, registry) = Flaky::new(false);
    flaky.0.refuses.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let refused = registry.register(instance(SERVICE, "a:1")).await.unwrap_err();
    assert_eq!((refused.is_refused(), begun.elapsed()), (true, Duration::ZERO));
    assert_eq!(refused.to_string(), "flaky:// wants another token");
    assert!(registry.subscribe(&key(SERVICE)).await.unwrap_err().is_refused());
    flaky.0.is_up.send_replace(true);
    sleep(Duration::from_secs(5)).await;
    assert!(flaky.listed().is_empty(), "what was not taken on is not made good");

    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    flaky.0.is_up.send_replace(false);
    sleep(Duration::from_secs(60)).await;
    assert!(!guard.is_registered());
    assert_eq!(list.latest().instances.len(), 1, "the list stays");
    flaky.0.is_up.send_replace(true);
    sleep(Duration::from_secs(6)).await;
    assert!(guard.is_registered() && list.trouble().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_list_on_disk_is_worth_more_than_a_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = RegistryParams::new("flaky://");
    config.cache_dir = Some(dir.path().to_owned());
    let (_, first) = Flaky::with(true, config.clone());
    let _guard = first.register(instance(SERVICE, "a:1")).await.unwrap();
    let mut list = first.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    // Time stands still until the list is on the disk.
    sleep(Duration::from_secs(1)).await;
    first.shutdown().await;

    let (flaky, second) = Flaky::with(false, config);
    flaky.0.refuses.store(true, Ordering::SeqCst);
    let list = second.subscribe(&key(SERVICE)).await.unwrap();
    assert!(matches!(list.latest().source, Source::Cache { .. }));
    assert_eq!(list.latest().instances.len(), 1);
    assert!(list.trouble().unwrap().error.contains("another token"));
}
