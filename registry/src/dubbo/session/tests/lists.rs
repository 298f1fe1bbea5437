//! Lists of both levels: watched, fetched and repaired.
//!
//! Long because each test of a list needs what the others register.

use tokio::task::JoinSet;
use tokio::time::Instant as Clock;

use super::*;

pub(super) const AT: &str = "/dubbo/shop.Stock/providers";
pub(super) const PROCESSES: &str = "/services/shop";
pub(super) const MAPPING: &str = "/dubbo/mapping/shop.Stock";

pub(super) fn stock(address: &str) -> Instance {
    instance("shop.Stock", address)
}

pub(super) async fn registered(
    store: &Arc<MemoryStore>,
    query: &str,
    addresses: &[&str],
) -> Arc<TreeSession> {
    let (_, session) = open(store, query);
    for address in addresses {
        session.register(&stock(address)).await.unwrap();
    }
    session
}

async fn fetched(session: &TreeSession) -> Vec<Instance> {
    owned(&session.fetch(&key("shop.Stock")).await.unwrap().instances)
}

/// The path of the metadata that the record at `address` names.
fn metadata_of(store: &MemoryStore, address: &str) -> String {
    let record = store.read(&format!("{PROCESSES}/{address}")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&record).unwrap();
    let revision = json["payload"]["metadata"]["dubbo.metadata.revision"].as_str().unwrap();
    format!("/dubbo/metadata/shop/{revision}")
}

