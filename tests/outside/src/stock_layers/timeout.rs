//! `Timeout`: maybe sent, followed by another attempt, counted against the instance.

use dubhe::Delivery;
use dubhe::prelude::*;
use tower::timeout::TimeoutLayer;

use super::{Desk, LATE, SHORT, client, serve, serve_layered, told};
use crate::shop::{self, Stock, StockClient};

#[tokio::test]
async fn a_timeout_around_calls_is_maybe_sent_and_no_fault_of_the_deadline() {
    let (url, desk) = ("memory://timeout-call", Desk::hanging());
    let _running = serve(url, &desk).await;
    let stock = client(shop::consumer(url).call_layer(TimeoutLayer::new(SHORT))).await;
    let late = stock.count(1).await.unwrap_err();
    assert_eq!(told(&late), LATE);
    assert!(late.to_string().contains("deadline: set by a layer"), "{late}");
}

#[tokio::test]
async fn an_attempt_that_times_out_is_followed_by_another_and_speaks_against_its_endpoint() {
    let url = "memory://timeout-attempt";
    let (hanging, open) = (Desk::hanging(), Desk::open_for(1000));
    let _running = (serve(url, &hanging).await, serve(url, &open).await);
    let consumer = shop::consumer(url)
        .set("consumer.loadbalance", "random")
        .set("consumer.ejection.consecutive", 1)
        .set("consumer.ejection.failing_for", "1ms")
        .attempt_layer(TimeoutLayer::new(SHORT))
        .build()
        .unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    // Which of them a call goes to first is drawn.
    let ejected = "ejections_total{service=\"shop.Stock\"} 1";
    for _ in 0..200 {
        assert_eq!(stock.count(1).await.unwrap(), "done");
        if consumer.metrics().render().contains(ejected) {
            break;
        }
    }
    assert!(consumer.metrics().render().contains(ejected), "the timeout was not counted");
    assert!(hanging.begun() > 0 && consumer.resends() > 0);
}

#[tokio::test]
async fn attempts_that_time_out_are_sent_again_within_retries_and_budget_if_idempotent() {
    let url = "memory://timeout-budget";
    let desks = [Desk::hanging(), Desk::hanging(), Desk::hanging(), Desk::hanging()];
    let mut running = Vec::new();
    for desk in &desks {
        running.push(serve(url, desk).await);
    }
    let consumer = || shop::consumer(url).attempt_layer(TimeoutLayer::new(SHORT));
    let stock = client(consumer()).await;
    for (failed, attempts, why) in [
        (stock.count(1).await, 3, "retries = 2"),
        (stock.take(1).await, 1, "the method is not idempotent"),
    ] {
        let late = failed.unwrap_err();
        assert_eq!((told(&late), late.attempts().len()), (LATE, attempts), "{late}");
        assert!(late.to_string().contains(why), "{late}");
    }
    let poor = consumer()
        .set("consumer.retry_budget.percent", 0)
        .set("consumer.retry_budget.per_second", 0);
    let late = client(poor).await.count(1).await.unwrap_err();
    assert_eq!((told(&late), late.attempts().len()), (LATE, 1), "{late}");
    assert!(late.to_string().contains("the retry budget is used up"), "{late}");
}

#[tokio::test]
async fn a_timeout_around_a_handler_is_its_answer() {
    let (url, desk) = ("memory://timeout-provider", Desk::hanging());
    let _running = serve_layered(url, &desk, TimeoutLayer::new(SHORT)).await;
    let late = client(shop::consumer(url)).await.count(1).await.unwrap_err();
    assert_eq!(told(&late), (Code::DeadlineExceeded, Delivery::Answered));
    assert_eq!(late.message(), "no answer came within the timeout of a layer");
    assert_eq!(desk.begun(), 1);
}
