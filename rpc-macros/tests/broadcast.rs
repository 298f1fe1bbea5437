//! `client.broadcast()`: what every provider answered, as the method's own types.
#![allow(clippy::unwrap_used, reason = "a test that fails here has found something")]

mod wiring;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dubhe_rpc_macros::{error, message, service};
use rpc_core::client::CallOptions;
use rpc_core::message::Element;
use rpc_core::{Code, Result, Status};

use crate::wiring::{connect, connect_recorded};

#[error(crate = rpc_core)]
#[derive(Debug)]
enum CacheError {
    /// The second one is full.
    Full { left: u32 },
    #[rpc(status)]
    Status(Status),
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
struct Stats {
    entries: u64,
}

#[service(crate = rpc_core)]
trait Cache {
    async fn stats(&self) -> Result<Stats>;
    async fn put(&self, key: String, value: u32) -> Result<u32, CacheError>;
    #[rpc(oneway)]
    async fn forget(&self, key: String) -> Result<()>;
}

/// Answers the first call and refuses the second, and so on.
#[derive(Default)]
struct Half(AtomicU32);

impl Half {
    fn is_first(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
    }
}

impl Cache for Half {
    async fn stats(&self) -> Result<Stats> {
        match self.is_first() {
            true => Ok(Stats { entries: 7 }),
            false => Err(Status::internal("no numbers")),
        }
    }

    async fn put(&self, key: String, value: u32) -> Result<u32, CacheError> {
        match self.is_first() {
            true => Ok(value + u32::try_from(key.len()).unwrap()),
            false => Err(CacheError::Full { left: value }),
        }
    }

    async fn forget(&self, _: String) -> Result<()> {
        Ok(())
    }
}

fn cache() -> CacheClient {
    connect(CacheServer::new(Half::default()))
}

#[tokio::test]
async fn each_provider_has_a_result_of_the_methods_own_types() {
    let nodes = cache().broadcast().stats().await.unwrap();
    let addresses: Vec<&str> = nodes.iter().map(|node| &*node.address).collect();
    assert_eq!(addresses, ["a:1", "b:1"]);
    assert_eq!(nodes[0].result.as_ref().unwrap(), &Stats { entries: 7 });
    let failed = nodes[1].result.as_ref().unwrap_err();
    assert_eq!((failed.code(), failed.message()), (Code::Internal, "no numbers"));
    assert_eq!((failed.call(), failed.address()), (Some("Cache/stats"), Some("b:1")));
}

#[tokio::test]
async fn a_typed_error_of_one_provider_arrives_as_the_same_value() {
    let nodes = cache().broadcast().put("ab".into(), 3).await.unwrap();
    assert_eq!(*nodes[0].result.as_ref().unwrap(), 5);
    assert!(matches!(nodes[1].result, Err(CacheError::Full { left: 3 })));
}

#[tokio::test]
async fn one_way_methods_are_broadcast_too() {
    let nodes = cache().broadcast().forget("ab".into()).await.unwrap();
    assert!(nodes.len() == 2 && nodes.iter().all(|node| node.result.is_ok()));
}

#[tokio::test]
async fn options_of_the_client_hold_for_its_broadcasts() {
    let (cache, seen) = connect_recorded::<CacheClient>(CacheServer::new(Half::default()));
    let options = CallOptions::new().metadata("tenant", "blue");
    cache.with(options).broadcast().stats().await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|call| call.metadata.value("tenant") == Some("blue")));
}

#[tokio::test]
async fn a_broadcast_without_time_left_asks_nobody() {
    let cache = cache().with(CallOptions::new().timeout(Duration::ZERO));
    let status = cache.broadcast().stats().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.call(), Some("Cache/stats"));
}

#[service(crate = rpc_core)]
trait Store<T: Element + Clone> {
    async fn find(&self, key: u64) -> Result<Option<T>>;
}

struct Same<T>(T);

impl<T: Element + Clone> Store<T> for Same<T> {
    async fn find(&self, _: u64) -> Result<Option<T>> {
        Ok(Some(self.0.clone()))
    }
}

#[tokio::test]
async fn a_generic_service_is_broadcast_as_well() {
    let store: StoreClient<u32> = connect(StoreServer::new(Same(4_u32)));
    let nodes = store.broadcast().find(1).await.unwrap();
    let found: Vec<Option<u32>> = nodes.into_iter().map(|node| node.result.unwrap()).collect();
    assert_eq!(found, [Some(4), Some(4)]);
}
