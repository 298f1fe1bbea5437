//! A registry server with a data folder, in a process that is killed, stopped and started again.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dubhe_registry::{Registration, Registry, builtin, open};
use rpc_core::{Instance, Snapshot, Source, Subscription};
use tokio::time::{Instant, sleep, timeout};
use world::process::{ServerProcess, become_server};
use world::{LIMIT, addresses, instance, key, shows, until};

const SERVICE: &str = "shop.Inventory";
const LEASE: Duration = Duration::from_secs(3);

#[test]
fn becomes_a_server() {
    become_server();
}

/// `n` providers, each a client of its own.
async fn providers(server: &ServerProcess, n: usize) -> Vec<(Arc<dyn Registry>, Registration)> {
    let mut providers = Vec::new();
    for i in 0..n {
        let registry = client(server);
        let one = registry.register(instance(SERVICE, &format!("p{i}:1"))).await.unwrap();
        assert!(one.is_registered());
        providers.push((registry, one));
    }
    providers
}

fn client(server: &ServerProcess) -> Arc<dyn Registry> {
    open(&builtin(), &server.config()).unwrap()
}

/// Follows a list; returns the shortest length it ever had from now on.
fn shortest(mut list: Subscription) -> Arc<AtomicUsize> {
    let shortest = Arc::new(AtomicUsize::new(list.latest().instances.len()));
    let seen = Arc::clone(&shortest);
    tokio::spawn(async move {
        while let Some(snapshot) = list.next().await {
            seen.fetch_min(snapshot.instances.len(), Ordering::SeqCst);
        }
    });
    shortest
}

#[tokio::test]
async fn a_server_that_was_killed_knows_at_once_what_was_registered_and_evicts_who_stays_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start("127.0.0.1:0", LEASE, dir.path()).await;
    let address = server.address.to_string();
    let mut providers = providers(&server, 4).await;
    server.kill();
    // While the server is dead, one provider dies too, without a word.
    drop(providers.pop());
    let server = ServerProcess::start(&address, LEASE, dir.path()).await;
    let restarted = Instant::now();
    let reader = client(&server);
    let mut list = reader.subscribe(&key(SERVICE)).await.unwrap();
    assert_eq!(addresses(&list.latest()), ["p0:1", "p1:1", "p2:1", "p3:1"]);
    assert_eq!(list.latest().source, Source::Live);
    shows(&mut list, &["p0:1", "p1:1", "p2:1"]).await;
    let grace = restarted.elapsed();
    assert!(grace > LEASE / 2, "evicted after {grace:?}, before it could come back");
    for (_, registration) in &providers {
        assert!(registration.is_registered(), "{grace:?} {registration:?}");
    }
}

#[tokio::test]
async fn a_provider_that_ends_before_its_session_is_back_leaves_no_instance() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start("127.0.0.1:0", LEASE, dir.path()).await;
    let address = server.address.to_string();
    let providers = providers(&server, 3).await;
    server.kill();
    for (_, registration) in &providers {
        let mut registered = registration.watch();
        timeout(LIMIT, registered.wait_for(|is| !is)).await.unwrap().unwrap();
    }
    // Pauses between attempts have become long, so none of them is back just after the server is.
    sleep(Duration::from_secs(3)).await;
    let server = ServerProcess::start(&address, LEASE, dir.path()).await;
    let ends = providers.into_iter().map(|(_, registration)| registration.unregister());
    for end in futures_util::future::join_all(ends).await {
        end.unwrap();
    }
    // Silent ones would stay for long: so many make a registry believe that it is cut off itself.
    assert_eq!(client(&server).list(&key(SERVICE)).await.unwrap(), []);
}

#[tokio::test]
async fn an_instance_stays_its_clients_own_over_a_kill_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start("127.0.0.1:0", LEASE, dir.path()).await;
    let address = server.address.to_string();
    let providers = providers(&server, 1).await;
    let reader = client(&server);
    let mut list = reader.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["p0:1"]).await;
    let thief = client(&server);
    let theirs = Instance { weight: 0, started_ms: u64::MAX, ..instance(SERVICE, "p0:1") };
    let stolen = thief.register(theirs).await.unwrap();
    assert!(!stolen.is_registered());
    for _ in 0..3 {
        server.kill();
        server = ServerProcess::start(&address, LEASE, dir.path()).await;
        let mut registered = providers[0].1.watch();
        let back = registered.wait_for(|is| *is);
        timeout(LIMIT, back).await.unwrap().unwrap();
        sleep(LEASE / 3).await;
        assert!(!stolen.is_registered());
        let listed = client(&server).list(&key(SERVICE)).await.unwrap();
        assert_eq!(listed, [instance(SERVICE, "p0:1")]);
    }
    assert_eq!(list.latest().to_vec(), [instance(SERVICE, "p0:1")]);
}

