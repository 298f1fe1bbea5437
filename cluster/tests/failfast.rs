//! `failfast`: one attempt, and the caller learns that the policy decided that.

mod support;

use dubhe_cluster::policy::Failfast;
use rpc_core::{Delivery, Status};
use support::*;

#[tokio::test(start_paused = true)]
async fn failfast_passes_a_reply_through() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.cluster(Failfast).invoke(call()).await.unwrap();
    assert_eq!(fleet.net.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn failfast_sends_nothing_again_even_if_it_never_left() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(not_sent());
    fleet.mock("b:1").answer(not_sent());
    let cluster = fleet.cluster(Failfast);
    let status = cluster.invoke(call()).await.unwrap_err();
    assert_eq!(fleet.net.total(), 1);
    assert_eq!(status.delivery(), Delivery::NotSent);
    assert_eq!(status.hint(), Some("cluster = failfast"));
    assert_eq!(status.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn failfast_leaves_a_business_error_as_it_is() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(Answer::Fail(Status::not_found("no such item")));
    let status = fleet.cluster(Failfast).invoke(call()).await.unwrap_err();
    assert_eq!(status.message(), "no such item");
    assert!(status.hint().is_none() && status.attempts().is_empty());
}
