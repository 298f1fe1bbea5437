//! The session under the loops that all registries share.

use std::sync::Mutex;

use async_trait::async_trait;
use rpc_core::Subscription;

use super::*;
use crate::backend::{Backend, Demand};
use crate::lock::locked;
use crate::{Pace, Registry, supervise};

/// Opens sessions with a store.
#[derive(Debug)]
struct TreeBackend {
    store: Arc<MemoryStore>,
    newest: Mutex<Option<Arc<MemoryTree>>>,
}

#[async_trait]
impl Backend for TreeBackend {
    fn address(&self) -> String {
        "tree://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        let (tree, session) = open(&self.store, "");
        *locked(&self.newest) = Some(tree);
        Ok(session)
    }

    fn pace(&self) -> Pace {
        Pace { reader_spread: Duration::ZERO, ..Pace::default() }
    }
}

fn registry(store: &Arc<MemoryStore>) -> (Arc<TreeBackend>, Arc<dyn Registry>) {
    let backend = Arc::new(TreeBackend { store: Arc::clone(store), newest: Mutex::default() });
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
