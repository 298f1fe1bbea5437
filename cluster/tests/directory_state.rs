//! What a directory tells of itself: where its list comes from, how old it is, whether its registry
//! still confirms it.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::{Directory, DirectoryOptions};
use rpc_core::{ChannelState, Latest, Snapshot, Source, Subscription, Trouble};
use support::*;
use tokio::time::{Instant, advance};

#[tokio::test(start_paused = true)]
async fn a_registry_shut_down_before_its_first_word_ends_the_wait() {
    let Fleet { directory, push, .. } = Fleet::pending();
    drop(push);
    let deadline = rpc_core::Deadline::after(Duration::from_secs(60));
    let started = Instant::now();
    assert!(directory.wait_ready(deadline).await);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_state_tells_source_age_and_counts() {
    let age = Duration::from_secs(60);
    let cached = Snapshot::new(vec![instance("a:1"), instance("b:1")], Source::Cache { age });
    let fleet = Fleet::from(cached, DirectoryOptions::default());
    fleet.mock("b:1").set_state(ChannelState::Draining);
    advance(Duration::from_secs(5)).await;
    let state = fleet.directory.state();
    assert_eq!(state.source, Source::Cache { age });
    assert_eq!(state.age, Duration::from_secs(65));
    assert_eq!((state.endpoints, state.candidates, state.held), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_kept_list_is_told_from_a_live_one_and_the_lost_registry_is_named() {
    let net = Net::default();
    let (push, snapshots) = Latest::channel(snapshot(&["a:1"]));
    let (trouble, troubled) = Latest::channel(None);
    let subscription = Subscription::new(snapshots, ()).of_registry("dubhe://r:1", troubled);
    let options = DirectoryOptions::default();
    let directory = Directory::follow(service(), subscription, Arc::new(net), options);
    assert_eq!(directory.state().to_string(), "live");
    let lost = Trouble::new("connection refused", Instant::now());
    trouble.send(Some(lost));
    advance(Duration::from_secs(12)).await;
    let told = directory.state().to_string();
    assert_eq!(told, "kept (registry lost for 12 s: connection refused)");
    assert_eq!(&*directory.state().registry, "dubhe://r:1");
    let age = Duration::from_secs(60);
    push.send(Snapshot::new(vec![instance("a:1")], Source::Cache { age }));
    settle().await;
    let told = directory.state().to_string();
    assert!(told.starts_with("from cache, age 60 s (registry lost for 12 s: "), "{told}");
    trouble.send(None);
    push.send(snapshot(&["a:1"]));
    settle().await;
    assert_eq!(directory.state().to_string(), "live");
}

#[tokio::test(start_paused = true)]
async fn of_several_registries_those_that_are_lost_are_named() {
    let (net, (_push, snapshots)) = (Net::default(), Latest::channel(snapshot(&[])));
    let (trouble, troubled) = Latest::channel(None);
    let all = "dubhe://a:1 and dubhe://b:1 and dubhe://c:1";
    let subscription = Subscription::new(snapshots, ()).of_registry(all, troubled);
    let options = DirectoryOptions::default();
    let directory = Directory::follow(service(), subscription, Arc::new(net), options);
    let moved = ("dubhe://b:1", "it has moved; dubhe://c:1: see there");
    for (lost, why) in [
        (
            vec![moved],
            "the others of its registries list none, registry dubhe://b:1 is lost (it has moved; \
             dubhe://c:1: see there) and its last list was empty",
        ),
        (
            vec![moved, ("dubhe://c:1", "no answer")],
            "several of its registries are lost (dubhe://b:1: it has moved; dubhe://c:1: see there; \
             dubhe://c:1: no answer) and its last list was empty",
        ),
    ] {
        let of = |(address, error): (&str, &str)| {
            (Arc::from(address), Trouble::new(error, Instant::now()))
        };
        let lost: Vec<(Arc<str>, Trouble)> = lost.into_iter().map(of).collect();
        let lost = lost.iter().map(|(address, trouble)| (address, trouble));
        trouble.send(Trouble::of_several(lost));
        settle().await;
        let told = directory.no_instance().to_string();
        assert!(told.contains(why), "{told}");
    }
}
