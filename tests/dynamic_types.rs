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

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct Line {
    amount: u8,
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Sku(u64);

#[dubhe::message]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Color {
    Red,
    DarkGreen = 5,
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct Nested {
    rows: Vec<Vec<Option<Line>>>,
    maybe: Option<Vec<u8>>,
    lists: BTreeMap<Color, Vec<Sku>>,
    corner: [i16; 2],
    pair: (String, Option<Line>),
}

#[dubhe::service(name = "test.Types")]
trait Types {
    #[rpc(idempotent)]
    async fn times(&self, times: Times) -> Result<Times>;

    #[rpc(idempotent)]
    async fn nested(&self, nested: Nested) -> Result<Nested>;

    #[rpc(idempotent)]
    async fn turned(&self, rows: Vec<Vec<i32>>, by: (u8, Sku)) -> Result<Vec<Vec<i32>>>;

    #[rpc(idempotent)]
    async fn later(&self, since: SystemTime, by: Duration) -> Result<SystemTime>;
}

struct Mirror;

impl Types for Mirror {
    async fn times(&self, times: Times) -> Result<Times> {
        Ok(times)
    }

    async fn nested(&self, nested: Nested) -> Result<Nested> {
        Ok(nested)
    }

    async fn turned(&self, rows: Vec<Vec<i32>>, _: (u8, Sku)) -> Result<Vec<Vec<i32>>> {
        Ok(rows.into_iter().rev().collect())
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
    assert_eq!(later["value"], "2024-02-29T12:00:00.500Z");
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

#[tokio::test]
async fn what_is_nested_is_written_as_it_is() {
    let (client, _running) = mirror().await;
    let nested = json!({
        "rows": [[{ "amount": 1 }, null], []], "maybe": "AQI=",
        "lists": { "RED": ["7"], "DARK_GREEN": [] }, "corner": [-1, 2],
        "pair": ["x", { "amount": 3 }],
    });
    assert_eq!(client.call("nested", nested.clone()).await.unwrap(), nested);
    let other = json!({
        "rows": null, "lists": { "5": [8], "Red": [] }, "corner": ["1", 2.0], "pair": ["", null],
    });
    let arrived = client.call("nested", other).await.unwrap();
    assert_eq!(arrived["lists"], json!({ "RED": [], "DARK_GREEN": ["8"] }));
    assert_eq!(arrived["pair"], json!(["", null]));
    let turned = client.call("turned", json!([[[1, 2], []], [1, "9"]])).await.unwrap();
    assert_eq!(turned["value"], json!([[], [1, 2]]));
    let with = |key: &str, value: Value| {
        let mut arguments = json!({ "corner": [0, 0], "pair": ["", null] });
        arguments[key] = value;
        arguments
    };
    refused(
        &client,
        "nested",
        &[
            (with("rows", json!([[{ "amount": 256 }]])), "`rows[0][0].amount`: 256 does not fit"),
            (with("rows", json!([1])), "`rows[0]`: expected repeated OptionalLine, got the number"),
            (with("rows", json!([null])), "`rows[0]`: expected repeated OptionalLine, got null"),
            (with("lists", json!({ "BLUE": [] })), "unknown Color in `lists[\"BLUE\"]` `BLUE`"),
            (with("lists", json!({ "4": [] })), "unknown Color in `lists[\"4\"]` `4`"),
            (with("lists", json!({ "RED": ["x"] })), "`lists[\"RED\"][0]`: expected uint64"),
            (with("corner", json!([1, 40_000])), "`corner[1]`: 40000 does not fit int16"),
            (with("pair", json!(["x"])), "`pair`: expected a list of 2 (first: string, second:"),
            (with("pair", json!({ "first": "x" })), "`pair`: expected Tuple_String_OptionalLine"),
            (with("pair", json!(["x", { "amount": -1 }])), "`pair[1].amount`: -1 does not fit"),
        ],
    )
    .await;
    // How long an array is, only the provider knows.
    let status = client.call("nested", with("corner", json!([1]))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("corner: an array of 2 was expected, not of 1"), "{status}");
}

#[tokio::test]
async fn a_provider_tells_the_proto_that_its_trait_prints() {
    let (client, _running) = mirror().await;
    let told = client.description().to_proto().unwrap();
    assert_eq!(told, TypesClient::DESCRIPTOR.to_proto());
    for line in [
        "import \"google/protobuf/duration.proto\";",
        "import \"google/protobuf/timestamp.proto\";",
        "  .google.protobuf.Duration wait = 1;",
        "  optional .google.protobuf.Timestamp since = 2;",
        "  map<string, .google.protobuf.Timestamp> points = 4;",
        "  repeated OptionalLineList rows = 1;",
        "  // Its keys are numbers of Color.Value.",
        "  map<int32, Uint64List> lists = 3;",
        "  Int32Array2 corner = 4;",
        "  Tuple_String_OptionalLine pair = 5;",
        "message OptionalLineList {",
        "  repeated OptionalLine value = 1;",
    ] {
        assert!(told.lines().any(|found| found == line), "{line}\n{told}");
    }
}