#[tokio::test]
async fn a_server_that_is_stopped_for_more_than_two_leases_evicts_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start("127.0.0.1:0", LEASE, dir.path()).await;
    let _providers = providers(&server, 3).await;
    let reader = client(&server);
    let mut list = reader.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["p0:1", "p1:1", "p2:1"]).await;
    let mut trouble = list.watch_trouble();
    let shortest = shortest(reader.subscribe(&key(SERVICE)).await.unwrap());
    server.signal("STOP");
    // Long enough that every client has given its session up, too.
    sleep(LEASE * 7 / 3).await;
    timeout(LIMIT, trouble.wait_for(Option::is_some)).await.unwrap().unwrap();
    server.signal("CONT");
    timeout(LIMIT, trouble.wait_for(Option::is_none)).await.unwrap().unwrap();
    sleep(LEASE).await;
    assert!(shortest.load(Ordering::SeqCst) >= 3, "a list lost {shortest:?}");
    let fresh = client(&server).list(&key(SERVICE)).await.unwrap();
    assert_eq!(fresh.len(), 3);
}

#[tokio::test]
async fn after_restarts_in_a_row_every_list_equals_the_live_set() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start("127.0.0.1:0", LEASE, dir.path()).await;
    let address = server.address.to_string();
    let mut live = providers(&server, 4).await;
    let reader = client(&server);
    let mut list = reader.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["p0:1", "p1:1", "p2:1", "p3:1"]).await;
    let shortest = shortest(reader.subscribe(&key(SERVICE)).await.unwrap());
    for round in 0..5 {
        server.kill();
        server = ServerProcess::start(&address, LEASE, dir.path()).await;
        // One that comes while the registry goes up and down.
        let registry = client(&server);
        let one = instance(SERVICE, &format!("q{round}:1"));
        let registration = registry.register(one).await.unwrap();
        live.push((registry, registration));
        sleep(Duration::from_millis(300)).await;
    }
    let last = Instant::now();
    let expected: BTreeSet<String> =
        (0..4).map(|i| format!("p{i}:1")).chain((0..5).map(|i| format!("q{i}:1"))).collect();
    let is_live = |list: &Snapshot| {
        list.instances.iter().map(|one| one.address.to_string()).collect::<BTreeSet<_>>()
            == expected
    };
    until(&mut list, is_live).await;
    assert!(last.elapsed() < Duration::from_secs(5), "{:?}", last.elapsed());
    assert!(shortest.load(Ordering::SeqCst) >= 4, "a list lost {shortest:?}");
}

#[tokio::test]
async fn eight_watchers_end_equal_over_a_kill_in_the_middle_of_many_changes() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start("127.0.0.1:0", LEASE, dir.path()).await;
    let address = server.address.to_string();
    let provider = client(&server);
    let guard = provider.register(instance(SERVICE, "p:1")).await.unwrap();
    let mut watchers = Vec::new();
    for _ in 0..8 {
        let registry = client(&server);
        let list = registry.subscribe(&key(SERVICE)).await.unwrap();
        watchers.push((registry, list));
    }
    let weighing = |weight| Instance { weight, ..instance(SERVICE, "p:1") };
    for weight in 1..=300 {
        guard.update(weighing(weight)).unwrap();
        sleep(Duration::from_millis(3)).await;
        if weight == 150 {
            server.kill();
            server = ServerProcess::start(&address, LEASE, dir.path()).await;
        }
    }
    let mut lists = Vec::new();
    for (_, list) in &mut watchers {
        lists.push(until(list, |list| list.instances.iter().any(|i| i.weight == 300)).await);
    }
    assert!(lists.windows(2).all(|pair| pair[0] == pair[1]));
}
