//! The registry over etcd while the server dies, stands still, and loses what was registered.

use rpc_core::{Instance, ServiceKey, Snapshot, Source, Subscription};

use super::leases::Leases;
use super::*;
use crate::dubbo::TreeMark;
use crate::{Pace, Registration};

const SERVICE: &str = "shop.Stock";

/// From the end of a fault until lists are right again.
const HEALED: Duration = Duration::from_secs(5);

/// The shortest that an address can ask for; tests wait for its end.
const SHORT: Duration = Duration::from_secs(2);

/// The registry, checking and repairing more often than it does by itself.
#[derive(Debug)]
struct Quick(Etcd, Duration);

#[async_trait]
impl Backend for Quick {
    fn address(&self) -> String {
        self.0.address()
    }

    async fn connect(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error> {
        self.0.connect(demand).await
    }

    fn pace(&self) -> Pace {
        Pace { reconcile: self.1, ..Pace::default() }
    }
}

#[derive(Clone, PartialEq, Message)]
struct ByRange {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    range_end: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct DeletedRange {
    #[prost(int64, tag = "2")]
    keys: i64,
}

/// A client of its own, as of another process.
fn client(etcd: &EtcdServer, lease: Duration, reconcile: Duration) -> Arc<dyn Registry> {
    let server = etcd.address();
    let mut access = Arc::into_inner(access(&server, ("", ""))).unwrap();
    access.lease = lease;
    let name = access.name.clone();
    let (access, layout) = (Arc::new(access), Arc::new(layout()));
    let (servers, leases) = (vec![server], Arc::default());
    let backend = Quick(Etcd { servers, access, layout, leases }, reconcile);
    supervise(Arc::new(backend), &RegistryParams::new(name))
}

/// A client that checks as often as any.
fn patient(etcd: &EtcdServer, lease: Duration) -> Arc<dyn Registry> {
    client(etcd, lease, Pace::default().reconcile)
}

fn instance(address: &str, started_ms: u64) -> Instance {
    let id = format!("{started_ms}@{address}");
    let application = "stock".into();
    Instance { application, started_ms, ..Instance::new(ServiceKey::new(SERVICE), address, &id) }
}

async fn follow(registry: &Arc<dyn Registry>) -> Subscription {
    registry.subscribe(&ServiceKey::new(SERVICE)).await.unwrap()
}

fn addresses(list: &Snapshot) -> Vec<&str> {
    list.instances.iter().map(|instance| &*instance.address).collect()
}

/// Waits until the list is this one, and confirmed.
async fn shows(list: &mut Subscription, expected: &[&str], limit: Duration) {
    let mut trouble = list.watch_trouble();
    let right = async {
        loop {
            let latest = list.latest();
            let is_right = latest.source == Source::Live && addresses(&latest) == expected;
            if is_right && list.trouble().is_none() {
                return;
            }
            tokio::select! {
                next = list.next() => assert!(next.is_some(), "the registry goes on"),
                changed = trouble.changed() => changed.unwrap(),
            }
        }
    };
    if timeout(limit, right).await.is_err() {
        panic!("after {limit:?} it is {:?}, {:?}", addresses(&list.latest()), list.trouble());
    }
}

/// Fails if the list is shorter than `least` at any time within `time`.
async fn stays(list: &mut Subscription, least: usize, time: Duration) {
    let shrank = async {
        while let Some(next) = list.next().await {
            assert!(next.instances.len() >= least, "it shrank to {:?}", addresses(&next));
        }
    };
    timeout(time, shrank).await.expect_err("the registry goes on");
}

async fn registered(registration: &Registration) {
    let mut watch = registration.watch();
    timeout(HEALED, watch.wait_for(|is| *is)).await.expect("it is not registered").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_and_a_restart_all_is_back_in_five_seconds_and_stays() {
    let Some(mut etcd) = EtcdServer::start() else { return };
    let clients = [patient(&etcd, SHORT), patient(&etcd, SHORT), patient(&etcd, SHORT)];
    let a = clients[0].register(instance("127.0.0.1:1", 1)).await.unwrap();
    let b = clients[1].register(instance("127.0.0.1:2", 2)).await.unwrap();
    let mut lists = Vec::new();
    for client in &clients {
        let mut list = follow(client).await;
        shows(&mut list, &["127.0.0.1:1", "127.0.0.1:2"], LIMIT).await;
        lists.push(list);
    }
    etcd.kill();
    stays(&mut lists[2], 2, Duration::from_secs(1)).await;
    tokio::task::block_in_place(|| etcd.restart());
    let healed = Instant::now() + HEALED;
    for list in &mut lists {
        let left = healed.saturating_duration_since(Instant::now());
        shows(list, &["127.0.0.1:1", "127.0.0.1:2"], left).await;
    }
    registered(&a).await;
    registered(&b).await;
    // The leases from before end meanwhile, and take nothing along.
    stays(&mut lists[2], 2, SHORT * 4).await;
}

#[tokio::test]
async fn what_is_removed_by_hand_is_back_within_a_check() {
    let Some(etcd) = EtcdServer::start() else { return };
    let (provider, reader) =
        (client(&etcd, LEASE, Duration::from_millis(500)), patient(&etcd, LEASE));
    let _a = provider.register(instance("127.0.0.1:1", 1)).await.unwrap();
    let mut list = follow(&reader).await;
    shows(&mut list, &["127.0.0.1:1"], LIMIT).await;
    let by_hand = open(&etcd).await;
    for (key, range_end) in [("/dubbo/", "/dubbo0"), ("/services/", "/services0")] {
        let all = ByRange { key: key.into(), range_end: range_end.into() };
        let deleting = by_hand.link().call("/etcdserverpb.KV/DeleteRange", &all);
        let deleted: DeletedRange = deleting.await.unwrap();
        assert!(deleted.keys > 0, "{key}");
    }
    // Both levels: what comes back soon is seen to have gone by nobody.
    let is_back = async {
        for path in ["/dubbo/shop.Stock/providers", "/services/stock"] {
            while by_hand.children(path, ReadOf::Names).await.unwrap().is_empty() {
                sleep(Duration::from_millis(20)).await;
            }
        }
    };
    timeout(HEALED, is_back).await.expect("it is not back");
    shows(&mut list, &["127.0.0.1:1"], HEALED).await;
    let services = reader.services().await.unwrap();
    assert_eq!(services, [ServiceKey::new(SERVICE)]);
}

#[tokio::test]
async fn a_server_that_stood_still_loses_nobody_for_long() {
    for lease in [SHORT, LEASE] {
        let Some(etcd) = EtcdServer::start() else { return };
        let (provider, reader) = (patient(&etcd, lease), patient(&etcd, lease));
        let a = provider.register(instance("127.0.0.1:1", 1)).await.unwrap();
        let mut list = follow(&reader).await;
        shows(&mut list, &["127.0.0.1:1"], LIMIT).await;
        etcd.pause();
        stays(&mut list, 1, Duration::from_secs(5)).await;
        etcd.resume();
        if lease == LEASE {
            stays(&mut list, 1, HEALED).await;
        } else {
            sleep(HEALED).await;
        }
        shows(&mut list, &["127.0.0.1:1"], Duration::from_millis(100)).await;
        registered(&a).await;
        stays(&mut list, 1, SHORT * 3).await;
    }
}

#[tokio::test]
async fn a_lease_that_is_revoked_is_replaced_and_what_it_held_stays() {
    let Some(etcd) = EtcdServer::start() else { return };
    let (provider, reader) = (patient(&etcd, SHORT), patient(&etcd, SHORT));
    let a = provider.register(instance("127.0.0.1:1", 1)).await.unwrap();
    let mut list = follow(&reader).await;
    shows(&mut list, &["127.0.0.1:1"], LIMIT).await;
    let by_hand = open(&etcd).await;
    let held = "/etcdserverpb.Lease/LeaseLeases";
    let held: Leases = by_hand.link().call(held, &Nothing {}).await.unwrap();
    let mine = by_hand.link().lease;
    for lease in held.leases.iter().filter(|lease| lease.number != mine) {
        order(&by_hand, "/etcdserverpb.Lease/LeaseRevoke", lease).await;
    }
    shows(&mut list, &[], HEALED).await;
    shows(&mut list, &["127.0.0.1:1"], HEALED).await;
    registered(&a).await;
    stays(&mut list, 1, SHORT * 4).await;
}

#[tokio::test]
async fn a_shutdown_gives_the_lease_back_and_leaves_no_key() {
    let Some(etcd) = EtcdServer::start() else { return };
    let both = patient(&etcd, LEASE);
    let _a = both.register(instance("127.0.0.1:1", 1)).await.unwrap();
    // Which is a key, too: a consumer lists itself.
    let mut list = follow(&both).await;
    shows(&mut list, &["127.0.0.1:1"], LIMIT).await;
    let by_hand = open(&etcd).await;
    let consumers = "/dubbo/shop.Stock/consumers";
    let listed = async {
        while by_hand.children(consumers, ReadOf::Names).await.unwrap().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, listed).await.expect("it lists itself");
    let begun = Instant::now();
    both.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(by_hand.children(consumers, ReadOf::Names).await.unwrap().is_empty());
    let held: Leases =
        by_hand.link().call("/etcdserverpb.Lease/LeaseLeases", &Nothing {}).await.unwrap();
    let held: Vec<_> = held.leases.iter().map(|lease| lease.number).collect();
    assert_eq!(held, [by_hand.link().lease]);
}

#[tokio::test]
async fn of_two_processes_at_one_address_the_younger_is_listed_until_it_goes() {
    let Some(etcd) = EtcdServer::start() else { return };
    let often = Duration::from_millis(500);
    let (old, young) = (client(&etcd, SHORT, often), client(&etcd, SHORT, often));
    let reader = client(&etcd, SHORT, often);
    let _old = old.register(instance("127.0.0.1:1", 1_700_000_000_000)).await.unwrap();
    let second = young.register(instance("127.0.0.1:1", 1_700_000_001_000)).await.unwrap();
    let mut list = follow(&reader).await;
    let started = async |list: &mut Subscription, ms: u64| {
        let waiting = async {
            loop {
                let latest = list.latest();
                let starts: Vec<u64> = latest.instances.iter().map(|i| i.started_ms).collect();
                if starts == [ms] {
                    return;
                }
                list.next().await.expect("the registry goes on");
            }
        };
        timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("{ms}: {:?}", list.latest()));
    };
    started(&mut list, 1_700_000_001_000).await;
    stays(&mut list, 1, SHORT).await;
    started(&mut list, 1_700_000_001_000).await;
    // It dies without a word.
    drop((second, young));
    started(&mut list, 1_700_000_000_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_server_that_says_nothing_another_is_asked_soon() {
    let Some(server) = EtcdServer::shared() else { return };
    // It takes connections, and nobody reads them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = [silent.local_addr().unwrap().to_string(), server.address()];
    let etcd = Etcd {
        access: access(&servers.join(","), ("", "")),
        servers: servers.into(),
        layout: Arc::new(layout()),
        leases: Arc::default(),
    };
    // Chance chooses whom it asks first.
    for _ in 0..12 {
        let begun = Instant::now();
        etcd.open().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_refusal_is_told_whatever_becomes_of_the_other_servers() {
    let Some(server) = EtcdServer::start() else { return };
    ask_for_logins(&open_as(&server, ("root", "not needed yet")).await.unwrap()).await;
    // Nobody is there.
    let servers = [server.address(), "127.0.0.1:1".to_owned()];
    let etcd = Etcd {
        access: access(&servers.join(","), ("root", "wrong")),
        servers: servers.into(),
        layout: Arc::new(layout()),
        leases: Arc::default(),
    };
    // Chance chooses whom it asks first.
    for _ in 0..12 {
        let error = etcd.open().await.map(drop).unwrap_err();
        assert!(error.is_refused() && error.to_string().contains("check user name"), "{error}");
    }
}

#[tokio::test]
async fn a_provider_that_no_record_can_have_is_refused_at_its_start() {
    // No server listens there: it is known without one.
    let registry = crate::connect("etcd://127.0.0.1:1?register-mode=instance").unwrap();
    let stock = ServiceKey::new("shop.Stock");
    let nameless = Instance::new(stock.clone(), "10.0.0.1:20880", "start-1");
    let error = registry.register(nameless.clone()).await.unwrap_err();
    assert!(error.is_invalid_config(), "{error}");
    assert_eq!(
        error.to_string(),
        "registry etcd://127.0.0.1:1: shop.Stock cannot be registered with register-mode=instance: the \
         application has no name, write one into application.name"
    );
    let named = Instance { application: "shop".into(), ..nameless };
    assert!(registry.register(named).await.is_ok());
}

#[tokio::test]
async fn what_a_server_that_was_set_back_says_of_an_earlier_reading_counts_for_nothing() {
    let Some(etcd) = EtcdServer::start() else { return };
    let tree = open(&etcd).await;
    put(&tree, "/a/x").await;
    let since = |mark| tree.children_since("/a", ReadOf::Values, Some(mark));
    let read = tree.children_since("/a", ReadOf::Values, None).await.unwrap().unwrap();
    let mark = read.mark.unwrap();
    assert_eq!(since(mark).await.unwrap(), None);
    // Nothing is newer than that, nor is anything of another cluster.
    let later = TreeMark { seen: mark.seen + 1000, ..mark };
    for mark in [later, TreeMark { children: mark.children ^ (1 << 40), ..mark }] {
        assert_eq!(since(mark).await.unwrap().as_ref(), Some(&read));
    }
}
