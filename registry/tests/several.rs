//! Several registries as one, when one of them is dead at the start, dies, or comes back.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use dubhe_registry::{Registry, builtin, connect, open, several};
use rpc_core::{Instance, Source, Subscription, Trouble};
use tokio::time::timeout;
use world::log::{listen, logged};
#[cfg(all(feature = "etcd", feature = "zookeeper"))]
use world::mixed;
use world::{LIMIT, Place, addresses, dubhe, instance, key, quick, rebind, shows, until};

const SERVICE: &str = "shop.Inventory";

fn both(one: &Place, two: &Place) -> Arc<dyn Registry> {
    let registries = [one, two].map(|place| open(&builtin(), &place.config).unwrap());
    several(registries.into()).unwrap()
}

#[tokio::test]
async fn an_instance_is_listed_once_and_found_through_either_registry() {
    let (one, two) = (dubhe(quick()).await, dubhe(quick()).await);
    let registry = both(&one, &two);
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    assert!(guard.is_registered());
    let _only_here = two.open().register(instance(SERVICE, "b:1")).await.unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1", "b:1"]).await;
    for (place, expected) in [(&one, vec!["a:1"]), (&two, vec!["a:1", "b:1"])] {
        let mut list = place.open().subscribe(&key(SERVICE)).await.unwrap();
        shows(&mut list, &expected).await;
    }
    assert_eq!(registry.list(&key(SERVICE)).await.unwrap().len(), 2);
    let mut lists = Vec::new();
    for place in [&one, &two] {
        lists.push(place.open().subscribe(&key(SERVICE)).await.unwrap());
    }
    // What becomes of it, each of them is told.
    guard.update(Instance { weight: 7, ..instance(SERVICE, "a:1") }).unwrap();
    for list in &mut lists {
        until(list, |list| list.instances.iter().any(|i| i.weight == 7)).await;
    }
    guard.unregister().await.unwrap();
    shows(&mut list, &["b:1"]).await;
    shows(&mut lists[0], &[]).await;
    shows(&mut lists[1], &["b:1"]).await;
}

#[cfg(all(feature = "etcd", feature = "zookeeper"))]
#[tokio::test]
async fn a_process_at_zookeeper_and_etcd_is_one_instance_until_it_has_left_both() {
    let Some(place) = mixed("twice") else { return };
    let (zookeeper, etcd) = place.apart();
    let (provider, consumer) = (place.open(), place.open());
    let guard = provider.register(instance(SERVICE, "a:1")).await.unwrap();
    timeout(LIMIT, guard.watch().wait_for(|is| *is)).await.unwrap().unwrap();
    let _only_there = etcd.register(instance(SERVICE, "b:1")).await.unwrap();
    let mut list = consumer.subscribe(&key(SERVICE)).await.unwrap();
    let listed = shows(&mut list, &["a:1", "b:1"]).await;
    assert_eq!(*listed.instances[0], instance(SERVICE, "a:1"));
    // It is at both, and of both.
    for (registry, expected) in [(&zookeeper, &["a:1"][..]), (&etcd, &["a:1", "b:1"])] {
        shows(&mut registry.subscribe(&key(SERVICE)).await.unwrap(), expected).await;
    }
    assert_eq!(consumer.services().await.unwrap(), [key(SERVICE)]);
    guard.unregister().await.unwrap();
    shows(&mut list, &["b:1"]).await;
}

