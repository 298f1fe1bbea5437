//! What is counted from outside equals the calls made: by side, method and code.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::BTreeMap;

use dubhe::prelude::*;
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::{memory, until_is};

/// The calls counted in `text` for a side and a method, by code.
fn counted(text: &str, side: &str, method: &str) -> BTreeMap<String, u64> {
    let start =
        format!("dubhe_{side}_calls_total{{service=\"test.Shop\",method=\"{method}\",code=\"");
    let lines = text.lines().filter_map(|line| line.strip_prefix(&start));
    lines
        .map(|rest| {
            let (code, count) = rest.split_once("\"} ").unwrap();
            (code.to_owned(), count.parse().unwrap())
        })
        .collect()
}

/// The number of durations seen for a side and a method.
fn timed(text: &str, side: &str, method: &str) -> u64 {
    let start = format!(
        "dubhe_{side}_call_duration_seconds_count{{service=\"test.Shop\",method=\"{method}\"}} "
    );
    text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
}

#[tokio::test]
async fn counters_equal_the_calls_made() {
    let registry = memory();
    let provider = support::provider(&registry, "").serve(ShopServer::new(Clerk::new("a")));
    let provider = provider.start().await.unwrap();
    let consumer = support::consumer(&registry, "consumer.retries = 1");
    let shop: ShopClient = consumer.client().await.unwrap();
    for id in 0..25 {
        shop.look(id).await.unwrap();
    }
    for _ in 0..3 {
        shop.fail(u32::from(Code::NotFound.number())).await.unwrap_err();
    }
    // One call, two attempts.
    shop.fail(u32::from(Code::Unavailable.number())).await.unwrap_err();
    let hurried = shop.with(CallOptions::new().timeout(std::time::Duration::from_millis(50)));
    hurried.ponder(1, 60_000).await.unwrap_err();
    let is = |pairs: &[(&str, u64)]| -> BTreeMap<String, u64> {
        pairs.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect()
    };

    let text = consumer.metrics().render();
    assert_eq!(counted(&text, "consumer", "look"), is(&[("ok", 25)]));
    assert_eq!(counted(&text, "consumer", "fail"), is(&[("not_found", 3), ("unavailable", 1)]));
    assert_eq!(counted(&text, "consumer", "ponder"), is(&[("deadline_exceeded", 1)]));
    assert_eq!((timed(&text, "consumer", "look"), timed(&text, "consumer", "fail")), (25, 4));

    // The consumer may give up a moment before the handler is stopped.
    until_is("the handler is stopped", || {
        counted(&provider.metrics().render(), "provider", "ponder").values().sum::<u64>() == 1
    })
    .await;
    let text = provider.metrics().render();
    assert_eq!(counted(&text, "provider", "look"), is(&[("ok", 25)]));
    assert_eq!(counted(&text, "provider", "fail"), is(&[("not_found", 3), ("unavailable", 2)]));
    assert_eq!((timed(&text, "provider", "look"), timed(&text, "provider", "fail")), (25, 5));
    assert_eq!(counted(&text, "provider", "buy"), is(&[]));
}
