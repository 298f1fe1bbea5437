//! `available`: the first that can be called, and who comes after it.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use dubhe_cluster::RetryBudget;
use dubhe_cluster::policy::Available;
use rpc_core::{ChannelState, Delivery, Status};
use support::*;
use tokio::time::Instant;

const ADDRESSES: [&str; 3] = ["a:1", "b:1", "c:1"];

#[tokio::test(start_paused = true)]
async fn the_first_address_gets_every_call() {
    let fleet = Fleet::of(&ADDRESSES);
    let cluster = fleet.cluster(Available);
    for _ in 0..20 {
        cluster.invoke(call()).await.unwrap();
    }
    assert_eq!(fleet.net.counts()["a:1"], 20);
}

#[tokio::test(start_paused = true)]
async fn a_first_one_that_was_never_used_takes_over_and_one_that_connects_does_not() {
    let fleet = Fleet::of(&ADDRESSES);
    let cluster = fleet.cluster(Available);
    fleet.mock("a:1").set_state(ChannelState::Idle);
    cluster.invoke(call()).await.unwrap();
    assert_eq!((fleet.mock("a:1").calls(), fleet.mock("b:1").calls()), (1, 0));
    fleet.mock("a:1").set_state(ChannelState::Connecting);
    cluster.invoke(call()).await.unwrap();
    assert_eq!((fleet.mock("a:1").calls(), fleet.mock("b:1").calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn while_the_first_is_down_the_next_serves() {
    let fleet = Fleet::of(&ADDRESSES);
    let cluster = fleet.cluster(Available);
    fleet.mock("a:1").set_state(ChannelState::Down);
    cluster.invoke(call()).await.unwrap();
    fleet.mock("a:1").set_state(ChannelState::Ready);
    cluster.invoke(call()).await.unwrap();
    assert_eq!((fleet.mock("a:1").calls(), fleet.mock("b:1").calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_did_not_reach_its_provider_goes_to_the_next() {
    let fleet = Fleet::of(&ADDRESSES);
    fleet.mock("a:1").answer(not_sent());
    fleet.mock("b:1").answer(not_sent());
    fleet.cluster(Available).invoke(write()).await.unwrap();
    assert_eq!((fleet.net.total(), fleet.budget.resends()), (3, 2));
    fleet.mock("c:1").answer(not_sent());
    let status = fleet.cluster(Available).invoke(write()).await.unwrap_err();
    assert_eq!((fleet.net.total(), status.attempts().len()), (6, 3), "each once");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_have_run_goes_nowhere_else() {
    let fleet = Fleet::of(&ADDRESSES);
    fleet.mock("a:1").answer(maybe_sent());
    for call in [call(), write()] {
        let before = fleet.net.total();
        let status = fleet.cluster(Available).invoke(call).await.unwrap_err();
        assert_eq!((fleet.net.total() - before, status.delivery()), (1, Delivery::MaybeSent));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_over_goes_nowhere_else_and_tells_what_it_met() {
    let fleet = Fleet::of(&ADDRESSES);
    let refused = Status::unavailable("connection refused").with_delivery(Delivery::NotSent);
    fleet.mock("a:1").answer(Answer::FailAfter(Duration::from_secs(1), refused));
    let status = fleet.cluster(Available).invoke(call()).await.unwrap_err();
    assert_eq!((status.message(), status.attempts().len()), ("connection refused", 1));
    assert_eq!(fleet.budget.resends(), 0);
}

#[tokio::test(start_paused = true)]
async fn however_many_there_are_a_call_tries_64_and_is_one_call() {
    let addresses: Vec<String> = (0..100).map(|host| format!("p{host:02}:1")).collect();
    let mut fleet = Fleet::of(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    fleet.budget = RetryBudget::new(100, 0).into();
    addresses.iter().for_each(|address| fleet.mock(address).answer(not_sent()));
    fleet.cluster(Available).invoke(call()).await.unwrap_err();
    assert_eq!((fleet.net.total(), fleet.budget.resends()), (64, 63));
    assert_eq!(fleet.budget.available(Instant::now()), 1);
}
