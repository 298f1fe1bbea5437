//! What happens when the list comes late, empties, or is replaced, and when attempts end otherwise
//! than by an answer.

mod support;

use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use dubhe_cluster::load_balance::{ConsistentHash, ConsistentHashConfig, LoadBalance, Random};
use dubhe_cluster::policy::{Available, Failfast, Failover};
use dubhe_cluster::{Candidates, Directory};
use rpc_core::{ChannelState, Code, Delivery, Invocation, Latest, Snapshot, Source, Status};
use support::*;
use tokio::time::{Instant, advance, sleep};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_call_that_is_woken_in_vain_waits_on_for_a_silent_registry() {
    let fleet = Fleet::pending();
    let cluster = fleet.cluster(Failover::new(2));
    let (outcome, ()) = tokio::join!(cluster.invoke(call()), async {
        sleep(600 * MS).await;
        sleep(100 * MS).await;
        fleet.push(snapshot(&["a:1"])).await;
    });
    outcome.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_answers_late_is_held_against_no_provider() {
    for (a, b) in [(50, 5), (5, 50)] {
        let fleet = Fleet::pending();
        for (address, millis) in [("a:1", a), ("b:1", b)] {
            fleet.mock(address).answer(Answer::After(millis * MS));
        }
        let push = fleet.push.clone();
        tokio::spawn(async move {
            sleep(600 * MS).await;
            push.send(snapshot(&["a:1", "b:1"]));
        });
        fleet.cluster(Failover::new(2)).invoke(call()).await.unwrap();
        assert_eq!(fleet.net.total(), 1, "a copy that nobody needs");
        for endpoint in fleet.directory.endpoints() {
            assert_eq!(endpoint.health().failures, 0, "{endpoint:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_polled_too_late_is_not_sent() {
    let fleet = Fleet::pending();
    let mut calling = fleet.cluster(Failfast).invoke(write());
    poll_fn(|cx| Poll::Ready(calling.as_mut().poll(cx).is_ready())).await;
    sleep(1500 * MS).await;
    fleet.push(snapshot(&["a:1"])).await;
    let status = calling.await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::DeadlineExceeded, Delivery::NotSent));
    assert_eq!(fleet.mock("a:1").calls(), 0);
}

/// Selects once the list has become empty behind its back.
#[derive(Debug, Default)]
struct Slow(OnceLock<(Arc<Directory>, Net, Latest<Snapshot>)>);

impl LoadBalance for Slow {
    fn select(&self, candidates: &Candidates, _: &Invocation, _: Instant) -> usize {
        let Some((directory, net, push)) = self.0.get() else { return 0 };
        for endpoint in candidates.endpoints() {
            net.mock(endpoint.address()).set_state(ChannelState::Down);
        }
        // From a thread of its own, so that the directory's task wakes on the other worker.
        let push = push.clone();
        std::thread::spawn(move || push.send(Snapshot::new(Vec::new(), Source::Live)));
        while !directory.endpoints().is_empty() {
            std::thread::yield_now();
        }
        0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_empties_while_an_endpoint_is_selected_is_no_panic() {
    let names: Vec<String> = (0..65).map(|number| format!("10.0.0.{number}:1")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (fleet, slow) = (Fleet::of(&names), Arc::new(Slow::default()));
    let parts = (fleet.directory.clone(), fleet.net.clone(), fleet.push.clone());
    slow.0.set(parts).unwrap();
    let cluster = fleet.build(Arc::new(Failfast), slow, Default::default());
    let outcome = tokio::spawn(async move { cluster.invoke(write()).await }).await.unwrap();
    assert_eq!(outcome.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn keys_are_spread_over_a_list_that_has_replaced_the_last_one_whole() {
    let names = |net: &str| -> Vec<String> {
        (0..2000).map(|number| format!("{net}.{}.{}:20880", number / 250, number % 250)).collect()
    };
    let net = Net::default();
    let [old, new] = ["10.0", "10.9"].map(|prefix| {
        let names = names(prefix);
        candidates_at(&net, &names.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let balancer = ConsistentHash::new(ConsistentHashConfig::default()).unwrap();
    balancer.select(&old, &keyed(1), Instant::now());
    // The ring of the new list is made on a thread that has not begun: this one does not yield.
    let owners: Vec<usize> =
        (0..100).map(|key| balancer.select(&new, &keyed(key), Instant::now())).collect();
    let mut others = owners.clone();
    others.sort_unstable();
    others.dedup();
    assert!(others.len() > 50, "{owners:?}");
}

/// Two providers, of which this one is asked first by [`Failover`] and hangs or is slow.
fn first_of_two(first: Answer, other: &Status) -> Fleet {
    let dry = Fleet::of(&["a:1", "b:1"]);
    drop(dry.cluster(Failover::new(0)).invoke(call()));
    let fleet = Fleet::of(&["a:1", "b:1"]);
    for address in ["a:1", "b:1"] {
        let is_first = dry.mock(address).calls() == 1;
        let answer = if is_first { first.clone() } else { Answer::Fail(other.clone()) };
        fleet.mock(address).answer(answer);
    }
    fleet
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_nobody_answers_does_not_end_the_call() {
    for (code, delivery) in
        [(Code::Internal, Delivery::NotSent), (Code::PermissionDenied, Delivery::Refused)]
    {
        let failure = Status::new(code, "not for this one").with_delivery(delivery);
        let fleet = first_of_two(Answer::After(600 * MS), &failure);
        fleet.cluster(Failover::default()).invoke(call()).await.unwrap();
        let failures = fleet.directory.endpoints().iter().map(|e| e.health().failures).sum::<u64>();
        assert_eq!(failures, 0, "{code:?}");
        let fleet = first_of_two(Answer::Hang, &failure);
        let status = fleet.cluster(Failover::default()).invoke(call()).await.unwrap_err();
        assert_eq!(status.delivery(), Delivery::MaybeSent, "the first may have run: {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_the_handlers_own_is_not_said_to_be_ours() {
    let fleet = Fleet::of(&["a:1"]);
    let slow = Status::deadline_exceeded("the database was slow");
    fleet.mock("a:1").answer(Answer::Fail(slow.with_delivery(Delivery::Answered)));
    let status = fleet.cluster(Failover::default()).invoke(call()).await.unwrap_err();
    assert_eq!(status.hint(), None, "{status}");
}

#[tokio::test(start_paused = true)]
async fn available_calls_nobody_who_is_known_to_be_down_also_of_many() {
    let names: Vec<String> = (0..100).map(|number| format!("10.0.0.{number:03}:1")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fleet = Fleet::of(&names);
    let random = Arc::new(Random::new(Some(1)));
    let cluster = fleet.build(Arc::new(Available), random, Default::default());
    cluster.invoke(write()).await.unwrap();
    // Another change, so that the list is made anew now.
    fleet.mock(names[60]).set_state(ChannelState::Connecting);
    advance(MS).await;
    cluster.invoke(write()).await.unwrap();
    fleet.mock(names[0]).set_state(ChannelState::Down);
    cluster.invoke(write()).await.unwrap();
    assert_eq!(fleet.mock(names[0]).calls(), 2);
}
