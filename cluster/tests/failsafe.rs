//! `failsafe`: whatever goes wrong on the way, the caller gets an answer; what went well passes.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use dubhe_cluster::policy::Failsafe;
use rpc_core::status::Details;
use rpc_core::{Body, Code, Invocation, Method, MethodKind, Status};
use support::*;

#[tokio::test(start_paused = true)]
async fn failsafe_answers_in_place_of_every_failure_after_one_attempt() {
    let answers = [
        maybe_sent(),
        not_sent(),
        Answer::Hang,
        Answer::Fail(Status::internal("a panic")),
        Answer::Fail(Status::not_found("no such item")),
    ];
    for answer in answers {
        let fleet = Fleet::of(&["a:1", "b:1"]);
        fleet.mock("a:1").answer(answer.clone());
        fleet.mock("b:1").answer(answer);
        for idempotent in [true, false] {
            let before = fleet.net.total();
            let call = call_of(idempotent, Duration::from_secs(1));
            assert!(is_fallback(&fleet.cluster(Failsafe).invoke(call).await.unwrap()));
            assert_eq!(fleet.net.total() - before, 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failsafe_answers_even_when_there_is_no_provider() {
    let fleet = Fleet::of(&[]);
    assert!(is_fallback(&fleet.cluster(Failsafe).invoke(call()).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn failsafe_passes_replies_and_typed_business_errors() {
    let fleet = Fleet::of(&["a:1"]);
    let cluster = fleet.cluster(Failsafe);
    assert!(!is_fallback(&cluster.invoke(call()).await.unwrap()));
    let details = Details { type_name: "shop.SoldOut".into(), body: Body::typed(Nothing) };
    let sold_out = Status::failed_precondition("sold out").with_details(details);
    fleet.mock("a:1").answer(Answer::Fail(sold_out));
    let status = cluster.invoke(call()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "sold out"));
}

#[tokio::test(start_paused = true)]
async fn without_anything_to_answer_the_failure_is_told() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    let bare = Method::new(service(), "reserve", MethodKind::Unary, true);
    let call = Invocation::new(bare.into(), Body::typed(Nothing), call().deadline);
    let status = fleet.cluster(Failsafe).invoke(call).await.unwrap_err();
    assert_eq!(status.call(), Some("shop.Inventory/reserve"));
}
