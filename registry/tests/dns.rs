//! `dns://` against a real name server whose records change, which dies, and which answers in part.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dubhe_registry::{Registry, RegistryParams, builtin, connect, open};
use rpc_core::{Source, Subscription};
use servers::Dnsmasq;
use tokio::time::{Instant, timeout};
use world::log::{listen, logged};
use world::{LIMIT, addresses, eventually, instance, key, shows, until};

const SERVICE: &str = "shop.Inventory";

/// A name server with these lines of configuration, if it is installed.
fn dnsmasq(config: &str) -> Option<Dnsmasq> {
    listen();
    Dnsmasq::start(config)
}

/// A registry over this server that asks again soon.
fn registry(server: &Dnsmasq, name: &str) -> Arc<dyn Registry> {
    connect(&address(server, name)).unwrap()
}

fn address(server: &Dnsmasq, name: &str) -> String {
    format!("dns://{name}?server={}&min-ttl=50ms&max-ttl=100ms", server.address())
}

/// Waits until the list is not confirmed, for this reason.
async fn is_doubted(list: &Subscription, why: &str) {
    let mut trouble = list.watch_trouble();
    let doubted =
        trouble.wait_for(|trouble| trouble.as_ref().is_some_and(|t| t.error.contains(why)));
    match timeout(LIMIT, doubted).await {
        Ok(doubted) => drop(doubted.unwrap()),
        Err(_) => panic!("it says {:?}", list.trouble()),
    }
}

async fn is_confirmed(list: &Subscription) {
    let mut trouble = list.watch_trouble();
    timeout(LIMIT, trouble.wait_for(Option::is_none)).await.unwrap().unwrap();
}

#[tokio::test]
async fn records_appear_change_and_vanish() {
    let Some(server) = dnsmasq("") else { return };
    let registry = registry(&server, "shop.test:20880");
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    assert_eq!(list.latest().source, Source::Pending);
    is_doubted(&list, "`shop.test` does not exist as far as the name server 127.0.0.1:").await;

    server.set(&[("10.0.0.1", "shop.test"), ("fd00::1", "shop.test")]);
    let first = shows(&mut list, &["10.0.0.1:20880", "[fd00::1]:20880"]).await;
    let one = &first.instances[0];
    assert_eq!((&*one.id, one.started_ms, one.weight), ("10.0.0.1:20880", 0, 100));
    is_confirmed(&list).await;

    server.set(&[("10.0.0.1", "shop.test"), ("10.0.0.2", "shop.test")]);
    shows(&mut list, &["10.0.0.1:20880", "10.0.0.2:20880"]).await;

    server.set(&[("10.0.0.1", "other.test")]);
    is_doubted(&list, "does not exist").await;
    assert_eq!(addresses(&list.latest()), ["10.0.0.1:20880", "10.0.0.2:20880"]);
    assert_eq!(list.latest().source, Source::Live);

    server.set(&[("10.0.0.3", "shop.test")]);
    shows(&mut list, &["10.0.0.3:20880"]).await;
    is_confirmed(&list).await;
}

#[tokio::test]
async fn every_service_has_the_same_addresses_and_registering_changes_nothing() {
    let Some(server) = dnsmasq("") else { return };
    server.set(&[("10.0.0.2", "shop.test"), ("10.0.0.1", "shop.test")]);
    let url = address(&server, "shop.test:1") + "&codecs=json,msgpack&protocols=dubbo";
    let registry = connect(&url).unwrap();
    let guard = registry.register(instance(SERVICE, "c:3")).await.unwrap();
    assert!(guard.is_registered());
    let again = registry.register(instance(SERVICE, "d:4")).await.unwrap();
    assert!(again.is_registered());
    for service in [SERVICE, "shop.Orders:2"] {
        let mut list = registry.subscribe(&key(service)).await.unwrap();
        let snapshot = shows(&mut list, &["10.0.0.1:1", "10.0.0.2:1"]).await;
        let one = &snapshot.instances[0];
        assert_eq!(
            (&one.codecs[..], &one.protocols[..]),
            (&["json".to_owned(), "msgpack".to_owned()][..], &["dubbo".to_owned()][..],)
        );
        assert_eq!(one.service, key(service));
        assert_eq!(registry.list(&key(service)).await.unwrap().len(), 2);
    }
    assert!(registry.services().await.unwrap().is_empty());
    guard.unregister().await.unwrap();
    assert_eq!(logged(&["registry=dns://shop.test:1", "takes no registrations"]), 1);
}

#[tokio::test]
async fn a_list_that_udp_does_not_hold_comes_by_tcp() {
    let Some(server) = dnsmasq("edns-packet-max=512") else { return };
    let ips: Vec<String> = (0..100).map(|i| format!("10.0.1.{i}")).collect();
    server.set(&ips.iter().map(|ip| (&**ip, "shop.test")).collect::<Vec<_>>());
    let registry = registry(&server, "shop.test:20880");
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    let snapshot = until(&mut list, |snapshot| snapshot.source == Source::Live).await;
    assert_eq!(snapshot.instances.len(), 100);
}

