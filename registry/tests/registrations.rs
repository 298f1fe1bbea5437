//! What becomes of registrations where the registry, or a runtime, goes away, with a backend that fails on command.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use world::flaky::{Flaky, SERVICE};
use world::instance;
use world::log::{listen, logged};

/// What comes within ten minutes; on paused time, what never comes would be waited for without end.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(600), future).await.expect("nothing came of it")
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_taken_off_the_list_is_taken_off_later_unless_it_is_wanted_again() {
    let (flaky, registry) = Flaky::new(true);
    let gone = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let back = registry.register(instance(SERVICE, "b:1")).await.unwrap();
    flaky.0.is_up.send_replace(false);
    for registration in [gone, back] {
        registration.unregister().await.unwrap_err();
    }
    let _back = registry.register(instance(SERVICE, "b:1")).await.unwrap();
    assert_eq!(flaky.listed(), ["a:1", "b:1"]);
    assert_eq!(flaky.unregistered(), [""; 0]);
    flaky.0.is_up.send_replace(true);
    soon(async {
        while flaky.listed() != ["b:1"] {
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        (flaky.listed(), flaky.unregistered()),
        (vec!["b:1".to_owned()], vec!["a:1".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_refused_shows_and_its_first_pause_is_short_each_time() {
    let (flaky, registry) = Flaky::new(true);
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let mut registered = guard.watch();
    let mut pauses = Vec::new();
    for refusals in [4, 1] {
        flaky.0.refusals.store(refusals, Ordering::SeqCst);
        soon(registered.wait_for(|is| !is)).await.unwrap();
        let refused = Instant::now();
        soon(registered.wait_for(|is| *is)).await.unwrap();
        pauses.push(refused.elapsed());
    }
    // Timers count whole milliseconds.
    let (four, one) = (Duration::from_millis(700), Duration::from_millis(121));
    assert!(pauses[0] > four && pauses[1] <= one, "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_replaced_is_taken_off_the_list_however_often_that_fails_at_first() {
    let (flaky, registry) = Flaky::new(true);
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    flaky.0.keeps.store(2, Ordering::SeqCst);
    guard.update(instance(SERVICE, "b:1")).unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!((flaky.listed(), guard.is_registered()), (vec!["b:1".to_owned()], true));
}

#[tokio::test(start_paused = true)]
async fn every_new_reason_why_an_instance_is_not_registered_is_told_once() {
    listen();
    let (flaky, registry) = Flaky::new(true);
    let _listed = registry.register(instance(SERVICE, "told:1")).await.unwrap();
    let told = || logged(&["not registered, trying again", "told:1"]);
    for expected in [1, 2] {
        flaky.0.is_up.send_replace(false);
        sleep(Duration::from_secs(10)).await;
        flaky.0.refusals.store(3, Ordering::SeqCst);
        flaky.0.is_up.send_replace(true);
        sleep(Duration::from_secs(60)).await;
        assert_eq!((told(), flaky.0.refusals.load(Ordering::SeqCst)), (expected, 0));
    }
}

#[test]
fn a_registration_outlives_the_runtime_in_which_its_registry_was_first_used() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let (flaky, registry) = Flaky::new(true);
    first.block_on(registry.services()).unwrap();
    let listed = second.block_on(registry.register(instance(SERVICE, "a:1"))).unwrap();
    drop(first);
    flaky.forget();
    second.block_on(async {
        let again = async {
            while flaky.listed().is_empty() {
                tokio::task::yield_now().await
            }
        };
        timeout(Duration::from_secs(20), again).await.expect("it is registered again");
    });
    drop(second);
    assert!(!listed.is_registered());
    let end = runtime().block_on(listed.unregister()).unwrap_err().to_string();
    assert!(end.contains("runtime has ended"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn processes_that_came_together_do_not_check_together() {
    let mut all = Vec::new();
    for _ in 0..40 {
        let (flaky, registry) = Flaky::new(true);
        let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
        all.push((flaky, registry, guard));
    }
    sleep(Duration::from_secs(60)).await;
    let mut first: Vec<_> = all.iter().map(|(flaky, ..)| flaky.pauses("a:1")[0]).collect();
    first.sort();
    let (earliest, latest) = (first[0].as_secs(), first[39].as_secs());
    assert!((4..10).contains(&earliest) && (20..28).contains(&latest), "{first:?}");
}
