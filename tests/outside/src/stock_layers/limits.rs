//! `LoadShed`, `ConcurrencyLimit`, `RateLimit` and `Buffer`: calls wait, or are refused.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{Delivery, Invocation};
use tower::ServiceBuilder;
use tower::limit::ConcurrencyLimitLayer;

use super::{Desk, SHED, SHORT, client, serve, serve_layered, told};
use crate::shop::{self, Stock, StockClient};

#[tokio::test]
async fn what_is_shed_around_calls_is_refused() {
    let (url, desk) = ("memory://shed-call", Desk::hanging());
    let _running = serve(url, &desk).await;
    let shed = ServiceBuilder::new().load_shed().concurrency_limit(1);
    let stock = client(shop::consumer(url).call_layer(shed)).await;
    let first = tokio::spawn({
        let stock = stock.clone();
        async move { stock.count(1).await }
    });
    desk.until_begun(1).await;
    let full = stock.count(2).await.unwrap_err();
    assert_eq!(told(&full), SHED);
    assert_eq!(full.message(), "a layer that is full shed the call");
    desk.open.add_permits(1);
    assert_eq!(first.await.unwrap().unwrap(), "done");
    assert_eq!(desk.begun(), 1);
}

/// Two providers of one place each: two calls run, wherever the first attempt of each goes, and a
/// third finds both full.
async fn two_places(stock: &StockClient, desks: &[Arc<Desk>; 2]) {
    let calls = [1, 2].map(|article| {
        let stock = stock.clone();
        tokio::spawn(async move { stock.take(article).await })
    });
    for desk in desks {
        desk.until_begun(1).await;
    }
    let full = stock.take(3).await.unwrap_err();
    assert_eq!((told(&full), full.attempts().len()), (SHED, 2), "{full}");
    for desk in desks {
        desk.open.add_permits(1);
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "done");
    }
    assert!(desks.iter().all(|desk| desk.begun() == 1));
}

#[tokio::test]
async fn an_attempt_that_is_shed_goes_to_another_provider() {
    let (url, desks) = ("memory://shed-attempt", [Desk::hanging(), Desk::hanging()]);
    let _running = (serve(url, &desks[0]).await, serve(url, &desks[1]).await);
    // Each instance has a limit of its own.
    let shed = ServiceBuilder::new().load_shed().concurrency_limit(1);
    two_places(&client(shop::consumer(url).attempt_layer(shed)).await, &desks).await;
}

#[tokio::test]
async fn a_call_that_a_provider_sheds_goes_to_another_before_its_handler_has_run() {
    let (url, desks) = ("memory://shed-provider", [Desk::hanging(), Desk::hanging()]);
    let shed = || ServiceBuilder::new().load_shed().concurrency_limit(1);
    let _running =
        (serve_layered(url, &desks[0], shed()).await, serve_layered(url, &desks[1], shed()).await);
    two_places(&client(shop::consumer(url)).await, &desks).await;
}

#[tokio::test]
async fn a_limit_lets_calls_wait_for_their_turn_at_every_position() {
    let plain = |url| shop::consumer(url);
    let limit = || ConcurrencyLimitLayer::new(1);
    for (url, consumer, at_provider) in [
        ("memory://limit-call", plain("memory://limit-call").call_layer(limit()), false),
        ("memory://limit-attempt", plain("memory://limit-attempt").attempt_layer(limit()), false),
        ("memory://limit-provider", plain("memory://limit-provider"), true),
    ] {
        let desk = Desk::open_for(5);
        let _running = match at_provider {
            true => serve_layered(url, &desk, limit()).await,
            false => serve(url, &desk).await,
        };
        let stock = client(consumer).await;
        let calls = [1, 2, 3, 4, 5].map(|article| {
            let stock = stock.clone();
            tokio::spawn(async move { stock.count(article).await })
        });
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), "done");
        }
        assert_eq!((desk.begun(), desk.most.load(SeqCst)), (5, 1), "{url}");
    }
}