#[tokio::test(start_paused = true)]
async fn whatever_levels_a_provider_uses_it_is_listed_once_and_as_it_is() {
    for mode in ["all", "interface", "instance"] {
        let store = Arc::default();
        let (_, reader) = open(&store, "");
        let mut list = Watched::new(&reader, "shop.Stock");
        list.shows(&[]).await;
        let provider =
            registered(&store, &format!("?register-mode={mode}"), &["10.0.0.1:20880"]).await;
        assert_eq!(list.shows(&["10.0.0.1:20880"]).await, [stock("10.0.0.1:20880")], "{mode}");
        assert_eq!(fetched(&reader).await, [stock("10.0.0.1:20880")], "{mode}");
        let (_, late) = open(&store, "");
        let first = Watched::new(&late, "shop.Stock").until(|_| true).await;
        assert_eq!(first, [stock("10.0.0.1:20880")], "{mode}");
        provider.unregister(&stock("10.0.0.1:20880")).await.unwrap();
        list.shows(&[]).await;
        assert_eq!(fetched(&reader).await, [], "{mode}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_says_at_both_levels_is_held_once_whichever_is_read_first() {
    let address = "10.0.0.1:20880";
    for order in [&["all"][..], &["interface", "instance"], &["instance", "interface"]] {
        let store = Arc::default();
        let (_, reader) = open(&store, "");
        let mut list = Watched::new(&reader, "shop.Stock");
        let mut providers = Vec::new();
        for mode in order {
            let query = format!("?register-mode={mode}");
            providers.push(registered(&store, &query, &[address]).await);
            list.shows(&[address]).await;
        }
        // The node of each level has it, and the list.
        let holders = || {
            let news = list.newest.borrow();
            let listed = &news.value.as_ref().unwrap().instances;
            (Arc::strong_count(&listed[0]), listed.len())
        };
        eventually("held once", || holders() == (3, 1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_list_waits_for_every_part_of_it() {
    let store = Arc::default();
    let provider = registered(&store, "?register-mode=instance", &["10.0.0.1:20880"]).await;
    let mut of_interface = stock("10.0.0.2:20880");
    of_interface.application = "".into();
    let (_, other) = open(&store, "?register-mode=interface");
    other.register(&of_interface).await.unwrap();
    let metadata = metadata_of(&store, "10.0.0.1:20880");
    for part in [AT, MAPPING, PROCESSES, &metadata] {
        store.hold(part, true);
        let (_, reader) = open(&store, "");
        let mut list = Watched::new(&reader, "shop.Stock");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(list.newest.borrow().value.is_none(), "a list came without {part}");
        store.hold(part, false);
        let first = list.until(|_| true).await;
        assert_eq!(addresses(&first), ["10.0.0.1:20880", "10.0.0.2:20880"], "{part}");
    }
    drop(provider);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_one_service_of_a_process_is_no_news_to_its_others() {
    const ADDRESS: &str = "10.0.0.1:20880";
    let store = Arc::default();
    let provider = registered(&store, "", &[ADDRESS]).await;
    let orders = instance("shop.Orders", ADDRESS);
    provider.register(&orders).await.unwrap();
    let (_, reader) = open(&store, "");
    let mut lists = ["shop.Stock", "shop.Orders"].map(|name| Watched::new(&reader, name));
    for list in &mut lists {
        list.shows(&[ADDRESS]).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let [mut of_stock, mut of_orders] = lists;
    of_stock.newest.mark_unchanged();
    provider.register(&Instance { weight: 7, ..orders }).await.unwrap();
    of_orders.until(|list| list[0].weight == 7).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!of_stock.newest.has_changed(), "an equal list was put together");
    provider.register(&Instance { weight: 9, ..stock(ADDRESS) }).await.unwrap();
    of_stock.until(|list| list[0].weight == 9).await;
}

#[tokio::test(start_paused = true)]
async fn a_part_that_cannot_be_read_ends_the_watch_and_never_empties_the_list() {
    let store = Arc::default();
    let _provider = registered(&store, "", &["10.0.0.1:20880"]).await;
    for part in [AT, MAPPING, PROCESSES] {
        store.fail_reads(part, true);
        let (_, reader) = open(&store, "");
        let mut list = Watched::new(&reader, "shop.Stock");
        let error = timeout(LIMIT, &mut list.task).await.unwrap().unwrap().unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
        assert!(list.newest.borrow().value.is_none());
        reader.fetch(&key("shop.Stock")).await.unwrap_err();
        store.fail_reads(part, false);
        // In the same session, as after a pause.
        Watched::new(&reader, "shop.Stock").shows(&["10.0.0.1:20880"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_its_session_and_says_why() {
    let store = Arc::default();
    let (tree, reader) = open(&store, "");
    let mut list = Watched::new(&reader, "shop.Stock");
    list.shows(&[]).await;
    tree.lose();
    let error = timeout(LIMIT, &mut list.task).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the session is lost");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_watched_any_more_once_the_last_watch_is_dropped() {
    let store: Arc<MemoryStore> = Arc::default();
    let _provider = registered(&store, "", &["10.0.0.1:20880"]).await;
    let (_, reader) = open(&store, "");
    let mut one = Watched::new(&reader, "shop.Stock");
    let mut two = Watched::new(&reader, "shop.Stock");
    one.shows(&["10.0.0.1:20880"]).await;
    two.shows(&["10.0.0.1:20880"]).await;
    for path in [AT, MAPPING, PROCESSES] {
        assert_eq!(store.watches(path), 1, "{path}");
    }
    drop(one);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(store.watches(AT), 1);
    drop(two);
    eventually("the watches are closed", || store.all_watches() == 0).await;
    // A session that is dropped closes them too.
    let three = Watched::new(&reader, "shop.Stock");
    eventually("the watches are open", || store.watches(PROCESSES) == 1).await;
    drop((three, reader));
    eventually("the watches are closed", || store.all_watches() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_services_of_one_application_watch_its_processes_once() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, provider) = open(&store, "?register-mode=instance");
    let mut registering = JoinSet::new();
    for i in 0..1000 {
        let provider = Arc::clone(&provider);
        registering.spawn(async move {
            provider.register(&instance(&format!("shop.S{i}"), "10.0.0.1:20880")).await.unwrap();
        });
    }
    registering.join_all().await;
    store.take_log();
    let (_, reader) = open(&store, "?register-consumer=false");
    let mut lists: Vec<Watched> =
        (0..1000).map(|i| Watched::new(&reader, &format!("shop.S{i}"))).collect();
    for list in &mut lists {
        list.shows(&["10.0.0.1:20880"]).await;
    }
    assert_eq!(store.watches(PROCESSES), 1);
    let log = store.take_log();
    let of_metadata = log.iter().filter(|line| line.contains("/metadata/")).count();
    assert_eq!((of_metadata, log.len()), (1, 2002), "reads of the metadata, and all reads");

    // Checks of all of them read the processes a few times only.
    let mut checking = JoinSet::new();
    for i in 0..1000 {
        let reader = Arc::clone(&reader);
        checking.spawn(async move { reader.fetch(&key(&format!("shop.S{i}"))).await.unwrap() });
    }
    assert!(checking.join_all().await.iter().all(|listing| listing.instances.len() == 1));
    let log = store.take_log();
    let of_processes: Vec<_> = log.iter().filter(|line| line.ends_with(PROCESSES)).collect();
    assert_eq!(of_processes, [&format!("check {PROCESSES}")]);
}

#[tokio::test(start_paused = true)]
async fn changes_that_come_fast_are_put_together_and_the_first_comes_at_once() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, reader) = open(&store, "?register-consumer=false");
    let mut list = Watched::new(&reader, "shop.Stock");
    list.shows(&[]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, provider) = open(&store, "?register-mode=interface");
    let begun = Clock::now();
    provider.register(&stock("10.0.0.1:1")).await.unwrap();
    list.shows(&["10.0.0.1:1"]).await;
    assert!(begun.elapsed() < Duration::from_millis(10), "{:?}", begun.elapsed());
    let revision = |list: &Watched| list.newest.borrow().value.as_ref().unwrap().revision;
    let before = revision(&list);
    for port in 2..=200 {
        provider.register(&stock(&format!("10.0.0.1:{port}"))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    list.until(|listed| listed.len() == 200).await;
    let lists = revision(&list) - before;
    assert!((5..=13).contains(&lists), "{lists} lists in a second");
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_cannot_be_read_costs_no_other_process_and_is_tried_again() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, one) = open(&store, "?register-mode=instance");
    one.register(&stock("10.0.0.1:20880")).await.unwrap();
    let (_, two) = open(&store, "?register-mode=instance");
    // Of another revision, since it provides one more.
    let other = instance("shop.Orders", "10.0.0.2:20880");
    two.register(&stock("10.0.0.2:20880")).await.unwrap();
    two.register(&other).await.unwrap();
    let metadata = metadata_of(&store, "10.0.0.2:20880");
    store.fail_reads(&metadata, true);
    let (_, reader) = open(&store, "");
    let mut list = Watched::new(&reader, "shop.Stock");
    assert_eq!(addresses(&list.until(|_| true).await), ["10.0.0.1:20880"]);
    assert_eq!(addresses(&fetched(&reader).await), ["10.0.0.1:20880"]);
    store.fail_reads(&metadata, false);
    let begun = Clock::now();
    list.shows(&["10.0.0.1:20880", "10.0.0.2:20880"]).await;
    assert!(begun.elapsed() <= Duration::from_secs(11), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_takes_long_delays_no_change_of_its_neighbours() {
    let store: Arc<MemoryStore> = Arc::default();
    let _one = registered(&store, "?register-mode=instance", &["10.0.0.1:20880"]).await;
    let (_, two) = open(&store, "?register-mode=instance");
    two.register(&stock("10.0.0.2:20880")).await.unwrap();
    two.register(&instance("shop.Orders", "10.0.0.2:20880")).await.unwrap();
    let missing = metadata_of(&store, "10.0.0.2:20880");
    store.hold(&missing, true);
    let (_, reader) = open(&store, "?register-consumer=false");
    let mut list = Watched::new(&reader, "shop.Stock");
    list.shows(&["10.0.0.1:20880"]).await;
    store.take_log();
    // While it is not tried again, and while it is, for four seconds of fourteen.
    let mut more = Vec::new();
    for number in 3..20 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begun = Clock::now();
        let address = format!("10.0.0.{number}:20880");
        more.push(registered(&store, "?register-mode=instance", &[&address]).await);
        list.until(|listed| addresses(listed).contains(&address)).await;
        assert!(begun.elapsed() < Duration::from_millis(200), "{number}: {:?}", begun.elapsed());
    }
    store.hold(&missing, false);
    let begun = Clock::now();
    list.until(|listed| listed.len() == 19).await;
    assert!(begun.elapsed() <= Duration::from_secs(11), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_process_whose_new_revision_cannot_be_read_keeps_its_place() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, provider) = open(&store, "?register-mode=instance");
    provider.register(&stock("10.0.0.1:20880")).await.unwrap();
    let (_, reader) = open(&store, "");
    let mut list = Watched::new(&reader, "shop.Stock");
    list.shows(&["10.0.0.1:20880"]).await;
    // A revision that nobody has written, in place of the one that is known.
    let path = format!("{PROCESSES}/10.0.0.1:20880");
    let known = metadata_of(&store, "10.0.0.1:20880");
    let revision = known.rsplit_once('/').unwrap().1;
    let record = store.read(&path).unwrap();
    store.write(&path, &record.replace(revision, "not-written"));
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!(addresses(&list.until(|_| true).await), ["10.0.0.1:20880"]);
    let json = store.read(&known).unwrap();
    store.write("/dubbo/metadata/shop/not-written", &json.replace("shop.Stock", "shop.Other"));
    // Once it is known it counts.
    list.shows(&[]).await;
    store.delete(&path);
    list.shows(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn an_application_that_comes_to_a_service_later_is_listed_too() {
    let store: Arc<MemoryStore> = Arc::default();
    let _provider = registered(&store, "?register-mode=instance", &["10.0.0.1:20880"]).await;
    let (_, reader) = open(&store, "");
    let mut list = Watched::new(&reader, "shop.Stock");
    list.shows(&["10.0.0.1:20880"]).await;
    let (_, depot) = open(&store, "?register-mode=instance");
    let other = Instance { application: "depot".into(), ..stock("10.0.0.9:20880") };
    // Its processes cannot be read at once, which keeps nothing else waiting.
    store.hold("/services/depot", true);
    depot.register(&other).await.unwrap();
    let more = registered(&store, "?register-mode=instance", &["10.0.0.2:20880"]).await;
    list.shows(&["10.0.0.1:20880", "10.0.0.2:20880"]).await;
    store.hold("/services/depot", false);
    list.shows(&["10.0.0.1:20880", "10.0.0.2:20880", "10.0.0.9:20880"]).await;
    drop(more);
}

#[tokio::test(start_paused = true)]
async fn an_application_that_the_mapping_names_no_more_is_neither_listed_nor_watched() {
    let store: Arc<MemoryStore> = Arc::default();
    let _provider = registered(&store, "?register-mode=instance", &["10.0.0.1:20880"]).await;
    let (_, reader) = open(&store, "?register-consumer=false");
    let mut list = Watched::new(&reader, "shop.Stock");
    list.shows(&["10.0.0.1:20880"]).await;
    store.write(MAPPING, "");
    list.shows(&[]).await;
    assert_eq!(store.watches("/services/shop"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_names_more_applications_than_are_read_is_told() {
    let store: Arc<MemoryStore> = Arc::default();
    let _provider = registered(&store, "?register-mode=instance", &["10.0.0.1:20880"]).await;
    let others = |count| (1..count).map(|n| format!(",other{n}")).collect::<String>();
    for (count, is_long) in [(1000, false), (1001, true)] {
        store.write(MAPPING, &format!("shop{}", others(count)));
        let (_, reader) = open(&store, "?register-consumer=false");
        let is_told = |one: &TreeSession| !one.layout.told.long_mappings.is_due(&key("shop.Stock"));
        assert_eq!(addresses(&fetched(&reader).await), ["10.0.0.1:20880"]);
        assert_eq!(is_told(&reader), is_long, "fetched: {count}");
        let (_, reader) = open(&store, "?register-consumer=false");
        Watched::new(&reader, "shop.Stock").shows(&["10.0.0.1:20880"]).await;
        assert_eq!(is_told(&reader), is_long, "watched: {count}");
    }
}

#[tokio::test(start_paused = true)]
async fn malformed_nodes_are_left_out_and_cost_no_other() {
    let store: Arc<MemoryStore> = Arc::default();
    let _provider = registered(&store, "", &["10.0.0.1:20880"]).await;
    for name in ["", "%", "%ff%00", "nonsense", "dubhe%3A%2F%2F", &"a".repeat(10_000)] {
        store.write(&format!("{AT}/{name}x"), "");
    }
    for (name, value) in
        [("a:1", "{"), ("b:1", "[]"), ("c:1", ""), ("d:1", "{\"name\":7}"), ("e", "null")]
    {
        store.write(&format!("{PROCESSES}/{name}"), value);
    }
    store.write(MAPPING, "shop,,..,a/b,\u{7},shop");
    let (_, reader) = open(&store, "");
    let mut list = Watched::new(&reader, "shop.Stock");
    assert_eq!(list.until(|_| true).await, [stock("10.0.0.1:20880")]);
    assert_eq!(fetched(&reader).await, [stock("10.0.0.1:20880")]);
    assert_eq!(reader.services().await.unwrap(), [key("shop.Stock")]);
}

#[tokio::test(start_paused = true)]
async fn every_service_of_both_levels_is_found() {
    for root in ["dubbo", "shop-root"] {
        let store: Arc<MemoryStore> = Arc::default();
        let (_, interface) = open(&store, &format!("?group={root}&register-mode=interface"));
        let (_, record) = open(&store, &format!("?group={root}&register-mode=instance"));
        interface.register(&instance("blue/shop.A:1.0", "10.0.0.1:1")).await.unwrap();
        interface.register(&instance("shop.A", "10.0.0.1:1")).await.unwrap();
        record.register(&instance("shop.B:2.0", "10.0.0.1:2")).await.unwrap();
        let gone = instance("shop.C", "10.0.0.1:1");
        interface.register(&gone).await.unwrap();
        interface.unregister(&gone).await.unwrap();
        // Java keeps what a process serves with the process; its services are known by the mapping.
        store.write(&format!("/{root}/mapping/shop.D"), "other,stores");
        let services = if root == "dubbo" { "services" } else { root };
        store.write(
            &format!("/{services}/stores/10.0.0.7:20880"),
            r#"{"name":"stores","address":"10.0.0.7","port":20880,"payload":{"metadata":
                {"dubbo.metadata.revision":"r1","dubbo.metadata.storage-type":"local"}}}"#,
        );
        let (_, reader) = open(&store, &format!("?group={root}"));
        let services = reader.services().await.unwrap();
        let expected = ["blue/shop.A:1.0", "shop.A", "shop.B:2.0", "shop.D"].map(key);
        let mut sorted = services.clone();
        sorted.sort();
        assert_eq!(sorted, expected, "{root}");
    }
}
