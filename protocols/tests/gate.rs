//! The gate of a method around real handlers, on a clock that stands still between events.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use rpc_core::{Code, Delivery, Status};
use support::pool::Provided;
use tokio::task::JoinSet;
use tokio::time::sleep;

#[path = "../examples/gate_chart/draw.rs"]
mod draw;

#[tokio::test(start_paused = true)]
async fn a_handler_answers_on_at_ten_times_its_capacity() {
    let mut provided = Provided::new(false);
    assert!(provided.tells(r#"dubhe_provider_gate_state{service="Test",method="echo"} 0"#));
    provided.offer(0, 1).await;
    let answered = provided.offer(80, 6).await;
    // The first second or two go by before work is known to be futile. Timers have milliseconds.
    assert!(answered[2..].iter().all(|useful| *useful >= 680), "{answered:?}");
    assert!(provided.tells(r#"dubhe_provider_gate_state{service="Test",method="echo"} 2"#));
    assert!(provided.tells(r#"dubhe_provider_gate_trials_total{service="Test",method="echo"} 1"#));
    let refused = provided.refused();
    let line =
        format!(r#"dubhe_provider_gate_refused_total{{service="Test",method="echo"}} {refused}"#);
    assert!(provided.tells(&line), "{refused} were refused");
    // It goes away by itself.
    provided.offer(0, 1).await;
    let refused = provided.refused();
    let mut ends = Vec::new();
    for _ in 0..4000 {
        sleep(Duration::from_millis(4)).await;
        ends.push(provided.answer().until_deadline().await.is_ok());
    }
    assert!(ends.iter().all(|useful| *useful));
    assert_eq!(provided.refused(), refused);
    assert!(provided.tells(r#"dubhe_provider_gate_state{service="Test",method="echo"} 0"#));
    assert!(provided.tells(r#"dubhe_provider_gate_limit{service="Test",method="echo"} 0"#));
}

#[tokio::test(start_paused = true)]
async fn a_few_callers_that_wait_for_an_hour_hold_up_nobody() {
    let mut provided = Provided::new(false);
    provided.one_of = 20;
    provided.offer(0, 1).await;
    let answered = provided.offer(80, 20).await;
    assert!(answered[12..].iter().all(|useful| *useful >= 780), "{answered:?}");
    // A trial that waits for the calls of an hour to be over is one still.
    assert!(provided.tells(r#"dubhe_provider_gate_state{service="Test",method="echo"} 2"#));
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_early_are_no_reason_for_a_trial() {
    let mut provided = Provided::new(false);
    provided.offer(4, 1).await;
    provided.gives_up = Some(Duration::from_millis(100));
    provided.offer(80, 4).await;
    assert_eq!(provided.refused(), 0);
    assert!(provided.tells(r#"dubhe_provider_gate_trials_total{service="Test",method="echo"} 0"#));
}

#[tokio::test(start_paused = true)]
async fn a_method_that_is_left_open_refuses_nobody_and_answers_nothing() {
    let mut provided = Provided::new(true);
    let answered = provided.offer(80, 4).await;
    assert!(answered[1..].iter().all(|useful| *useful <= 80), "{answered:?}");
    assert_eq!(provided.refused(), 0);
    let line = r#"gate_state{service="Test",method="echo"}"#;
    assert!(!provided.dispatcher.metrics().render().contains(line));
}

#[tokio::test(start_paused = true)]
async fn who_is_turned_away_is_told_why_and_when_to_come_back() {
    let mut provided = Provided::new(false);
    provided.offer(80, 3).await;
    let mut refused: Vec<Status> = Vec::new();
    let mut waiting = JoinSet::new();
    for _ in 0..100 {
        let answer = provided.answer();
        waiting.spawn(answer.until_deadline());
    }
    while let Some(ended) = waiting.join_next().await {
        refused.extend(ended.unwrap().err());
    }
    let status = refused.iter().find(|status| status.code() == Code::ResourceExhausted).unwrap();
    assert_eq!(status.delivery(), Delivery::Refused);
    let text = status.message();
    assert!(text.starts_with("Test/echo is overloaded: "), "{text}");
    assert!(text.contains("`provider.gate`") && text.contains("come back in "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_have_begun_or_have_no_answer_pass_the_gate() {
    let mut provided = Provided::new(false);
    provided.offer(80, 3).await;
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let one_way = provided.answer().past_gate();
        let mut begun = provided.answer();
        calls.spawn(one_way.until_deadline());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(Future::poll(std::pin::Pin::new(&mut begun), &mut context).is_pending());
        begun.begin().unwrap();
        calls.spawn(begun.until_deadline());
    }
    while let Some(ended) = calls.join_next().await {
        let code = ended.unwrap().err().map(|status| status.code());
        assert!(matches!(code, None | Some(Code::DeadlineExceeded)), "{code:?}");
    }
}

#[test]
fn the_chart_in_the_docs_is_what_the_run_shows() {
    let kept = include_str!("../../docs/charts/gate.svg");
    assert!(kept == draw::chart(), "docs/charts/gate.svg is out of date: cargo xtask charts");
}