#[tokio::test]
async fn a_registry_that_dies_takes_nothing_off_the_list_and_is_named() {
    listen();
    let (one, mut two) = (dubhe(quick()).await, dubhe(quick()).await);
    let address = two.server.as_ref().unwrap().local_addr();
    let registry = both(&one, &two);
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let only_there = two.open();
    let _b = only_there.register(instance(SERVICE, "b:1")).await.unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1", "b:1"]).await;
    let mut trouble = list.watch_trouble();
    two.server = None;
    let lost = timeout(LIMIT, trouble.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    let error = lost.unwrap().error;
    assert!(error.starts_with(&format!("dubhe://{address}: ")), "{error}");
    timeout(LIMIT, guard.watch().wait_for(|is| !is)).await.unwrap().unwrap();
    // The other one goes on.
    let _c = one.open().register(instance(SERVICE, "c:1")).await.unwrap();
    shows(&mut list, &["a:1", "b:1", "c:1"]).await;
    guard.update(Instance { weight: 7, ..instance(SERVICE, "a:1") }).unwrap();
    until(&mut list, |list| list.instances.iter().any(|i| i.weight == 7)).await;
    // An answer of the other one alone is none of both, and says so once.
    for _ in 0..2 {
        assert_eq!(registry.services().await.unwrap(), [key(SERVICE)]);
    }
    assert_eq!(logged(&["a registry does not answer", &format!("dubhe://{address}: ")]), 1);

    let _again = rebind(address, quick()).await;
    timeout(LIMIT, guard.watch().wait_for(|is| *is)).await.unwrap().unwrap();
    timeout(LIMIT, trouble.wait_for(Option::is_none)).await.unwrap().unwrap();
    shows(&mut list, &["a:1", "b:1", "c:1"]).await;
}

#[tokio::test]
async fn of_registries_that_are_lost_each_is_named() {
    let (mut one, mut two) = (dubhe(quick()).await, dubhe(quick()).await);
    let address = |place: &Place| place.server.as_ref().unwrap().local_addr();
    let lost = [address(&one), address(&two)].map(|address| format!("dubhe://{address}: "));
    let registry = both(&one, &two);
    let list = registry.subscribe(&key(SERVICE)).await.unwrap();
    let mut trouble = list.watch_trouble();
    (one.server, two.server) = (None, None);
    let are_named = |error: &str| lost.iter().all(|one| error.contains(one));
    let told = |trouble: &Option<Trouble>| trouble.as_ref().is_some_and(|it| are_named(&it.error));
    timeout(LIMIT, trouble.wait_for(told)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_registry_that_is_dead_at_the_start_delays_the_others_by_no_more_than_a_second() {
    let (one, mut two) = (dubhe(quick()).await, dubhe(quick()).await);
    two.server = None;
    let _a = one.open().register(instance(SERVICE, "a:1")).await.unwrap();
    let registry = both(&one, &two);
    let service = key(SERVICE);
    let subscribing = timeout(Duration::from_secs(3), registry.subscribe(&service));
    let list = subscribing.await.unwrap().unwrap();
    assert_eq!((addresses(&list.latest()), list.latest().source), (vec!["a:1"], Source::Live));
    let guard = registry.register(instance(SERVICE, "b:1")).await.unwrap();
    assert!(!guard.is_registered(), "one of them has not confirmed");
    assert!(registry.list(&key(SERVICE)).await.is_ok());
    drop(one);
    assert!(guard.unregister().await.is_err(), "one of them was not told");
}

#[tokio::test]
async fn an_answer_of_nobody_names_each_registry_that_is_away() {
    let registries = ["dubhe://127.0.0.1:1", "dubhe://127.0.0.1:2"];
    let opened = registries.map(|url| connect(url).unwrap());
    let both = several(opened.into()).unwrap();
    for told in [both.services().await.map(drop), both.list(&key(SERVICE)).await.map(drop)] {
        let told = told.unwrap_err();
        assert!(told.is_unreachable(), "{told}");
        let told = told.to_string();
        assert!(registries.iter().all(|url| told.contains(&format!("registry {url}: "))), "{told}");
    }
}

#[tokio::test]
async fn who_consumes_a_service_at_several_registries_is_there_once() {
    let Some(server) = servers::ZooKeeperServer::shared() else { return };
    let url = |root: &str| format!("zookeeper://{}/{root}", server.address());
    let services = key(SERVICE);
    let kept = ["callers-one", "callers-two"].map(|root| connect(&url(root)).unwrap());
    let unkept = connect("memory://callers").unwrap();
    assert_eq!(unkept.consumers(&services).await.unwrap(), None);
    let registry = several([&kept[..], &[unkept]].concat()).unwrap();
    let _list = registry.subscribe(&services).await.unwrap();
    for one in &kept {
        let listed = async { while one.consumers(&services).await.unwrap().unwrap().is_empty() {} };
        timeout(LIMIT, listed).await.unwrap();
    }
    let all = registry.consumers(&services).await.unwrap().unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((&*all[0].host, all[0].pid), ("127.0.0.1", std::process::id()));
}

#[tokio::test]
async fn no_registry_at_all_is_refused() {
    let error = several(Vec::new()).unwrap_err().to_string();
    assert!(error.contains("give one at least"), "{error}");
}

/// Has its list followed again when it is dropped.
struct ResumedAtItsEnd(Subscription);

impl Drop for ResumedAtItsEnd {
    fn drop(&mut self) {
        self.0.resume();
    }
}

#[test]
fn a_list_that_is_followed_again_where_the_runtime_ends_holds_up_nobody() {
    let (done, ended) = std::sync::mpsc::channel();
    // Apart, so that a thread that never comes to its end is a failure.
    std::thread::spawn(move || {
        let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let members = ["memory://ends-1", "memory://ends-2"].map(|at| connect(at).unwrap());
        let registry = several(members.into()).unwrap();
        let first = runtime();
        let list = first.block_on(registry.subscribe(&key(SERVICE))).unwrap();
        drop(first);
        let second = runtime();
        let list = ResumedAtItsEnd(list);
        second.spawn(async move {
            let _list = list;
            std::future::pending::<()>().await;
        });
        drop(second);
        let _ = done.send(());
    });
    ended.recv_timeout(LIMIT).expect("the runtime ends");
}
