//! Lists that are checked: what a watch has missed is repaired, and what is as it was is not read.

use super::lists::{AT, MAPPING, PROCESSES, registered, stock};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_fetch_repairs_what_a_watch_has_missed_and_it_stays_repaired() {
    for mode in ["interface", "instance"] {
        let store: Arc<MemoryStore> = Arc::default();
        let (_, reader) = open(&store, "?register-consumer=false");
        let mode = format!("?register-mode={mode}");
        let provider = registered(&store, &mode, &["10.0.0.1:20880"]).await;
        let mut list = Watched::new(&reader, "shop.Stock");
        list.shows(&["10.0.0.1:20880"]).await;
        store.deafen();
        let mut missed = async |before: &[&str], after: &[Instance]| {
            tokio::time::sleep(Duration::from_secs(25)).await;
            assert_eq!(addresses(&list.until(|_| true).await), before);
            let listing = reader.fetch(&key("shop.Stock")).await.unwrap();
            let mut fetched = owned(&listing.instances);
            fetched.sort_by(|one, other| one.address.cmp(&other.address));
            assert_eq!(fetched, after, "{mode}");
            // The watch has it from there, as a newer list unless the check has found that one already.
            list.until(|listed| addresses(listed) == addresses(after)).await;
            assert!(list.newest.borrow().value.as_ref().unwrap().revision >= listing.revision);
        };
        let [one, two, three] = [1, 2, 3].map(|i| format!("10.0.0.{i}:20880"));
        let (heavy, two_alone) = (Instance { weight: 7, ..stock(&one) }, [stock(&two)]);
        provider.register(&stock(&two)).await.unwrap();
        missed(&[&one], &[stock(&one), stock(&two)]).await;
        provider.register(&heavy).await.unwrap();
        missed(&[&one, &two], &[heavy.clone(), stock(&two)]).await;
        provider.unregister(&heavy).await.unwrap();
        missed(&[&one, &two], &two_alone).await;
        // As many as before.
        provider.unregister(&stock(&two)).await.unwrap();
        provider.register(&stock(&three)).await.unwrap();
        missed(&[&two], &[stock(&three)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_repairs_what_a_watch_has_missed_of_the_mapping() {
    let store: Arc<MemoryStore> = Arc::default();
    let _provider = registered(&store, "?register-mode=instance", &["10.0.0.1:20880"]).await;
    let (_, reader) = open(&store, "?register-consumer=false");
    let mut list = Watched::new(&reader, "shop.Stock");
    list.shows(&["10.0.0.1:20880"]).await;
    store.deafen();
    for (mapping, expected) in [("other", &[][..]), ("other,shop", &["10.0.0.1:20880"])] {
        store.write(MAPPING, mapping);
        tokio::time::sleep(Duration::from_secs(25)).await;
        let listing = reader.fetch(&key("shop.Stock")).await.unwrap();
        assert_eq!(addresses(&listing.instances), expected, "{mapping}");
        list.shows(expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_reads_nothing_of_a_list_that_has_not_changed() {
    let store: Arc<MemoryStore> = Arc::default();
    let provider = registered(&store, "", &["10.0.0.1:20880", "10.0.0.2:20880"]).await;
    let (_, reader) = open(&store, "?register-consumer=false");
    let mut list = Watched::new(&reader, "shop.Stock");
    list.shows(&["10.0.0.1:20880", "10.0.0.2:20880"]).await;
    let three = stock("10.0.0.3:20880");
    for is_changed in [false, false, true, false] {
        if is_changed {
            provider.register(&three).await.unwrap();
            list.until(|listed| listed.len() == 3).await;
        }
        tokio::time::sleep(Duration::from_secs(25)).await;
        store.take_log();
        let listing = reader.fetch(&key("shop.Stock")).await.unwrap();
        // It is the list that the watch has put, and was not made for the check.
        assert_eq!(Some(&listing), list.newest.borrow().value.as_ref());
        let mut log = store.take_log();
        log.sort();
        let (first, last) = (format!("get {MAPPING}"), [AT, PROCESSES]);
        let expected = match is_changed {
            true => [&[first], &last.map(|path| format!("list {path}"))[..]].concat(),
            false => [&last.map(|path| format!("check {path}"))[..], &[first]].concat(),
        };
        assert_eq!(log, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_list_that_does_not_change_is_told_again_by_its_checks() {
    let store: Arc<MemoryStore> = Arc::default();
    let provider = registered(&store, "", &["10.0.0.1:20880"]).await;
    store.write(&format!("{AT}/nonsense"), "");
    store.write(&format!("{AT}/tri%3A%2F%2F10.0.0.2%3A50051%2Fshop.Stock"), "");
    let (_, reader) = open(&store, "?register-consumer=false");
    let mut list = Watched::new(&reader, "shop.Stock");
    list.until(|_| true).await;
    let told = &reader.reader.layout.told;
    let is_told = || [&told.malformed, &told.notes].map(|told| !told.is_due(&key("shop.Stock")));
    // Told with the first list, again ten minutes later, and not between.
    for is_checked in [false, true] {
        if is_checked {
            tokio::time::sleep(Duration::from_secs(700)).await;
            reader.fetch(&key("shop.Stock")).await.unwrap();
        }
        assert_eq!(is_told(), [true, true], "checked: {is_checked}");
    }
    drop(provider);
}
