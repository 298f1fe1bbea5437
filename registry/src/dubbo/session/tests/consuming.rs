//! Consumers in the tree: listed while they watch, and counted.

use super::super::super::provider_url::consumer_url;
use super::*;
use crate::ListedConsumer;

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

#[tokio::test(start_paused = true)]
async fn who_consumes_a_service_is_found_and_what_is_no_consumer_is_left_out() {
    const CONSUMERS: &str = "/dubbo/shop.Stock/consumers";
    let store: Arc<MemoryStore> = Arc::default();
    let (_, looker) = open(&store, "?register-consumer=false");
    let consumers = async |service: &str| looker.consumers(&key(service)).await.unwrap().unwrap();
    assert_eq!(consumers("shop.Stock").await, []);
    let (_, ours) = open(&store, "");
    let _list = Watched::new(&ours, "shop.Stock");
    eventually("it is listed", || store.names(CONSUMERS).len() == 1).await;
    let listed = consumers("shop.Stock").await;
    let [one] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((&*one.host, &*one.application), ("127.0.0.1", "web"));
    assert!(one.pid == std::process::id() && one.started_ms > 1_700_000_000_000, "{one:?}");

    // As Java and Go write them, and one that says little.
    for name in [
        "consumer%3A%2F%2F10.0.0.2%2Fshop.Stock%3Fapplication%3Djava%26category%3Dconsumers%26check%3Dfalse\
         %26interface%3Dshop.Stock%26pid%3D7%26side%3Dconsumer%26timestamp%3D1726000000000",
        "consumer%3A%2F%2F10.0.0.3%2Fshop.Stock%3Fapplication%3Dgo%26interface%3Dshop.Stock%26timestamp\
         %3D1726000000%26version%3D0.0.0",
        "consumer%3A%2F%2F10.0.0.4%2Fshop.Stock",
        "consumer%3A%2F%2F10.0.0.5%2Fshop.Stock%3Fapplication%3Dblue%26group%3Dblue%26version%3D1",
        "consumer%3A%2F%2F10.0.0.6%2Fshop.Stock%3Fapplication%3Dany%26group%3D*%26version%3D*",
        "dubbo%3A%2F%2F10.0.0.7%3A1%2Fshop.Stock",
        "nonsense",
        "consumer%3A%2F%2F10.0.0.8%2Fa+b",
        "%FF",
    ] {
        store.write(&format!("{CONSUMERS}/{name}"), "");
    }
    let said = |of: &ListedConsumer| format!("{} {} {}", of.host, of.application, of.started_ms);
    let mut listed: Vec<_> = consumers("shop.Stock").await.iter().map(said).collect();
    listed.retain(|one| !one.starts_with("127."));
    let plain = ["10.0.0.2 java 1726000000000", "10.0.0.3 go 1726000000000", "10.0.0.4  0"];
    assert_eq!(listed, [&plain[..], &["10.0.0.6 any 0"]].concat());
    let blue: Vec<_> = consumers("blue/shop.Stock:1").await.iter().map(said).collect();
    assert_eq!(blue, ["10.0.0.5 blue 0", "10.0.0.6 any 0"]);
    assert_eq!(consumers("shop.Till").await, []);
    store.fail_reads(CONSUMERS, true);
    looker.consumers(&key("shop.Stock")).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_cannot_be_written_is_alone_tried_again_and_consumers_are_counted() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, other) = open(&store, "");
    let _other = Watched::new(&other, "shop.Stock");
    let (_, one) = open(&store, "");
    let entry = |service: &str| {
        let started = (one.layout.own.started_ms, std::process::id());
        let url = consumer_url(&key(service), "web", "127.0.0.1", started);
        format!("/dubbo/{service}/consumers/{}", url.to_node_name())
    };
    let (stock, till) = (entry("shop.Stock"), entry("shop.Till"));
    store.fail_reads(&till, true);
    let _lists = ["shop.Stock", "shop.Till"].map(|service| Watched::new(&one, service));
    eventually("they are counted", || one.peers() == Some(2)).await;
    store.take_log();
    tokio::time::sleep(Duration::from_secs(95)).await;
    let log = store.take_log();
    let tries = |path: &str| log.iter().filter(|did| **did == format!("get {path}")).count();
    let tries = (tries(&stock), tries(&till));
    let is_told = |session: &TreeSession| !session.layout.told.unlisted.is_due(&key("*"));
    assert_eq!((is_told(&one), is_told(&other)), (true, false));
    // What is there is checked every 30 s, what is not tried every 10 s.
    assert!((2..=4).contains(&tries.0) && tries.1 >= 8, "{tries:?}");
    store.fail_reads(&till, false);
    eventually("both are there", || [&stock, &till].iter().all(|at| store.read(at).is_some()))
        .await;
}
