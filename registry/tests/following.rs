//! When a list is followed, and what counts of a watch that ends; on paused time.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dubhe_registry::{
    Backend, Demand, Listing, Registry, RegistryParams, Session, Updates, supervise,
};
use rpc_core::{Error, Instance, ServiceKey};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use world::{instance, key, shows};

const SERVICE: &str = "shop.Inventory";

/// How long it may take until something is noticed that needs no pause.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A registry whose watches end on command, with last words.
#[derive(Debug, Clone, Default)]
struct Parting(Arc<PartingState>);

#[derive(Debug, Default)]
struct PartingState {
    begun: AtomicUsize,
    running: AtomicUsize,
    fetches: AtomicUsize,
    /// Ends the first watch.
    ends: Notify,
}

/// Counts a watch for as long as it runs.
struct Running<'a>(&'a AtomicUsize);

impl Parting {
    fn new() -> (Self, Arc<dyn Registry>) {
        let parting = Self::default();
        let registry = supervise(Arc::new(parting.clone()), &RegistryParams::new("parting://"));
        (parting, registry)
    }

    fn running(&self) -> usize {
        self.0.running.load(Ordering::SeqCst)
    }

    fn fetches(&self) -> usize {
        self.0.fetches.load(Ordering::SeqCst)
    }

    /// Waits until the first watch has ended and another one has begun.
    async fn watches_again(&self) {
        while self.0.begun.load(Ordering::SeqCst) < 2 {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl<'a> Running<'a> {
    fn count(running: &'a AtomicUsize) -> Self {
        running.fetch_add(1, Ordering::SeqCst);
        Self(running)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Backend for Parting {
    fn address(&self) -> String {
        "parting://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Session for Parting {
    async fn register(&self, _: &Instance) -> Result<(), Error> {
        Ok(())
    }

    async fn unregister(&self, _: &Instance) -> Result<(), Error> {
        Ok(())
    }

    /// The first puts an empty list, and another one when it ends; those after it put nothing.
    async fn watch(&self, _: &ServiceKey, updates: &Updates) -> Result<(), Error> {
        let _running = Running::count(&self.0.running);
        if self.0.begun.fetch_add(1, Ordering::SeqCst) > 0 {
            std::future::pending::<()>().await;
        }
        updates.put(Listing::new(1, Vec::new()));
        self.0.ends.notified().await;
        updates.put(Listing::new(2, vec![instance(SERVICE, "a:1")]));
        Err(Error::unreachable("the line is cut"))
    }

    async fn fetch(&self, _: &ServiceKey) -> Result<Listing, Error> {
        self.0.fetches.fetch_add(1, Ordering::SeqCst);
        Ok(Listing::new(1, Vec::new()))
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        Ok(Vec::new())
    }

    async fn closed(&self) {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_nobody_listens_to_any_more_is_neither_watched_nor_read() {
    let (parting, registry) = Parting::new();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &[]).await;
    sleep(Duration::from_secs(60)).await;
    assert!(parting.running() == 1 && parting.fetches() > 0);
    drop(list);
    let ended = async {
        while parting.running() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(AT_ONCE, ended).await.expect("it is watched still");
    let fetches = parting.fetches();
    sleep(Duration::from_secs(600)).await;
    assert_eq!((parting.running(), parting.fetches()), (0, fetches));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_came_right_before_its_watch_was_lost_counts_and_is_in_doubt() {
    let (parting, registry) = Parting::new();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &[]).await;
    parting.0.ends.notify_one();
    timeout(AT_ONCE, shows(&mut list, &["a:1"])).await.expect("it was lost with its watch");
    timeout(AT_ONCE, parting.watches_again()).await.expect("it is watched again");
    // No list is read again so early.
    sleep(Duration::from_secs(2)).await;
    let trouble = list.trouble().expect("a watch that has put nothing confirms nothing");
    assert_eq!((&*trouble.error, parting.fetches()), ("the line is cut", 0));
    shows(&mut list, &["a:1"]).await;
}

#[tokio::test(start_paused = true)]
async fn who_listens_is_told_at_once_that_the_registry_is_shut_down() {
    let (parting, registry) = Parting::new();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &[]).await;
    let ended = async { while list.next().await.is_some() {} };
    let both = async { tokio::join!(ended, registry.shutdown()) };
    timeout(AT_ONCE, both).await.expect("the list does not end");
    assert_eq!(parting.running(), 0);
}