#[tokio::test]
async fn records_are_asked_for_again_when_their_time_is_over() {
    let Some(server) = dnsmasq("local-ttl=2") else { return };
    server.set(&[("10.0.0.1", "shop.test")]);
    let url = format!("dns://shop.test:1?family=ipv4&server={}&min-ttl=50ms", server.address());
    let registry = connect(&url).unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["10.0.0.1:1"]).await;
    let begin = Instant::now();
    server.set(&[("10.0.0.2", "shop.test")]);
    shows(&mut list, &["10.0.0.2:1"]).await;
    assert!(begin.elapsed() > Duration::from_secs(1), "{:?}", begin.elapsed());
    // The answer may have come before the records changed; an idle second more asks once at most.
    let questions = (server.questions("A", "shop.test"), server.questions("AAAA", "shop.test"));
    assert!((2..=3).contains(&questions.0) && questions.1 == 0, "{questions:?}");
}

#[tokio::test]
async fn a_bound_limits_how_long_records_stand() {
    let Some(server) = dnsmasq("local-ttl=3600") else { return };
    server.set(&[("10.0.0.1", "shop.test")]);
    let registry = registry(&server, "shop.test:1");
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["10.0.0.1:1"]).await;
    server.set(&[("10.0.0.2", "shop.test")]);
    shows(&mut list, &["10.0.0.2:1"]).await;
}

/// The lines of SRV records of `_rpc._tcp.shop.test`.
fn srv(records: &[(&str, u16, u16, u16)]) -> String {
    let mut lines = String::new();
    for (target, port, priority, weight) in records {
        writeln!(lines, "srv-host=_rpc._tcp.shop.test,{target},{port},{priority},{weight}")
            .unwrap();
    }
    lines
}

fn weights(list: &Subscription) -> BTreeMap<String, u32> {
    let listed = list.latest();
    listed.instances.iter().map(|one| (one.address.to_string(), one.weight)).collect()
}

#[tokio::test]
async fn srv_records_bring_ports_weights_and_priorities() {
    let records = [
        ("a.shop.test", 1001, 1, 10),
        ("b.shop.test", 1002, 1, 30),
        ("c.shop.test", 1003, 1, 0),
        ("a.shop.test", 1004, 2, 99),
    ];
    let Some(mut server) = dnsmasq(&srv(&records)) else { return };
    let hosts = [
        ("10.0.0.1", "a.shop.test"),
        ("10.0.0.2", "b.shop.test"),
        ("10.0.0.3", "b.shop.test"),
        ("10.0.0.4", "c.shop.test"),
    ];
    server.set(&hosts);
    let registry = registry(&server, "_rpc._tcp.shop.test");
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["10.0.0.1:1001", "10.0.0.2:1002", "10.0.0.3:1002", "10.0.0.4:1003"]).await;
    let expected = [
        ("10.0.0.1:1001", 1000),
        ("10.0.0.2:1002", 1500),
        ("10.0.0.3:1002", 1500),
        ("10.0.0.4:1003", 1),
    ];
    assert_eq!(weights(&list), expected.map(|(at, weight)| (at.to_owned(), weight)).into());

    // Nobody of the first priority has an address.
    server.restart(&srv(&[("gone.shop.test", 1001, 1, 10), ("b.shop.test", 1002, 2, 0)]));
    shows(&mut list, &["10.0.0.2:1002", "10.0.0.3:1002"]).await;
    assert_eq!(weights(&list).into_values().collect::<Vec<_>>(), [50, 50]);

    server.restart("");
    is_doubted(&list, "`_rpc._tcp.shop.test` does not exist").await;
    assert_eq!(list.latest().instances.len(), 2);
}

#[tokio::test]
async fn what_a_part_of_the_questions_does_not_answer_stays() {
    // The server refuses to say what it does not know, as nothing outside of `.test` is its own.
    let records = [("a.shop.test", 1001, 1, 1), ("b.shop.example", 1002, 1, 1)];
    let Some(server) = dnsmasq(&srv(&records)) else { return };
    let (a, b) = (("10.0.0.1", "a.shop.test"), ("10.0.0.2", "b.shop.example"));
    let plain = [("10.0.0.1", "shop.example"), ("fd00::1", "shop.example")];
    server.set(&[a, b, plain[0], plain[1]]);

    let by_srv = registry(&server, "_rpc._tcp.shop.test");
    let mut by_srv = by_srv.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut by_srv, &["10.0.0.1:1001", "10.0.0.2:1002"]).await;
    let by_name = registry(&server, "shop.example:20880");
    let mut by_name = by_name.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut by_name, &["10.0.0.1:20880", "[fd00::1]:20880"]).await;

    // One target and one kind of address are refused; what else changed is seen.
    server.set(&[("10.0.0.9", a.1), ("10.0.0.9", plain[0].1)]);
    shows(&mut by_srv, &["10.0.0.2:1002", "10.0.0.9:1001"]).await;
    shows(&mut by_name, &["10.0.0.9:20880", "[fd00::1]:20880"]).await;
    assert!(by_srv.trouble().is_none() && by_name.trouble().is_none());

    server.set(&[]);
    is_doubted(&by_name, "answers with an error").await;
    assert_eq!(addresses(&by_name.latest()), ["10.0.0.9:20880", "[fd00::1]:20880"]);
}

