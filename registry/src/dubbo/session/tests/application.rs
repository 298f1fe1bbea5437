//! Providers at the level of applications.

use serde_json::Value;
use tokio::task::JoinSet;

use super::super::super::service_instance::ServiceInstance;
use super::*;

const RECORD: &str = "/services/shop/10.0.0.1:20880";

fn stock() -> Instance {
    instance("shop.Stock", "10.0.0.1:20880")
}

fn orders() -> Instance {
    instance("shop.Orders", "10.0.0.1:20880")
}

fn record(store: &MemoryStore) -> ServiceInstance {
    let json = store.read(RECORD).expect("there is no record");
    ServiceInstance::from_json(json.as_bytes()).unwrap().unwrap()
}

/// The services of the record's revision, by key; empty if there is no record.
fn published(store: &MemoryStore) -> Vec<String> {
    if store.read(RECORD).is_none() {
        return Vec::new();
    }
    let revision = record(store).revision().unwrap().to_owned();
    let [java, go] = ["/dubbo/metadata/shop", "/dubbo/shop"]
        .map(|at| store.read(&format!("{at}/{revision}")).expect("there is no metadata"));
    assert_eq!(java, go);
    let json: Value = serde_json::from_str(&java).unwrap();
    json["services"].as_object().unwrap().keys().cloned().collect()
}

