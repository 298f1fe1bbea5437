//! Long lists: they are taken over beside the calls, and no call passes over them.

mod support;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dubhe_cluster::policy::Failfast;
use rpc_core::{ChannelState, Deadline, Snapshot};
use support::*;
use tokio::task::yield_now;
use tokio::time::advance;

const LONG: usize = 10_000;

/// Most instances that may be passed over without a turn for others.
const IN_A_ROW: usize = 256;

fn long() -> Snapshot {
    let names: Vec<String> = (0..LONG).map(|number| format!("n{number:05}:1")).collect();
    snapshot(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Turns until it is so.
async fn turns_until(is_so: impl Fn() -> bool) -> usize {
    let mut turns = 0;
    while !is_so() {
        yield_now().await;
        turns += 1;
        assert!(turns < 100 * LONG, "it never is so");
    }
    turns
}

#[tokio::test(start_paused = true)]
async fn a_long_list_is_taken_over_in_turns_and_the_next_call_finds_it_prepared() {
    let fleet = Fleet::of(&["n00000:1"]);
    let cluster = fleet.cluster(Failfast);
    fleet.push.send(long());
    let turns = turns_until(|| fleet.directory.endpoints().len() == LONG).await;
    // Each is made, warmed, and ranked.
    assert!(turns >= 3 * LONG / IN_A_ROW, "{turns} turns");
    let before = fleet.net.looked();
    cluster.invoke(call()).await.unwrap();
    let looked = fleet.net.looked() - before;
    assert!(looked < 100, "a call looked at {looked} of them");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_one_of_many_is_worked_on_beside_the_calls() {
    let fleet = Fleet::from(long(), dubhe_cluster::DirectoryOptions::default());
    let cluster = fleet.cluster(Failfast);
    cluster.invoke(call()).await.unwrap();
    // As long as changes are gathered.
    advance(Duration::from_micros(LONG as u64 + 1)).await;
    fleet.mock("n00001:1").set_state(ChannelState::Down);
    let before = fleet.net.looked();
    let mut sent = pin!(cluster.invoke(call()));
    let polled = sent.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "it is sent, and waits for its answer");
    let looked = fleet.net.looked() - before;
    assert!(looked < 100, "a call looked at {looked} of them");
    let turns = turns_until(|| fleet.net.looked() - before > LONG as u64).await;
    assert!(turns >= LONG / IN_A_ROW, "{turns} turns");
    sent.await.unwrap();
    assert_eq!(fleet.directory.state().candidates, LONG - 1, "one is left out");
}

#[test]
fn a_list_half_taken_over_when_its_runtime_ends_is_taken_over_in_the_next() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let first = runtime();
    let fleet = first.block_on(async {
        let fleet = Fleet::of(&["n00000:1"]);
        yield_now().await;
        fleet.push.send(long());
        settle().await;
        fleet
    });
    drop(first);
    assert_eq!(fleet.addresses().len(), 1, "it was not half taken over");
    runtime().block_on(async {
        fleet.directory.wait_ready(Deadline::after(Duration::from_secs(1))).await;
        turns_until(|| fleet.directory.endpoints().len() == LONG).await;
    });
}