#[tokio::test]
async fn a_name_without_addresses_is_told_from_one_that_is_not_there() {
    let Some(server) = dnsmasq("txt-record=shop.test,hello") else { return };
    server.set(&[("10.0.0.1", "four.test")]);
    for (name, why) in [
        ("shop.test:1", "`shop.test` has no A or AAAA records, check what it should have"),
        ("gone.test:1", "`gone.test` does not exist as far as the name server"),
        ("_rpc._tcp.shop.test", "`_rpc._tcp.shop.test` does not exist"),
        ("shop.example:1", "answers with an error"),
    ] {
        let error = registry(&server, name).list(&key(SERVICE)).await.unwrap_err().to_string();
        assert!(
            error.contains(why) && error.contains(&format!("registry dns://{name}: ")),
            "{error}"
        );
        let error = registry(&server, name).services().await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let six = connect(&(address(&server, "four.test:1") + "&family=ipv6")).unwrap();
    let error = six.list(&key(SERVICE)).await.unwrap_err().to_string();
    assert!(error.contains("`four.test` has no AAAA records"), "{error}");
}

#[tokio::test]
async fn a_server_that_dies_costs_no_address_and_is_told_once() {
    let Some(mut server) = dnsmasq("") else { return };
    server.set(&[("10.0.0.1", "once.test")]);
    let registry = registry(&server, "once.test:1");
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["10.0.0.1:1"]).await;
    server.kill();
    is_doubted(&list, "does not answer in time, check that it is running").await;
    assert_eq!(addresses(&list.latest()), ["10.0.0.1:1"]);
    server.restart("");
    is_confirmed(&list).await;
    eventually(|| logged(&["registry=dns://once.test:1", "name is answered again"]) == 1).await;

    server.set(&[("10.0.0.2", "once.test")]);
    shows(&mut list, &["10.0.0.2:1"]).await;
    // Another outage within a minute is no news.
    server.kill();
    is_doubted(&list, "does not answer in time").await;
    server.restart("");
    is_confirmed(&list).await;
    assert_eq!(logged(&["registry=dns://once.test:1", "name is not answered"]), 1);
}

#[tokio::test]
async fn a_consumer_starts_without_its_name_server() {
    let Some(mut server) = dnsmasq("") else { return };
    server.set(&[("10.0.0.1", "shop.test")]);
    let dir = tempfile::tempdir().unwrap();
    let mut cached = RegistryParams::new(address(&server, "shop.test:1"));
    cached.cache_dir = Some(dir.path().to_owned());
    let first = open(&builtin(), &cached).unwrap();
    shows(&mut first.subscribe(&key(SERVICE)).await.unwrap(), &["10.0.0.1:1"]).await;
    let is_listed = |path: &Path| path.extension().is_some_and(|kind| kind == "list");
    let files = || std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
    eventually(|| files().any(|path| is_listed(&path))).await;
    first.shutdown().await;
    server.kill();

    let from_disk = open(&builtin(), &cached).unwrap();
    let mut from_disk = from_disk.subscribe(&key(SERVICE)).await.unwrap();
    assert!(matches!(from_disk.latest().source, Source::Cache { .. }));
    assert_eq!(addresses(&from_disk.latest()), ["10.0.0.1:1"]);
    let bare = registry(&server, "shop.test:1");
    let mut bare = bare.subscribe(&key(SERVICE)).await.unwrap();
    assert_eq!(bare.latest().source, Source::Pending);
    is_doubted(&bare, "does not answer in time").await;

    server.restart("");
    shows(&mut from_disk, &["10.0.0.1:1"]).await;
    shows(&mut bare, &["10.0.0.1:1"]).await;
}

#[test]
fn wrong_addresses_say_what_to_write() {
    for (url, expected) in [
        ("dns://shop.internal", "A and AAAA records have no port"),
        ("dns://_rpc._tcp.shop:1", "SRV records have the port, leave it out"),
        ("dns://shop:1?srw=true", "unknown parameter of dns:// `srw` (did you mean `srv`?)"),
        ("dns://sh$op:1", "the name has a `$`"),
        ("dns://10.0.0.1:1", "for addresses write static://HOST:PORT"),
        ("dns://a:1,b:1", "it takes one name"),
    ] {
        let error = connect(url).unwrap_err().to_string();
        assert!(error.contains(expected), "{url}: {error}");
    }
}
