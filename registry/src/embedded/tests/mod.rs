//! The embedded registry on paused time: clients on pipes, so that leases and starts can be timed.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod hostile;
mod owners;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rpc_core::{Error, Instance, ServiceKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::caller::Registrant;
use super::secret::{ClientSecret, Identity};
use super::wire::{Ask, ClientMessage, VERSION, frame};
use super::{Client, RegistryHost, RegistryServerConfig, serve};
use crate::backend::{Backend, Demand, Session, Updates};
use crate::lock::locked;
use crate::{RegistryParams, supervise};

fn key() -> ServiceKey {
    ServiceKey::new("shop.Inventory")
}

fn instance(address: &str) -> Instance {
    Instance::new(key(), address, "id")
}

fn pipe(host: &Arc<RegistryHost>) -> DuplexStream {
    let (ours, theirs) = duplex(64 * 1024);
    tokio::spawn(serve(Arc::clone(host), theirs));
    ours
}

async fn client(host: &Arc<RegistryHost>) -> Arc<Client> {
    known(host, &Identity::random()).await
}

/// A session of a client that may have had others.
async fn known(host: &Arc<RegistryHost>, identity: &Arc<Identity>) -> Arc<Client> {
    Client::open(pipe(host), ("test", ""), identity).await.unwrap()
}

fn hello() -> Ask {
    Ask::Hello { version: VERSION, token: String::new(), secret: ClientSecret::default() }
}

fn listed(host: &RegistryHost) -> usize {
    host.list(&key()).version.instances.len()
}

fn no_withholding() -> RegistryServerConfig {
    RegistryServerConfig { withhold: Duration::ZERO, ..RegistryServerConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_leaves_its_instances_three_seconds() {
    let host = RegistryHost::start(no_withholding());
    let (gone, stays) = (client(&host).await, client(&host).await);
    gone.register(&instance("a:1")).await.unwrap();
    stays.register(&instance("b:1")).await.unwrap();
    drop(gone);
    sleep(Duration::from_millis(2900)).await;
    assert_eq!(listed(&host), 2);
    sleep(Duration::from_millis(1200)).await;
    assert_eq!(listed(&host), 1);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(listed(&host), 1, "a client that renews was evicted");
}

#[tokio::test(start_paused = true)]
async fn who_registers_again_owns_the_instance_whatever_becomes_of_the_old_connection() {
    let host = RegistryHost::start(no_withholding());
    let identity = Identity::random();
    let old = known(&host, &identity).await;
    old.register(&instance("a:1")).await.unwrap();
    let new = known(&host, &identity).await;
    new.register(&instance("a:1")).await.unwrap();
    drop(old);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(listed(&host), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_falls_silent_keeps_its_instances_for_the_whole_lease() {
    let host = RegistryHost::start(no_withholding());
    let mut silent = pipe(&host);
    let register = Ask::Register { instance: instance("a:1") };
    for (id, ask) in [hello(), register].into_iter().enumerate() {
        let request = ClientMessage { id: id as u64, ask };
        silent.write_all(&frame(&request)).await.unwrap();
    }
    sleep(Duration::from_millis(29_900)).await;
    assert_eq!(listed(&host), 1);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(listed(&host), 0);
    assert_eq!(host.status().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_has_just_started_withholds_a_list_shorter_than_the_known_one() {
    let host = RegistryHost::start(RegistryServerConfig::default());
    let client = client(&host).await;
    let (updates, mut list) = Updates::new(3);
    let (empty, mut fresh) = Updates::new(0);
    let began = Instant::now();
    let (service, other) = (key(), ServiceKey::new("shop.Orders"));
    tokio::select! {
        ended = client.watch(&service, &updates) => panic!("{ended:?}"),
        ended = client.watch(&other, &empty) => panic!("{ended:?}"),
        () = async {
            client.register(&instance("a:1")).await.unwrap();
            client.register(&instance("b:1")).await.unwrap();
            assert!(client.fetch(&service).await.is_err(), "a repair would take the short list");
            timeout(Duration::from_secs(9), list.changed()).await.unwrap_err();
            client.register(&instance("c:1")).await.unwrap();
            list.changed().await.unwrap();
            assert_eq!(list.borrow_and_update().value.as_ref().unwrap().instances.len(), 3);
            assert!(began.elapsed() < Duration::from_millis(9_200));
            // It has shown a whole list, so what shrinks now has shrunk.
            client.unregister(&instance("c:1")).await.unwrap();
            list.changed().await.unwrap();
            assert_eq!(list.borrow_and_update().value.as_ref().unwrap().instances.len(), 2);
            assert!(began.elapsed() < Duration::from_secs(10));
            fresh.changed().await.unwrap();
            assert_eq!(began.elapsed().as_secs(), 10, "an empty list may be told after the start");
        } => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_is_dropped_and_the_others_go_on() {
    let host = RegistryHost::start(no_withholding());
    let provider = client(&host).await;
    for i in 0..500 {
        provider.register(&instance(&format!("a:{i}"))).await.unwrap();
    }
    let mut stuck = pipe(&host);
    let register = Ask::Register { instance: instance("c:1") };
    let subscribe = Ask::Subscribe { service: key(), known: 0 };
    for (id, ask) in [hello(), register, subscribe].into_iter().enumerate() {
        let request = ClientMessage { id: id as u64, ask };
        stuck.write_all(&frame(&request)).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(host.status().connections, 2);
    provider.register(&instance("b:1")).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(host.status().connections, 1);
    assert_eq!(listed(&host), 502);
    // It may well be alive, so what it registered has its whole lease.
    sleep(Duration::from_secs(20)).await;
    assert_eq!(listed(&host), 502);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(listed(&host), 501);
}

#[tokio::test(start_paused = true)]
async fn all_watchers_see_the_same_order_and_end_equal() {
    let host = RegistryHost::start(RegistryServerConfig {
        push_gap: Duration::from_millis(1),
        ..no_withholding()
    });
    let provider = client(&host).await;
    let mut watchers = Vec::new();
    for _ in 0..8 {
        let client = client(&host).await;
        let (updates, mut list) = Updates::new(0);
        let watch = tokio::spawn(async move {
            let service = key();
            client.watch(&service, &updates).await
        });
        let seen = tokio::spawn(async move {
            let mut last = 0;
            while list.changed().await.is_ok() {
                let newest = list.borrow_and_update().value.clone().unwrap();
                assert!(newest.revision > last, "{} after {last}", newest.revision);
                last = newest.revision;
                if newest.instances.iter().any(|i| &*i.address == "last:1") {
                    return newest;
                }
            }
            panic!("the watch ended early");
        });
        watchers.push((watch, seen));
    }
    for i in 0..2000 {
        let one = instance(&format!("a:{}", i % 50));
        if i % 3 == 2 {
            provider.unregister(&one).await.unwrap();
        } else {
            provider.register(&Instance { weight: i, ..one }).await.unwrap();
        }
    }
    provider.register(&instance("last:1")).await.unwrap();
    let mut lists = Vec::new();
    for (watch, seen) in watchers {
        lists.push(seen.await.unwrap());
        watch.abort();
    }
    assert!(lists.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_stood_still_for_two_leases_evicts_nobody() {
    let host = RegistryHost::start(no_withholding());
    let mut clients = Vec::new();
    for i in 0..3 {
        let client = client(&host).await;
        client.register(&instance(&format!("a:{i}"))).await.unwrap();
        clients.push(client);
    }
    sleep(Duration::from_secs(7)).await;
    // All timers come late at once, as after a suspend.
    tokio::time::advance(Duration::from_secs(60)).await;
    for _ in 0..300 {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(listed(&host), 3);
    }
    for client in clients {
        let closed = timeout(Duration::from_secs(1), client.closed());
        closed.await.expect_err("its session went on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_loses_sight_of_half_its_providers_evicts_few_and_late() {
    let host = RegistryHost::start(no_withholding());
    let mut alive = Vec::new();
    let mut unseen = Vec::new();
    for i in 0..10 {
        let client = client(&host).await;
        client.register(&instance(&format!("a:{i}"))).await.unwrap();
        alive.push(client);
        let mut silent = pipe(&host);
        let register = Ask::Register { instance: instance(&format!("b:{i}")) };
        for (id, ask) in [hello(), register].into_iter().enumerate() {
            silent.write_all(&frame(&ClientMessage { id: id as u64, ask })).await.unwrap();
        }
        unseen.push(silent);
    }
    sleep(Duration::from_secs(40)).await;
    assert!(host.status().is_preserving, "{:?}", host.status());
    let mut last = 20;
    for second in 40..960 {
        // Connections that close bring sweeps forward, but not so that there are more of them.
        for _ in 0..10 {
            let mut passing = pipe(&host);
            passing.write_all(&frame(&ClientMessage { id: 0, ask: hello() })).await.unwrap();
            drop(passing);
            sleep(Duration::from_millis(100)).await;
        }
        let now = listed(&host);
        assert!(last - now <= 3, "{} of {last} evicted in a sweep", last - now);
        assert!(now == 20 || second > 900, "{now} at {second} s");
        last = now;
    }
    assert_eq!(last, 10, "after a quarter of an hour they are rather dead");
    assert!(!host.status().is_preserving);
}

/// A server that can go away and come back, and when clients came to it.
#[derive(Debug, Default)]
struct Piped {
    server: Mutex<Option<(Arc<RegistryHost>, JoinSet<()>)>>,
    came: Mutex<Vec<Instant>>,
    identity: Arc<Identity>,
}

#[async_trait]
impl Backend for Piped {
    fn address(&self) -> String {
        "piped://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        let (ours, theirs) = duplex(64 * 1024);
        {
            let mut server = locked(&self.server);
            let Some((host, connections)) = &mut *server else {
                return Err(Error::unreachable("piped:// is down"));
            };
            connections.spawn(serve(Arc::clone(host), theirs));
        }
        locked(&self.came).push(Instant::now());
        Ok(Client::open(ours, ("piped://", ""), &self.identity).await?)
    }
}

/// Clients subscribe at the same time to a long list, and read its push without reading the list.
async fn pushed_to(clients: usize) {
    let host = RegistryHost::start(no_withholding());
    let caller = Registrant { connection: 1_000_000, secret: ClientSecret::random() };
    for i in 0..2000 {
        host.register(&caller, instance(&format!("a:{i}"))).unwrap();
    }
    let mut reading = JoinSet::new();
    for _ in 0..clients {
        let mut pipe = pipe(&host);
        let subscribe = Ask::Subscribe { service: key(), known: 0 };
        for (id, ask) in [hello(), subscribe].into_iter().enumerate() {
            pipe.write_all(&frame(&ClientMessage { id: id as u64, ask })).await.unwrap();
        }
        reading.spawn(async move {
            // The answers to both questions come before it.
            for _ in 0..3 {
                let length = pipe.read_u32().await.unwrap();
                let mut frame = vec![0; length as usize];
                pipe.read_exact(&mut frame).await.unwrap();
            }
        });
    }
    reading.join_all().await;
}

#[test]
fn a_long_list_is_made_once_and_holds_up_one_thread_however_many_wait_for_it() {
    let threads = Arc::new(AtomicUsize::new(0));
    let started = Arc::clone(&threads);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_start(move || {
            started.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(60), pushed_to(100)).await.unwrap() });
    assert_eq!(threads.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn five_hundred_consumers_come_back_spread_and_soon() {
    let piped = Arc::new(Piped::default());
    let start = || Some((RegistryHost::start(no_withholding()), JoinSet::new()));
    *locked(&piped.server) = start();
    let mut consumers = Vec::new();
    for _ in 0..500 {
        let backend = Arc::clone(&piped) as Arc<dyn Backend>;
        let registry = supervise(backend, &RegistryParams::new("piped://"));
        let list = registry.subscribe(&key()).await.unwrap();
        consumers.push((registry, list));
    }
    for outage in [Duration::from_millis(200), Duration::from_secs(60)] {
        sleep(Duration::from_secs(15)).await;
        *locked(&piped.server) = None;
        sleep(outage).await;
        locked(&piped.came).clear();
        *locked(&piped.server) = start();
        let back = Instant::now();
        sleep(Duration::from_secs(30)).await;
        let mut came: Vec<Duration> = locked(&piped.came).iter().map(|at| *at - back).collect();
        came.sort();
        assert_eq!(came.len(), 500, "after {outage:?}, not all are back once");
        let busiest = came.iter().map(|first| {
            came.iter().filter(|at| *at >= first && **at < *first + Duration::from_secs(1)).count()
        });
        let busiest = busiest.max().unwrap();
        assert!(busiest <= 125, "after {outage:?}, {busiest} of 500 come within a second");
    }
}
