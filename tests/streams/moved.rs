//! What is saved inside a process, and what is not given up for it.

use std::time::Duration;

use dubhe::{CallOptions, Code, Result, Status};
use tokio::time::Instant;

use crate::support;

#[dubhe::service]
trait Places {
    /// Where the bytes are in memory, and they themselves.
    async fn at(&self, bytes: Vec<u8>) -> Result<u64>;
    async fn back(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;
    async fn hang(&self) -> Result<()>;
    async fn who(&self) -> Result<String>;
    #[rpc(oneway)]
    async fn say(&self, bytes: Vec<u8>) -> Result<()>;
}

struct Here(tokio::sync::mpsc::Sender<u64>);

impl Places for Here {
    async fn at(&self, bytes: Vec<u8>) -> Result<u64> {
        Ok(bytes.as_ptr().addr() as u64)
    }

    async fn back(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(bytes)
    }

    async fn hang(&self) -> Result<()> {
        std::future::pending().await
    }

    async fn who(&self) -> Result<String> {
        let context = dubhe::CallContext::current().unwrap();
        let peer = context.peer().unwrap();
        let left = context.deadline().remaining().as_secs();
        let tenant = context.metadata().value("tenant").unwrap_or_default();
        Ok(format!("{} {peer} {left} {tenant}", peer.protocol()))
    }

    async fn say(&self, bytes: Vec<u8>) -> Result<()> {
        self.0.try_send(bytes.len() as u64).map_err(|_| Status::internal("gone"))
    }
}

const LOCAL: &str = "[consumer.services.Places]\nscope = \"local\"\n";

async fn connect(
    toml: &str,
) -> (dubhe::RunningProvider, PlacesClient, tokio::sync::mpsc::Receiver<u64>) {
    let (registry, toml) = (support::memory(), format!("{LOCAL}{toml}"));
    let (said, heard) = tokio::sync::mpsc::channel(8);
    let provider = support::provider(&registry, &toml).serve(PlacesServer::new(Here(said)));
    let provider = provider.start().await.unwrap();
    let client = support::consumer(&registry, &toml).client().await.unwrap();
    (provider, client, heard)
}

#[tokio::test(start_paused = true)]
async fn arguments_and_results_move_where_nobody_else_holds_them() {
    let (_provider, client, _) = connect("cluster = \"failfast\"\n").await;
    let bytes = vec![7; 100];
    let place = bytes.as_ptr().addr() as u64;
    assert_eq!(client.at(bytes).await.unwrap(), place);
    let bytes = vec![7; 100];
    let place = bytes.as_ptr();
    let back = client.back(bytes).await.unwrap();
    assert_eq!(back.as_ptr(), place);
}

#[tokio::test(start_paused = true)]
async fn arguments_that_may_be_sent_again_are_written_and_read() {
    let (_provider, client, _) = connect("").await;
    let bytes = vec![7; 100];
    let place = bytes.as_ptr();
    let back = client.back(bytes).await.unwrap();
    assert_ne!(back.as_ptr(), place);
}

#[tokio::test(start_paused = true)]
async fn deadlines_metadata_limits_and_the_peer_are_those_of_any_call() {
    let (_provider, client, mut heard) = connect("[provider.limits]\npayload = \"1KiB\"\n").await;
    let options = CallOptions::new().timeout(Duration::from_secs(9)).metadata("tenant", "blue");
    let who = client.with(options.clone()).who().await.unwrap();
    assert_eq!(who, "injvm this process 9 blue");
    let began = Instant::now();
    let status = client.with(options).hang().await.unwrap_err();
    assert_eq!((status.code(), began.elapsed()), (Code::DeadlineExceeded, Duration::from_secs(9)));
    assert!(status.to_string().contains("9s, set for this call"), "{status}");
    let status = client.back(vec![0; 2000]).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    client.say(vec![0; 3]).await.unwrap();
    assert_eq!(heard.recv().await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_caller_inside_the_process_leaves_others_their_share() {
    let toml = format!("{LOCAL}cluster = \"failfast\"\n[provider.limits]\nin_flight = 5\n");
    let registry = support::memory();
    let (said, _heard) = tokio::sync::mpsc::channel(8);
    let provider = support::provider(&registry, &toml).serve(PlacesServer::new(Here(said)));
    let _provider = provider.start().await.unwrap();
    let hog: PlacesClient = support::consumer(&registry, &toml).client().await.unwrap();
    let other: PlacesClient = support::consumer(&registry, &toml).client().await.unwrap();
    other.who().await.unwrap();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let hog = hog.clone();
        running.spawn(async move { hog.hang().await });
    }
    let status = running.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let text = "this caller runs 3 of 5 calls and leaves 2 to others";
    assert!(status.message().starts_with(text), "{status}");
    other.who().await.unwrap();
    // Alone, it may have all.
    running.shutdown().await;
    drop(other);
    for _ in 0..5 {
        let hog = hog.clone();
        running.spawn(async move { hog.hang().await });
    }
    let status = running.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_in_the_process_fails_and_says_so() {
    let registry = support::memory();
    let client: PlacesClient = support::consumer(&registry, LOCAL).client().await.unwrap();
    let status = client.hang().await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Unavailable, dubhe::Delivery::NotSent));
    assert!(status.message().contains("of this process"), "{status}");
    // It is found when it comes, and gone when it goes.
    let (said, _heard) = tokio::sync::mpsc::channel(8);
    let provider = support::provider(&registry, "").serve(PlacesServer::new(Here(said)));
    let provider = provider.start().await.unwrap();
    support::until("it is found", async || client.who().await.ok()).await;
    provider.shutdown().await;
    assert!(client.who().await.is_err());
}

#[tokio::test]
async fn a_service_is_called_over_the_network_unless_its_scope_is_local() {
    let registry = support::memory();
    let (said, _heard) = tokio::sync::mpsc::channel(8);
    let provider = support::provider(&registry, "").serve(PlacesServer::new(Here(said)));
    let provider = provider.start().await.unwrap();
    let client: PlacesClient = support::consumer(&registry, "").client().await.unwrap();
    assert!(client.who().await.unwrap().starts_with("dubbo 127.0.0.1:"));
    provider.shutdown().await;
}

#[test]
fn a_scope_that_is_neither_is_pointed_at() {
    let toml = "[consumer.services.Places]\nscope = \"near\"\n";
    let sources = support::sources("memory://x", toml);
    let error = dubhe::Consumer::builder().sources(sources).build().unwrap_err().to_string();
    assert!(
        error.contains("dubhe.toml:2:9") && error.contains("available: local, remote"),
        "{error}"
    );
}