#[tokio::test]
async fn a_call_whose_turn_at_a_limit_does_not_come_in_time_is_not_sent() {
    for (url, position) in [("memory://turn-call", "call"), ("memory://turn-attempt", "attempt")] {
        let desk = Desk::hanging();
        let _running = serve(url, &desk).await;
        let (consumer, limit) = (shop::consumer(url), ConcurrencyLimitLayer::new(1));
        let stock = client(match position {
            "call" => consumer.call_layer(limit),
            _ => consumer.attempt_layer(limit),
        })
        .await;
        let first = tokio::spawn({
            let stock = stock.clone();
            async move { stock.take(1).await }
        });
        desk.until_begun(1).await;
        let hasty = stock.with(CallOptions::new().timeout(SHORT));
        let late = hasty.take(2).await.unwrap_err();
        assert_eq!(told(&late), (Code::DeadlineExceeded, Delivery::NotSent), "{late}");
        desk.open.add_permits(1);
        assert_eq!(first.await.unwrap().unwrap(), "done");
        assert_eq!(desk.begun(), 1);
    }
}

#[tokio::test]
async fn a_rate_limit_in_a_buffer_holds_calls_back_at_every_position() {
    // A `RateLimit` cannot be cloned: the buffer around it can.
    let once_an_hour = || {
        let hour = Duration::from_secs(3600);
        ServiceBuilder::new().timeout(SHORT).buffer::<Invocation>(16).rate_limit(1, hour)
    };
    for (url, position) in [
        ("memory://rate-call", "call"),
        ("memory://rate-attempt", "attempt"),
        ("memory://rate-provider", "provider"),
    ] {
        let desk = Desk::open_for(10);
        let _running = match position {
            "provider" => serve_layered(url, &desk, once_an_hour()).await,
            _ => serve(url, &desk).await,
        };
        let consumer = shop::consumer(url);
        let stock = client(match position {
            "call" => consumer.call_layer(once_an_hour()),
            "attempt" => consumer.attempt_layer(once_an_hour()),
            _ => consumer,
        })
        .await;
        assert_eq!(stock.take(1).await.unwrap(), "done");
        let held = stock.take(2).await.unwrap_err();
        let delivery = match position {
            "provider" => Delivery::Answered,
            _ => Delivery::MaybeSent,
        };
        assert_eq!(told(&held), (Code::DeadlineExceeded, delivery), "{position}: {held}");
        assert_eq!(desk.begun(), 1, "{position}");
    }
}

#[tokio::test]
async fn a_full_buffer_sheds_at_every_position() {
    // One call runs, one is taken out of the queue and waits, one is in it.
    let narrow = || ServiceBuilder::new().load_shed().buffer::<Invocation>(1).concurrency_limit(1);
    for (url, position) in [
        ("memory://buffer-call", "call"),
        ("memory://buffer-attempt", "attempt"),
        ("memory://buffer-provider", "provider"),
    ] {
        let desk = Desk::hanging();
        let _running = match position {
            "provider" => serve_layered(url, &desk, narrow()).await,
            _ => serve(url, &desk).await,
        };
        let consumer = shop::consumer(url);
        let stock = client(match position {
            "call" => consumer.call_layer(narrow()),
            "attempt" => consumer.attempt_layer(narrow()),
            _ => consumer,
        })
        .await;
        let mut calls = tokio::task::JoinSet::new();
        // How far the worker has come when a call looks is not told, so more come than there is room.
        for article in 0..10 {
            let stock = stock.clone();
            calls.spawn(async move { stock.take(article).await });
        }
        let mut shed = 0;
        while shed < 7 {
            let full = calls.join_next().await.unwrap().unwrap().unwrap_err();
            assert_eq!(told(&full), SHED, "{position}: {full}");
            shed += 1;
        }
        desk.open.add_permits(3);
        while let Some(call) = calls.join_next().await {
            match call.unwrap() {
                Ok(done) => assert_eq!(done, "done"),
                Err(full) => assert_eq!(told(&full), SHED, "{position}: {full}"),
            }
        }
        assert!((1..=3).contains(&desk.begun()), "{position}");
        assert_eq!(desk.most.load(SeqCst), 1, "{position}");
    }
}

#[test]
fn a_buffer_whose_runtime_has_ended_fails_its_calls() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let (url, desk) = ("memory://buffer-ended", Desk::open_for(10));
    let (home, first) = (runtime(), runtime());
    let _running = home.block_on(serve(url, &desk));
    let buffered = ServiceBuilder::new().buffer::<Invocation>(16);
    let stock = first.block_on(client(shop::consumer(url).call_layer(buffered)));
    assert_eq!(first.block_on(stock.count(1)).unwrap(), "done");
    drop(first);
    let ended = home.block_on(stock.count(2)).unwrap_err();
    assert_eq!(told(&ended), (Code::Unavailable, Delivery::MaybeSent));
    assert_eq!(desk.begun(), 1);
}
