//! Calls without a stub with the types that are more than protobuf's plain ones: as they are written
//! in JSON, and refused before anything is sent.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use dubhe::prelude::*;
use dubhe::{Delivery, DynamicClient, RunningProvider};
use serde_json::{Value, json};
use support::{consumer, memory, provider};

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct Times {
    wait: Duration,
    since: Option<SystemTime>,
    waits: Vec<Duration>,
    points: BTreeMap<String, SystemTime>,
}

#[dubhe::service(name = "test.Types")]
trait Types {
    #[rpc(idempotent)]
    async fn times(&self, times: Times) -> Result<Times>;

    #[rpc(idempotent)]
    async fn later(&self, since: SystemTime, by: Duration) -> Result<SystemTime>;
}

struct Mirror;

impl Types for Mirror {
    async fn times(&self, times: Times) -> Result<Times> {
        Ok(times)
    }

    async fn later(&self, since: SystemTime, by: Duration) -> Result<SystemTime> {
        Ok(since + by)
    }
}

async fn mirror() -> (DynamicClient, RunningProvider) {
    let registry = memory();
    let running = provider(&registry, "").serve(TypesServer::new(Mirror)).start().await.unwrap();
    let client = consumer(&registry, "").dynamic(&"test.Types".parse().unwrap()).await.unwrap();
    (client, running)
}

/// Calls that are refused before they are sent, each with these words.
async fn refused(client: &DynamicClient, method: &str, calls: &[(Value, &str)]) {
    for (arguments, expected) in calls {
        let status = client.call(method, arguments.clone()).await.unwrap_err();
        assert_eq!((status.code(), status.delivery()), (Code::InvalidArgument, Delivery::NotSent));
        assert!(status.message().contains(expected), "{arguments}: {status}");
    }
}

#[tokio::test]
async fn times_are_the_texts_of_protobufs_mapping() {
    let (client, _running) = mirror().await;
    let times = json!({
        "wait": "1.500s", "since": "2024-02-29T12:00:00Z", "waits": ["0s"],
        "points": { "k": "1969-12-31T23:59:59.999Z" },
    });
    assert_eq!(client.call("times", times.clone()).await.unwrap(), times);
    let later = client.call("later", json!(["2024-02-29T13:00:00+01:00", "0.5s"])).await.unwrap();
    assert_eq!(later, "2024-02-29T12:00:00.500Z");
    refused(
        &client,
        "times",
        &[
            (json!({ "wait": 1.5, "waits": [], "points": {} }), "`wait`: expected a duration such"),
            (json!({ "wait": "-1s", "waits": [], "points": {} }), "`wait`: a negative duration"),
            (json!({ "wait": "1s", "since": "now" }), "`since`: a timestamp such as"),
            (json!({ "wait": "1s", "waits": ["1s", "1m"] }), "`waits[1]`: a duration such as"),
        ],
    )
    .await;
}
