//! What is said of a tree to people who look for what is wrong with it.

use super::*;
use crate::{CheckResult, Diagnosis};

const PROVIDERS: &str = "/dubbo/shop.Stock/providers";

async fn survey(store: &Arc<MemoryStore>) -> Vec<Diagnosis> {
    open(store, "").1.survey().await.unwrap()
}

fn found<'a>(seen: &'a [Diagnosis], check: &str, of: &str) -> &'a Diagnosis {
    seen.iter().find(|seen| seen.check == check && seen.of == of).unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_level_is_counted_and_an_empty_tree_is_a_warning() {
    let store = Arc::default();
    let empty = survey(&store).await;
    let layout = empty.iter().find(|seen| seen.check == "layout").unwrap();
    assert_eq!(layout.result, CheckResult::Warn);
    assert!(layout.seen.contains("under the root `dubbo`"), "{layout}");
    let (_, session) = open(&store, "");
    for (service, address) in [("shop.Stock", "10.0.0.1:1"), ("shop.Till", "10.0.0.1:1")] {
        session.register(&instance(service, address)).await.unwrap();
    }
    let seen = survey(&store).await;
    let of_interfaces = found(&seen, "layout", "interface level");
    assert!(of_interfaces.seen.starts_with("2 interfaces, 2 provider URLs"), "{of_interfaces}");
    let of_applications = found(&seen, "layout", "application level");
    assert!(of_applications.seen.starts_with("1 applications, 1 processes"), "{of_applications}");
    assert!(seen.iter().all(|seen| seen.result == CheckResult::Ok), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_counted_with_an_example() {
    let store: Arc<MemoryStore> = Arc::default();
    store.write(&format!("{PROVIDERS}/nonsense"), "");
    store.write("/dubbo/shop.Till/providers/dubbo%3A%2F%2F", "");
    store.write("/services/shop/10.0.0.1:1", "{ no json");
    let seen = survey(&store).await;
    let urls = found(&seen, "entries", "interface level");
    assert_eq!(urls.result, CheckResult::Warn);
    assert!(urls.seen.starts_with("2 cannot be read and are left out, such as "), "{urls}");
    let records = found(&seen, "entries", "application level");
    assert!(records.seen.contains("1 cannot be read"), "{records}");
    assert!(records.seen.contains("shop/10.0.0.1:1"), "{records}");
    assert!(records.remedy.as_ref().unwrap().contains("correct the providers"), "{records}");
}

#[tokio::test(start_paused = true)]
async fn providers_that_we_cannot_call_are_told_with_the_reason() {
    let store: Arc<MemoryStore> = Arc::default();
    let url = "tri%3A%2F%2F10.0.0.1%3A1%2Fshop.Stock%3Fapplication%3Dold%26interface%3Dshop.Stock\
               %26side%3Dprovider";
    store.write(&format!("{PROVIDERS}/{url}"), "");
    let seen = survey(&store).await;
    let foreign = found(&seen, "entries", "old");
    assert_eq!(foreign.result, CheckResult::Warn);
    assert!(foreign.seen.contains("they speak tri"), "{foreign}");
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_read_costs_no_other_and_is_named() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, session) = open(&store, "");
    for (service, address) in [("shop.Stock", "10.0.0.1:1"), ("shop.Till", "10.0.0.1:1")] {
        session.register(&instance(service, address)).await.unwrap();
    }
    let other = Instance { application: "depot".into(), ..instance("shop.Way", "10.0.0.2:1") };
    session.register(&other).await.unwrap();
    store.fail_reads(PROVIDERS, true);
    store.fail_reads("/services/shop", true);
    let seen = survey(&store).await;
    for (level, folder) in [("interface level", "shop.Stock"), ("application level", "shop")] {
        let mut layout = seen.iter().filter(|seen| seen.check == "layout" && seen.of == level);
        assert!(layout.next().is_some_and(|seen| seen.result == CheckResult::Ok), "{seen:?}");
        let unread = layout.next().unwrap();
        assert_eq!(unread.result, CheckResult::Warn);
        assert!(unread.seen.contains(&format!("such as {folder}: ")), "{unread}");
    }
    let (_, reader) = open(&store, "");
    let others = ["shop.Till", "shop.Way"].map(key);
    assert_eq!(reader.services().await.unwrap(), others);

    // A whole level, and what is mapped to processes whose services are not known.
    store.fail_reads("/services", true);
    assert_eq!(reader.services().await.unwrap(), others);
    store.fail_reads("/dubbo", true);
    let error = reader.services().await.unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_level_that_cannot_be_read_is_no_folder_of_it() {
    let store: Arc<MemoryStore> = Arc::default();
    open(&store, "").1.register(&instance("shop.Stock", "10.0.0.1:1")).await.unwrap();
    for (path, closed, other) in [
        ("/services", "application level", "interface level"),
        ("/dubbo", "interface level", "application level"),
    ] {
        store.fail_reads(path, true);
        let seen = survey(&store).await;
        store.fail_reads(path, false);
        let of = |level| seen.iter().filter(move |seen| seen.of == level);
        let [layout] = of(closed).collect::<Vec<_>>()[..] else { panic!("{seen:?}") };
        assert_eq!((layout.check, layout.result), ("layout", CheckResult::Warn));
        assert!(layout.seen.starts_with("it cannot be read: "), "{layout}");
        assert!(of(other).all(|seen| seen.result == CheckResult::Ok), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_level_that_cannot_be_read_is_told_where_nobody_is_at_the_other() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, session) = open(&store, "");
    let gone = instance("shop.Stock", "10.0.0.1:1");
    session.register(&gone).await.unwrap();
    session.unregister(&gone).await.unwrap();
    store.fail_reads("/dubbo", true);
    let seen = survey(&store).await;
    let layout = seen.iter().find(|seen| seen.of == "interface level").unwrap();
    assert!(layout.seen.starts_with("it cannot be read: "), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_is_no_folder_that_cannot_be_read() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, provider) = open(&store, "");
    provider.register(&instance("shop.Stock", "10.0.0.1:1")).await.unwrap();
    let (tree, reader) = open(&store, "");
    store.hold("/services", true);
    let asked = tokio::spawn(async move { reader.services().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    tree.lose();
    store.hold("/services", false);
    assert!(asked.await.unwrap().unwrap_err().is_closed());
}

#[tokio::test(start_paused = true)]
async fn what_a_record_says_and_cannot_be_read_is_told() {
    let store: Arc<MemoryStore> = Arc::default();
    let (_, session) = open(&store, "?register-mode=instance");
    for service in ["shop.Stock", "shop.Till"] {
        session.register(&instance(service, "10.0.0.1:1")).await.unwrap();
    }
    let names = store.names("/dubbo/metadata/shop");
    for name in names {
        let path = format!("/dubbo/metadata/shop/{name}");
        let text = store.read(&path).unwrap();
        let Some((head, rest)) = text.split_once("shop.Till") else { continue };
        let rest = rest.replacen("\"params\":{", "\"params\":{\"weight\":\"heavy\",", 1);
        store.write(&path, &format!("{head}shop.Till{rest}"));
    }
    let seen = survey(&store).await;
    let records = found(&seen, "entries", "application level");
    assert!(records.seen.starts_with("1 cannot be read and are left out, such as "), "{records}");
    assert!(records.seen.contains("shop/10.0.0.1:1: shop.Till"), "{records}");
}
