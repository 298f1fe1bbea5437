//! How much memory a consumer's lists take, counted by the allocator.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use dubhe_registry::embedded::RegistryServerConfig;
use dubhe_registry::{Registration, Registry};
use rpc_core::{Instance, Subscription};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;
#[cfg(feature = "nacos")]
use world::nacos;
#[cfg(any(feature = "etcd", feature = "zookeeper"))]
use world::real_servers;
use world::{Place, dubhe, key, quick, until};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What an allocation takes beside its bytes, about: its head, and what it is rounded up by.
const OF_ALLOCATION: usize = 16;

/// Most bytes of an instance in the memory of a consumer that follows its list of 2,000.
const MOST: usize = 448;

/// The same in a list of 1,500 that is read of Dubbo's layouts, whatever the levels at which it is registered.
#[cfg(any(feature = "etcd", feature = "zookeeper"))]
const MOST_OF_LAYOUTS: usize = 1024;

/// The same in lists of 20 at ZooKeeper, each of both levels and with an application of its own, and at etcd.
#[cfg(any(feature = "etcd", feature = "zookeeper"))]
const MOST_OF_SHORT_LAYOUTS: [(&str, usize); 2] = [("zookeeper:", 1104), ("etcd:", 864)];

/// The same at Nacos, at the level of interfaces: so many lists of so many instances, and the most.
#[cfg(feature = "nacos")]
const MOST_AT_NACOS: [(usize, usize, usize); 2] = [(1, 1500, 640), (50, 20, 1056)];

/// How often it is looked at what is allocated, how many bytes more or less are as many, such as a buffer or two that
/// are in use, and how often it is to be as much for that to be at rest.
const LOOK: Duration = Duration::from_millis(50);
const MOST_LOOKS: u32 = 600;
const AT_REST: usize = 16 << 10;
const LOOKS_AT_REST: u32 = 10;

/// The same in lists of 20, each of which takes a few kilobytes itself.
const MOST_IN_SHORT: usize = 896;

/// The bytes that are allocated now.
fn allocated() -> usize {
    let stats = COUNTED.stats();
    let bytes = stats.bytes_allocated - stats.bytes_deallocated;
    bytes + OF_ALLOCATION * (stats.allocations - stats.deallocations)
}

/// The bytes that are allocated once that is the same for half a second, about, so that what reading took is given
/// back.
async fn allocated_at_rest() -> usize {
    // Compared with the first of them, as each may be as much as the one before and all drift away.
    let (mut first, mut same) = (allocated(), 0);
    for _ in 0..MOST_LOOKS {
        sleep(LOOK).await;
        let now = allocated();
        if now.abs_diff(first) > AT_REST {
            (first, same) = (now, 0);
            continue;
        }
        same += 1;
        if same == LOOKS_AT_REST {
            return now;
        }
    }
    panic!("what is allocated has not come to rest in {:?}: {first}", LOOK * MOST_LOOKS);
}

