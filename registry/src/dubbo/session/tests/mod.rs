//! The session over a tree in memory.

mod application;
mod checks;
mod consuming;
mod interface;
mod lists;
mod long;
mod supervised;
mod survey;

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Error, Instance, LatestReader, ServiceKey};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::layout::{Layout, RecordForm};
use super::super::memory_tree::{MemoryStore, MemoryTree};
use super::{TreeSession, of_both};
use crate::backend::{Demand, Listing, Session, Updates};
use crate::newest::WatchNews;
use crate::{RegistryParams, RegistryUrl};

/// More than anything here may take, of paused time.
const LIMIT: Duration = Duration::from_secs(60);

fn layout(query: &str, record: RecordForm) -> Arc<Layout> {
    let address = format!("zookeeper://127.0.0.1{query}");
    let url = RegistryUrl::parse(&address).unwrap();
    let mut params = RegistryParams::new(address);
    params.application = Some("web".to_owned());
    Arc::new(Layout::of(&url, &params, record, 2181).unwrap())
}

/// A new session whose address has these parameters.
fn open(store: &Arc<MemoryStore>, query: &str) -> (Arc<MemoryTree>, Arc<TreeSession>) {
    open_as(store, query, RecordForm::Curator)
}

/// As [`open`], of a server where records have this form.
fn open_as(
    store: &Arc<MemoryStore>,
    query: &str,
    record: RecordForm,
) -> (Arc<MemoryTree>, Arc<TreeSession>) {
    let tree = store.open();
    let session =
        TreeSession::new(Arc::clone(&tree) as _, layout(query, record), &Demand::default());
    (tree, Arc::new(session))
}

fn key(service: &str) -> ServiceKey {
    service.parse().unwrap()
}

/// An instance of the application `shop`.
fn instance(service: &str, address: &str) -> Instance {
    let application = "shop".into();
    Instance { application, ..Instance::new(key(service), address, &format!("start of {address}")) }
}

/// A watch of a service, and what it has put.
struct Watched {
    newest: LatestReader<WatchNews<Listing>>,
    task: JoinHandle<Result<(), Error>>,
}

impl Watched {
    fn new(session: &Arc<TreeSession>, service: &str) -> Self {
        let (updates, newest) = Updates::new(0);
        let (session, service) = (Arc::clone(session), key(service));
        let task = tokio::spawn(async move { session.watch(&service, &updates).await });
        Self { newest, task }
    }

    /// The list once it is as asked for.
    async fn until(&mut self, is_met: impl Fn(&[Arc<Instance>]) -> bool) -> Vec<Instance> {
        let seen = self.newest.clone();
        let is_there = |listing: &Listing| is_met(&listing.instances);
        let waiting = self.newest.wait_for(|news| news.value.as_ref().is_some_and(is_there));
        let met = timeout(LIMIT, waiting).await;
        match met {
            Ok(Ok(news)) => owned(&news.value.clone().unwrap().instances),
            Ok(Err(_)) => panic!("the watch has ended"),
            Err(_) => panic!("it stays {seen:?}"),
        }
    }

    async fn shows(&mut self, expected: &[&str]) -> Vec<Instance> {
        self.until(|listed| addresses(listed) == expected).await
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn owned(instances: &[Arc<Instance>]) -> Vec<Instance> {
    instances.iter().map(|instance| Instance::clone(instance)).collect()
}

fn addresses(instances: &[impl Borrow<Instance>]) -> Vec<String> {
    let instances = instances.iter().map(Borrow::borrow);
    let mut addresses: Vec<String> = instances.map(|i: &Instance| i.address.to_string()).collect();
    addresses.sort();
    addresses
}

/// Waits for what no channel tells, in paused time.
async fn eventually(what: &str, is_met: impl Fn() -> bool) {
    let waiting = async {
        while !is_met() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_tree_is_the_end_of_the_session_with_its_reason() {
    let store = Arc::default();
    let (tree, session) = open(&store, "");
    assert!(session.reason().is_none());
    tree.lose();
    timeout(LIMIT, session.closed()).await.unwrap();
    assert_eq!(session.reason().unwrap().to_string(), "the session is lost");
}

#[test]
fn a_level_that_never_succeeds_keeps_no_other_from_being_tried_again_soon() {
    let never = || Err(Error::invalid_config("never"));
    let later = || Err(Error::unreachable("later"));
    for (of_interface, of_application, expected) in [
        (Ok(()), Ok(()), None),
        (never(), Ok(()), Some("never")),
        (Ok(()), never(), Some("never")),
        (never(), later(), Some("later")),
        (later(), never(), Some("later")),
        (never(), never(), Some("never")),
    ] {
        let failed = of_both(of_interface, of_application).err();
        assert_eq!(failed.map(|error| error.to_string()).as_deref(), expected);
    }
}