fn writes(store: &MemoryStore) -> Vec<String> {
    store.take_log().into_iter().filter(|line| !line.starts_with("get")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_leads_to_a_record_is_written_before_it_and_nothing_at_the_other_level() {
    let store = Arc::default();
    let (tree, session) = open(&store, "?register-mode=instance");
    store.write("/dubbo/mapping/shop.Stock", "depot");
    session.register(&stock()).await.unwrap();
    let revision = record(&store).revision().unwrap().to_owned();
    assert_eq!(
        writes(&store),
        [
            format!("edit /dubbo/metadata/shop/{revision}"),
            format!("edit /dubbo/shop/{revision}"),
            "edit /dubbo/mapping/shop.Stock".to_owned(),
            format!("put {RECORD}"),
        ]
    );
    assert_eq!(store.read("/dubbo/mapping/shop.Stock").unwrap(), "depot,shop");
    assert_eq!(store.owner(RECORD), Some(tree.id()));
    assert_eq!(store.owner("/dubbo/mapping/shop.Stock"), None);
    assert_eq!(published(&store), ["shop.Stock:dubhe"]);
    assert_eq!(store.names("/dubbo/shop.Stock/providers"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn where_go_is_at_home_a_mapping_is_joined_and_not_begun() {
    let store = Arc::default();
    let (_, session) = open_as(&store, "", RecordForm::Go);
    store.write("/dubbo/mapping/shop.Orders", "depot");
    session.register(&stock()).await.unwrap();
    session.register(&orders()).await.unwrap();
    assert_eq!(store.read("/dubbo/mapping/shop.Stock"), None);
    assert_eq!(store.read("/dubbo/mapping/shop.Orders").unwrap(), "depot,shop");
    // Found all the same, by the interface level, and joined with the next check once Go has begun it.
    assert_eq!(session.fetch(&key("shop.Stock")).await.unwrap().instances.len(), 1);
    store.write("/dubbo/mapping/shop.Stock", "depot");
    session.register(&stock()).await.unwrap();
    assert_eq!(store.read("/dubbo/mapping/shop.Stock").unwrap(), "depot,shop");

    let store = Arc::default();
    let (_, session) = open_as(&store, "?register-mode=instance", RecordForm::Go);
    session.register(&stock()).await.unwrap();
    assert_eq!(
        store.read("/dubbo/mapping/shop.Stock").unwrap(),
        "shop",
        "nothing else leads there"
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_services_share_a_record_and_a_few_publications() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, session) = open(&store, "?register-mode=instance");
    let mut registering = JoinSet::new();
    for i in 0..1000 {
        let (session, store) = (Arc::clone(&session), Arc::clone(&store));
        registering.spawn(async move {
            let service = format!("shop.S{i}");
            session.register(&instance(&service, "10.0.0.1:20880")).await.unwrap();
            // It returns when a publication has it, and not before.
            let revision = record(&store).revision().unwrap().to_owned();
            let json = store.read(&format!("/dubbo/metadata/shop/{revision}")).unwrap();
            assert!(json.contains(&format!("\"{service}:dubhe\"")), "{service} is missing");
            assert_eq!(store.read(&format!("/dubbo/mapping/{service}")).unwrap(), "shop");
        });
    }
    registering.join_all().await;
    assert_eq!(store.names("/services/shop"), ["10.0.0.1:20880"]);
    assert_eq!(published(&store).len(), 1000);
    let log = writes(&store);
    let records = log.iter().filter(|line| line.starts_with("put")).count();
    assert!(records <= 3, "{records} publications");

    // As a check, all of them cost a few reads each, and write nothing.
    tokio::time::advance(Duration::from_secs(30)).await;
    let mut checking = JoinSet::new();
    for i in 0..1000 {
        let session = Arc::clone(&session);
        checking.spawn(async move {
            session.register(&instance(&format!("shop.S{i}"), "10.0.0.1:20880")).await.unwrap();
        });
    }
    checking.join_all().await;
    let log = store.take_log();
    assert!(log.iter().all(|line| line.starts_with("get")), "a check writes");
    assert!(log.len() < 1100, "{} reads", log.len());
}

#[tokio::test(start_paused = true)]
async fn services_that_check_one_after_the_other_have_their_record_checked_once() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, session) = open(&store, "?register-mode=instance");
    let services: Vec<_> =
        (0..30).map(|i| instance(&format!("shop.S{i}"), "10.0.0.1:20880")).collect();
    for service in &services {
        session.register(service).await.unwrap();
    }
    let read = format!("get {RECORD}");
    for round in 0..3 {
        store.take_log();
        for service in &services {
            tokio::time::advance(Duration::from_secs(1)).await;
            session.register(service).await.unwrap();
        }
        // One for its owner, and one for what it holds.
        let reads = store.take_log().iter().filter(|line| **line == read).count();
        assert_eq!(reads, 2, "in round {round}");
    }
    // However soon, one that comes again has it checked: it may be gone.
    store.delete(RECORD);
    session.register(&services[0]).await.unwrap();
    session.register(&services[0]).await.unwrap();
    assert!(store.read(RECORD).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_goes_rewrites_the_record_and_the_last_takes_it_along() {
    let store = Arc::default();
    let (_, session) = open(&store, "");
    let (one, two) = (stock(), orders());
    let (first, second) = tokio::join!(session.register(&one), session.register(&two));
    first.and(second).unwrap();
    assert_eq!(published(&store), ["shop.Orders:dubhe", "shop.Stock:dubhe"]);
    session.unregister(&one).await.unwrap();
    assert_eq!(published(&store), ["shop.Orders:dubhe"]);
    session.unregister(&two).await.unwrap();
    assert_eq!(published(&store), [""; 0]);
    session.unregister(&two).await.unwrap();
    // The mapping only grows.
    assert_eq!(store.read("/dubbo/mapping/shop.Stock").unwrap(), "shop");
    session.register(&one).await.unwrap();
    assert_eq!(published(&store), ["shop.Stock:dubhe"]);
}

#[tokio::test(start_paused = true)]
async fn ports_and_applications_of_one_process_have_records_of_their_own() {
    let store = Arc::default();
    let (_, session) = open(&store, "");
    let port = instance("shop.Stock", "10.0.0.1:20881");
    let depot = Instance { application: "depot".into(), ..stock() };
    for listed in [&stock(), &port, &depot] {
        session.register(listed).await.unwrap();
    }
    assert_eq!(store.names("/services/shop"), ["10.0.0.1:20880", "10.0.0.1:20881"]);
    assert_eq!(store.names("/services/depot"), ["10.0.0.1:20880"]);
    assert_eq!(store.read("/dubbo/mapping/shop.Stock").unwrap(), "shop,depot");
}

#[tokio::test(start_paused = true)]
async fn whatever_was_deleted_by_hand_comes_back_with_a_check() {
    let store = Arc::default();
    let (_, session) = open(&store, "");
    session.register(&stock()).await.unwrap();
    let revision = record(&store).revision().unwrap().to_owned();
    let metadata = format!("/dubbo/metadata/shop/{revision}");
    for path in [RECORD, &metadata, "/dubbo/mapping/shop.Stock"] {
        store.delete(path);
        tokio::time::advance(Duration::from_secs(30)).await;
        session.register(&stock()).await.unwrap();
        assert!(store.read(path).is_some(), "{path} stays away");
    }
    // As does a mapping that another program has overwritten.
    store.write("/dubbo/mapping/shop.Stock", "depot");
    session.register(&stock()).await.unwrap();
    assert_eq!(store.read("/dubbo/mapping/shop.Stock").unwrap(), "depot,shop");
}

#[tokio::test(start_paused = true)]
async fn one_who_gives_up_takes_no_other_along() {
    let store = Arc::default();
    let (_, session) = open(&store, "");
    let registering = |listed: Instance| {
        let session = Arc::clone(&session);
        tokio::spawn(async move { session.register(&listed).await })
    };
    // The first gathers for both, and is gone before it writes.
    let first = registering(stock());
    tokio::time::sleep(Duration::from_millis(5)).await;
    let second = registering(orders());
    tokio::time::sleep(Duration::from_millis(5)).await;
    first.abort();
    second.await.unwrap().unwrap();
    assert!(first.await.unwrap_err().is_cancelled());
    // It did not unregister, so it still counts.
    assert_eq!(published(&store), ["shop.Orders:dubhe", "shop.Stock:dubhe"]);
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_fails_fails_for_all_it_was_for_and_the_next_succeeds() {
    let store = Arc::default();
    let (_, session) = open(&store, "?register-mode=instance");
    let (one, two) = (stock(), orders());
    store.fail_writes(1);
    let (first, second) = tokio::join!(session.register(&one), session.register(&two));
    for failed in [first, second] {
        assert!(failed.unwrap_err().to_string().contains("cannot be written"));
    }
    assert_eq!(published(&store), [""; 0]);
    session.register(&two).await.unwrap();
    assert_eq!(published(&store), ["shop.Orders:dubhe", "shop.Stock:dubhe"]);
    assert_eq!(store.read("/dubbo/mapping/shop.Stock").unwrap(), "shop");
}

#[tokio::test(start_paused = true)]
async fn the_younger_start_at_an_address_owns_the_record_whoever_comes_first() {
    let store = Arc::default();
    let start = |id: &str, started_ms| Instance { id: id.into(), started_ms, ..stock() };
    let (old, young) = (start("old", 1_000), start("young", 2_000));
    let (_, of_old) = open(&store, "?register-mode=instance");
    let (of_young_tree, of_young) = open(&store, "?register-mode=instance");
    of_old.register(&old).await.unwrap();
    of_young.register(&young).await.unwrap();
    assert_eq!(record(&store).started_ms(), 2_000);
    // The old one checks, as it does every 30 s.
    tokio::time::advance(Duration::from_secs(30)).await;
    let error = of_old.register(&old).await.unwrap_err().to_string();
    assert!(error.contains("10.0.0.1:20880 is listed by a process that started later"), "{error}");
    assert!(error.contains("provider.advertise"), "{error}");
    assert_eq!(store.owner(RECORD), Some(of_young_tree.id()));
    of_young_tree.expire();
    of_old.register(&old).await.unwrap();
    assert_eq!(record(&store).started_ms(), 1_000);

    // The same within one session.
    let (_, both) = open(&store, "?register-mode=instance");
    both.register(&young).await.unwrap();
    both.register(&old).await.unwrap();
    assert_eq!(record(&store).started_ms(), 2_000);
    both.unregister(&young).await.unwrap();
    assert_eq!(record(&store).started_ms(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn what_an_application_says_of_its_services_alike_is_held_once_for_their_lists() {
    let store = Arc::default();
    let (_, session) = open(&store, "?register-mode=instance");
    let metadata = Arc::new([("zone".to_owned(), "north".to_owned())].into());
    for instance in [stock(), orders()] {
        let instance = Instance { metadata: Arc::clone(&metadata), ..instance };
        session.register(&instance).await.unwrap();
    }
    let mut lists = ["shop.Stock", "shop.Orders"].map(|service| Watched::new(&session, service));
    let mut held = Vec::new();
    for list in &mut lists {
        held.extend(list.shows(&["10.0.0.1:20880"]).await);
    }
    assert_eq!(held[0].metadata, metadata);
    assert!(Arc::ptr_eq(&held[0].metadata, &held[1].metadata));
}