/// As much as providers tell of themselves.
fn instance(service: &str, number: usize) -> Instance {
    let metadata = [("warmup", "600000"), ("zone", "north"), ("region", "west")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let address = format!("10.0.{}.{}:20880", number >> 8, number & 255);
    Instance {
        application: service.into(),
        started_ms: 1_700_000_000_000,
        protocols: ["dubbo".to_owned(), "json".to_owned()].into(),
        codecs: ["protobuf".to_owned(), "msgpack".to_owned(), "json".to_owned()].into(),
        metadata: Arc::new(metadata.into()),
        ..Instance::new(key(service), &address, &format!("01890a5d-ac96-774b-bcce-{number:012x}"))
    }
}

async fn follow(registry: &dyn Registry, services: usize, each: usize) -> Vec<Subscription> {
    let mut followed = Vec::new();
    for number in 0..services {
        let service = key(&format!("shop.Service{number}"));
        let mut subscription = registry.subscribe(&service).await.unwrap();
        until(&mut subscription, |list| list.instances.len() == each).await;
        followed.push(subscription);
    }
    followed
}

/// Bytes of an instance of the embedded registry where so many services have `each` of them.
async fn bytes_of_one(services: usize, each: usize) -> usize {
    let place = dubhe(RegistryServerConfig {
        renew: Duration::from_secs(60),
        lease: Duration::from_secs(600),
        ..quick()
    })
    .await;
    bytes_at(&place, services, each).await
}

/// Bytes of an instance in the lists of a client of `place`.
async fn bytes_at(place: &Place, services: usize, each: usize) -> usize {
    let provider = place.open();
    let mut listing = JoinSet::new();
    let room = Arc::new(Semaphore::new(64));
    for number in 0..services * each {
        let instance = instance(&format!("shop.Service{}", number / each), number);
        let (provider, room) = (Arc::clone(&provider), Arc::clone(&room));
        listing.spawn(async move {
            let _turn = room.acquire().await;
            let registration = provider.register(instance).await.unwrap();
            registration.watch().wait_for(|is| *is).await.unwrap();
            registration
        });
    }
    let listed: Vec<Registration> = listing.join_all().await;
    // The server has made what it sends, and the runtime its threads.
    let first = place.open();
    drop(follow(&*first, services, each).await);
    let consumer = place.open();
    let before = allocated_at_rest().await;
    let followed = follow(&*consumer, services, each).await;
    let taken = allocated_at_rest().await.saturating_sub(before);
    drop((followed, listed));
    taken / (services * each)
}

/// A test holds all that is allocated to be its own.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_takes_half_a_kilobyte_and_one_at_most_in_short_lists() {
    let _alone = ALONE.lock().await;
    let figures = [bytes_of_one(1, 2000).await, bytes_of_one(100, 20).await];
    println!("a list of 2,000, 100 of 20: {figures:?} bytes an instance");
    let [long, short] = figures;
    assert!(long <= MOST && short <= MOST_IN_SHORT, "{figures:?} bytes an instance");
}

#[cfg(any(feature = "etcd", feature = "zookeeper"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_of_a_long_list_of_dubbos_layouts_takes_a_kilobyte_at_most() {
    let _alone = ALONE.lock().await;
    let mut figures = Vec::new();
    // So that they run all the while.
    let _servers = real_servers("memory");
    for mode in ["interface", "instance", "all"] {
        for mut place in real_servers(&format!("memory-{mode}")) {
            let address = format!("{}register-mode={mode}", place.config.url);
            place.config.url = address.clone();
            figures.push((address, bytes_at(&place, 1, 1500).await));
        }
    }
    println!("{figures:#?}");
    assert!(figures.iter().all(|(_, bytes)| *bytes <= MOST_OF_LAYOUTS), "{figures:#?}");
}

#[cfg(any(feature = "etcd", feature = "zookeeper"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_of_short_lists_of_dubbos_layouts_takes_a_kilobyte_and_little_more() {
    let _alone = ALONE.lock().await;
    let mut figures = Vec::new();
    for place in real_servers("memory-short") {
        figures.push((place.config.url.clone(), bytes_at(&place, 50, 20).await));
    }
    println!("{figures:#?}");
    for (scheme, most) in MOST_OF_SHORT_LAYOUTS {
        let of_scheme = figures.iter().filter(|(address, _)| address.starts_with(scheme));
        assert!(of_scheme.into_iter().all(|(_, bytes)| *bytes <= most), "{figures:#?}");
    }
}

#[cfg(feature = "nacos")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_at_nacos_takes_no_more_than_elsewhere() {
    let _alone = ALONE.lock().await;
    let mut figures = Vec::new();
    for (services, each, most) in MOST_AT_NACOS {
        for mut place in nacos(&format!("memory-{each}")) {
            place.config.url.push_str("&register-mode=interface");
            let bytes = bytes_at(&place, services, each).await;
            figures.push((place.config.url, bytes, most));
        }
    }
    println!("{figures:#?}");
    assert!(figures.iter().all(|(_, bytes, most)| bytes <= most), "{figures:#?}");
}
