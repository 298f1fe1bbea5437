//! The session under the loops that all registries share.

use std::sync::Mutex;

use async_trait::async_trait;
use rpc_core::Subscription;

use super::*;
use crate::backend::Backend;
use crate::lock::locked;
use crate::{Pace, Registry, supervise};

/// Opens sessions with a store.
#[derive(Debug)]
struct TreeBackend {
    store: Arc<MemoryStore>,
    newest: Mutex<Option<Arc<MemoryTree>>>,
    reconcile: Duration,
}

#[async_trait]
impl Backend for TreeBackend {
    fn address(&self) -> String {
        "tree://".to_owned()
    }

    async fn connect(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error> {
        let tree = self.store.open();
        *locked(&self.newest) = Some(Arc::clone(&tree));
        Ok(Arc::new(TreeSession::new(tree, layout("", RecordForm::Curator), demand)))
    }

    fn pace(&self) -> Pace {
        let reconcile = self.reconcile;
        Pace { reader_spread: Duration::ZERO, reconcile, ..Pace::default() }
    }
}

fn registry(store: &Arc<MemoryStore>) -> (Arc<TreeBackend>, Arc<dyn Registry>) {
    checked_every(store, Pace::default().reconcile)
}

fn checked_every(
    store: &Arc<MemoryStore>,
    reconcile: Duration,
) -> (Arc<TreeBackend>, Arc<dyn Registry>) {
    let (store, newest) = (Arc::clone(store), Mutex::default());
    let backend = Arc::new(TreeBackend { store, newest, reconcile });
    let registry = supervise(Arc::clone(&backend) as _, &RegistryParams::new("tree://"));
    (backend, registry)
}

async fn shows(list: &mut Subscription, expected: &[&str]) {
    let waiting = async {
        while addresses(&list.latest().instances) != expected {
            list.next().await.unwrap();
        }
    };
    timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("it stays {:?}", list.latest()));
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_is_followed_by_one_that_has_everything_again() {
    let store: Arc<MemoryStore> = Arc::default();
    let (provider, providers) = registry(&store);
    let (consumer, consumers) = registry(&store);
    let one = instance("shop.Stock", "10.0.0.1:20880");
    let _guard = providers.register(one.clone()).await.unwrap();
    let mut list = consumers.subscribe(&key("shop.Stock")).await.unwrap();
    assert_eq!(*list.latest().instances[0], one);
    // The provider's ends with all that it owned; the consumer's without a word.
    locked(&provider.newest).take().unwrap().expire();
    locked(&consumer.newest).take().unwrap().lose();
    shows(&mut list, &["10.0.0.1:20880"]).await;
    eventually("both levels are back", || {
        store.names("/services/shop") == ["10.0.0.1:20880"]
            && store.names("/dubbo/shop.Stock/providers").len() == 1
    })
    .await;
    // Still there after the old session and a few checks.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(owned(&list.latest().instances), [one]);
    let newest = locked(&provider.newest).as_ref().unwrap().id();
    assert_eq!(store.owner("/services/shop/10.0.0.1:20880"), Some(newest));
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_by_hand_is_back_within_a_reconcile() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, registry) = registry(&store);
    let _guard = registry.register(instance("shop.Stock", "10.0.0.1:20880")).await.unwrap();
    let mut list = registry.subscribe(&key("shop.Stock")).await.unwrap();
    let node = store.names("/dubbo/shop.Stock/providers").remove(0);
    store.delete(&format!("/dubbo/shop.Stock/providers/{node}"));
    store.delete("/services/shop/10.0.0.1:20880");
    shows(&mut list, &[]).await;
    let begun = tokio::time::Instant::now();
    shows(&mut list, &["10.0.0.1:20880"]).await;
    assert!(begun.elapsed() < Duration::from_secs(37), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_moves_while_the_registry_fails_is_left_at_no_old_address() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, registry) = registry(&store);
    let (here, there) = ("10.0.0.1:20880", "10.0.0.2:20880");
    let guard = registry.register(instance("shop.Stock", here)).await.unwrap();
    store.fail_writes(1);
    guard.update(instance("shop.Stock", there)).unwrap();
    let listed = || (store.names("/services/shop"), store.names("/dubbo/shop.Stock/providers"));
    eventually("it has moved", || listed().0 == [there] && listed().1.len() == 1).await;
    // Nor if it ends before it has moved.
    store.fail_writes(1);
    guard.update(instance("shop.Stock", here)).unwrap();
    guard.watch().wait_for(|is_registered| !is_registered).await.unwrap();
    guard.unregister().await.unwrap();
    assert_eq!(listed(), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_many_services_share_is_checked_once_for_all_and_within_a_reconcile() {
    for reconcile in [30, 3].map(Duration::from_secs) {
        let store: Arc<MemoryStore> = Arc::default();
        let (_, providers) = registry(&store);
        let (_, consumers) = checked_every(&store, reconcile);
        let (mut guards, mut lists) = (Vec::new(), Vec::new());
        for service in (0..50).map(|i| format!("shop.S{i}")) {
            let instance = instance(&service, "10.0.0.1:20880");
            guards.push(providers.register(instance).await.unwrap());
            lists.push(consumers.subscribe(&key(&service)).await.unwrap());
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        store.take_log();
        tokio::time::sleep(reconcile * 10).await;
        let log = store.take_log();
        let count = |what: &str| log.iter().filter(|line| *line == what).count();
        let checks = count("check /services/shop");
        assert!((10..=16).contains(&checks), "{checks} in ten times {reconcile:?}");
        // Nothing has changed, so nothing is read.
        let is_read = |line: &&String| line.starts_with("list ") && !line.ends_with("/consumers");
        assert_eq!(log.iter().find(is_read), None);
    }
}

/// As with a server whose session goes on when the connection to it is made again.
#[tokio::test(start_paused = true)]
async fn what_a_session_before_has_left_in_a_server_s_session_is_cleared_away() {
    let store: Arc<MemoryStore> = Arc::default();
    let (tree, layout) = (store.open(), layout("", RecordForm::Curator));
    let demand = Demand::default();
    let next = || Arc::new(TreeSession::new(Arc::clone(&tree) as _, Arc::clone(&layout), &demand));
    let one = instance("shop.Stock", "10.0.0.1:20880");
    let (providers, consumers) = ("/dubbo/shop.Stock/providers", "/dubbo/shop.Stock/consumers");
    let first = next();
    first.register(&one).await.unwrap();
    let (kept, gone) = (Watched::new(&first, "shop.Stock"), Watched::new(&first, "shop.Orders"));
    eventually("both are listed", || {
        store.names(consumers).len() == 1 && store.names("/dubbo/shop.Orders/consumers").len() == 1
    })
    .await;
    let consumer = store.names(consumers);
    drop((first, kept, gone));

    // The weight has changed in between, and a watch has gone.
    let second = next();
    let heavy = Instance { weight: 300, ..one.clone() };
    second.register(&heavy).await.unwrap();
    assert_eq!(store.names(providers).len(), 1);
    let mut list = Watched::new(&second, "shop.Stock");
    list.until(|listed| listed.len() == 1 && listed[0].weight == 300).await;
    // Its watch may be late.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(store.names("/dubbo/shop.Orders/consumers").len(), 1);
    eventually("what is not watched is gone", || {
        store.names("/dubbo/shop.Orders/consumers").is_empty()
    })
    .await;
    assert_eq!(store.names(consumers), consumer);
    drop((second, list));

    next().unregister(&heavy).await.unwrap();
    assert_eq!(store.names(providers), [""; 0]);
    assert_eq!(store.names("/services/shop"), [""; 0]);
}
