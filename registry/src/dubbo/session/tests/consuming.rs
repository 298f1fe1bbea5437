//! Consumers in the tree: listed while they watch, and counted.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_consumer_is_listed_while_it_watches() {
    const CONSUMERS: &str = "/dubbo/shop.Stock/consumers";
    let store: Arc<MemoryStore> = Arc::default();
    let (tree, reader) = open(&store, "");
    let list = Watched::new(&reader, "shop.Stock");
    let again = Watched::new(&reader, "shop.Stock");
    eventually("it is listed", || store.names(CONSUMERS).len() == 1).await;
    let name = store.names(CONSUMERS).remove(0);
    assert!(name.starts_with("consumer%3A%2F%2F127.0.0.1%2Fshop.Stock%3F"), "{name}");
    assert!(name.contains("application%3Dweb%26category%3Dconsumers"), "{name}");
    let path = format!("{CONSUMERS}/{name}");
    assert_eq!(store.owner(&path), Some(tree.id()));
    store.delete(&path);
    eventually("it is back", || store.read(&path).is_some()).await;
    drop(list);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(store.read(&path).is_some());
    // It is tried again when that fails.
    store.fail_writes(1);
    drop(again);
    eventually("it is gone", || store.names(CONSUMERS).is_empty()).await;

    let (_, silent) = open(&store, "?register-consumer=false");
    let _list = Watched::new(&silent, "shop.Stock");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(store.names(CONSUMERS), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_knows_how_many_share_its_services() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, alone) = open(&store, "?register-consumer=false");
    let consumers: Vec<_> = (0..300).map(|_| open(&store, "").1).collect();
    // One of them watches others, too, that hardly anybody else watches.
    let _more = ["shop.A", "shop.B"].map(|service| Watched::new(&consumers[0], service));
    let _lists: Vec<_> = consumers.iter().map(|one| Watched::new(one, "shop.Stock")).collect();
    let _list = Watched::new(&alone, "shop.Stock");
    assert_eq!(consumers[0].peers(), None);
    // Who came first has counted few, and does again.
    let all_know = || consumers.iter().all(|consumer| consumer.peers() == Some(300));
    eventually("all know it", all_know).await;
    assert_eq!(alone.peers(), None);
    // Servers name all of them for it, so each of 300 counts again after 150 s only.
    store.take_log();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let counted = store.take_log().iter().filter(|did| did.starts_with("list ")).count();
    assert!((300..=1500).contains(&counted), "counted {counted} times in 10 minutes");
    // What cannot be counted leaves what is known.
    store.fail_reads("/dubbo/shop.Stock/consumers", true);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!([&consumers[0], &consumers[1]].map(|one| one.peers()), [Some(300); 2]);
}
