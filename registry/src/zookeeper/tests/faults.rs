//! What becomes of lists and registrations when servers are killed, emptied, stopped or cut off, and
//! when somebody deletes nodes by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rpc_core::{Error, Instance, Subscription};
use servers::ZooKeeperServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{LIMIT, ZooKeeperTree, tree};
use crate::backend::{Backend, Demand, Session};
use crate::dubbo::{NodeTree, ReadOf};
use crate::zookeeper::ZooKeeper;
use crate::zookeeper::address::ZooKeeperAddress;
use crate::{Pace, Registration, Registry, RegistryParams, supervise};

const SERVICE: &str = "shop.Stock";
const PROVIDERS: &str = "/dubbo/shop.Stock/providers";

/// After a fault, everything is as it should be within this time.
const HEALED: Duration = Duration::from_secs(5);

/// Longer than any session lasts at the servers of tests, which is 4 s.
const EXPIRED: Duration = Duration::from_secs(6);

/// ZooKeeper that is checked each second.
#[derive(Debug)]
struct Checked(ZooKeeper);

#[async_trait]
impl Backend for Checked {
    fn address(&self) -> String {
        self.0.address()
    }

    async fn connect(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error> {
        self.0.connect(demand).await
    }

    fn pace(&self) -> Pace {
        Pace { reconcile: Duration::from_secs(1), ..self.0.pace() }
    }
}

fn params(server: SocketAddr) -> RegistryParams {
    RegistryParams::new(format!("zookeeper://{server}"))
}

pub(super) fn registry(server: SocketAddr) -> Arc<dyn Registry> {
    let params = params(server);
    let address = ZooKeeperAddress::read(&params).unwrap();
    supervise(Arc::new(ZooKeeper(address)), &params)
}

pub(super) fn instance(address: &str) -> Instance {
    let instance = Instance::new(SERVICE.parse().unwrap(), address, address);
    Instance {
        application: "shop".into(),
        protocols: ["dubbo".to_owned()].into(),
        started_ms: 1,
        ..instance
    }
}

/// A consumer's list and a provider's registration, from processes of their own.
struct Fleet {
    list: Subscription,
    registration: Registration,
    _registries: [Arc<dyn Registry>; 2],
}

pub(super) const ADDRESS: &str = "10.0.0.1:20880";

async fn fleet(consumer: SocketAddr, provider: SocketAddr) -> Fleet {
    let (consumers, providers) = (registry(consumer), registry(provider));
    let registration = providers.register(instance(ADDRESS)).await.unwrap();
    let mut list = consumers.subscribe(&SERVICE.parse().unwrap()).await.unwrap();
    shows(&mut list, &[ADDRESS]).await;
    Fleet { list, registration, _registries: [consumers, providers] }
}

async fn shows(list: &mut Subscription, expected: &[&str]) {
    let waiting = async {
        loop {
            let latest = list.latest();
            let addresses: Vec<_> = latest.instances.iter().map(|i| &*i.address).collect();
            if addresses == expected && list.trouble().is_none() {
                return;
            }
            let mut trouble = list.watch_trouble();
            tokio::select! {
                _ = list.next() => {}
                _ = trouble.changed() => {}
            }
        }
    };
    let waited = timeout(LIMIT, waiting).await;
    assert!(waited.is_ok(), "{:?} {:?}, not {expected:?}", list.latest(), list.trouble());
}

/// The providers that the server lists, and the sessions that they end with.
pub(super) async fn owners(tree: &ZooKeeperTree) -> Vec<i64> {
    let mut owners = Vec::new();
    for node in tree.children(PROVIDERS, ReadOf::Names).await.unwrap() {
        let path = format!("{PROVIDERS}/{}", node.name);
        owners.extend(tree.client().get(&path).await.unwrap().map(|(_, stat)| stat.owner));
    }
    owners
}

/// A session that sees the tree as the registries do.
async fn looker(server: &ZooKeeperServer) -> Arc<ZooKeeperTree> {
    tree(server, "").await
}

impl Fleet {
    /// Waits until both have noticed that the server is away, and keep what they have.
    async fn miss_it(&self) {
        let mut trouble = self.list.watch_trouble();
        timeout(LIMIT, trouble.wait_for(Option::is_some)).await.unwrap().unwrap();
        let mut registered = self.registration.watch();
        timeout(LIMIT, registered.wait_for(|is| !is)).await.unwrap().unwrap();
        assert_eq!(self.list.latest().instances.len(), 1, "the list stays");
    }

    /// Everything is right at most 5 s after now, and stays so for longer than any session lasts.
    async fn heals(&mut self, server: &ZooKeeperServer) {
        let ended = Instant::now();
        let looker = looker(server).await;
        let healing = async {
            shows(&mut self.list, &[ADDRESS]).await;
            self.registration.watch().wait_for(|is| *is).await.unwrap();
            while owners(&looker).await.len() != 1 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(LIMIT, healing).await.is_ok(), "it does not heal");
        assert!(ended.elapsed() < HEALED, "it took {:?}", ended.elapsed());
        let until = Instant::now() + EXPIRED;
        while Instant::now() < until {
            assert_eq!(owners(&looker).await.len(), 1);
            assert_eq!(self.list.latest().instances.len(), 1);
            sleep(Duration::from_millis(100)).await;
        }
        assert!(self.registration.is_registered());
    }
}

/// Waits in a thread of its own until the server serves.
async fn back(mut server: ZooKeeperServer) -> ZooKeeperServer {
    let waiting = tokio::task::spawn_blocking(move || {
        server.run();
        server.wait_until_ready();
        server
    });
    waiting.await.unwrap()
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_with_its_data_costs_no_node_and_no_session() {
    let Some(mut server) = ZooKeeperServer::start() else { return };
    let mut fleet = fleet(server.address(), server.address()).await;
    let before = owners(&*looker(&server).await).await;
    server.kill();
    fleet.miss_it().await;
    let server = back(server).await;
    fleet.heals(&server).await;
    assert_eq!(owners(&*looker(&server).await).await, before, "it is the session of before");
}

#[tokio::test]
async fn a_server_that_comes_back_empty_gets_everything_again() {
    let Some(mut server) = ZooKeeperServer::start() else { return };
    let mut fleet = fleet(server.address(), server.address()).await;
    server.kill();
    server.forget();
    fleet.miss_it().await;
    let server = back(server).await;
    fleet.heals(&server).await;
}

#[tokio::test]
async fn a_server_that_is_stopped_shortly_or_for_longer_than_sessions_last_loses_nobody() {
    let Some(server) = ZooKeeperServer::start() else { return };
    let mut fleet = fleet(server.address(), server.address()).await;
    for stopped in [Duration::from_secs(1), EXPIRED] {
        server.pause();
        sleep(stopped).await;
        assert_eq!(fleet.list.latest().instances.len(), 1, "the list stays");
        server.resume();
        fleet.heals(&server).await;
    }
}

#[tokio::test]
async fn a_shutdown_closes_the_session_and_leaves_no_node() {
    let Some(server) = ZooKeeperServer::start() else { return };
    let looker = looker(&server).await;
    let both = registry(server.address());
    let registration = both.register(instance(ADDRESS)).await.unwrap();
    let mut list = both.subscribe(&SERVICE.parse().unwrap()).await.unwrap();
    shows(&mut list, &[ADDRESS]).await;
    let consumers = || looker.children("/dubbo/shop.Stock/consumers", ReadOf::Names);
    let listed = async {
        while consumers().await.unwrap().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, listed).await.expect("it lists itself");
    both.shutdown().await;
    // What would end by itself is not waited for.
    assert!(consumers().await.unwrap().is_empty() && owners(&looker).await.is_empty());
    drop(registration);
}

#[tokio::test]
async fn nodes_that_somebody_deletes_come_back_with_the_next_check() {
    let Some(server) = ZooKeeperServer::start() else { return };
    let params = params(server.address());
    let address = ZooKeeperAddress::read(&params).unwrap();
    let registry = supervise(Arc::new(Checked(ZooKeeper(address))), &params);
    let _registered = registry.register(instance(ADDRESS)).await.unwrap();
    let looker = looker(&server).await;
    for _ in 0..3 {
        let nodes = looker.children(PROVIDERS, ReadOf::Names).await.unwrap();
        looker.client().delete(&format!("{PROVIDERS}/{}", nodes[0].name), -1).await.unwrap();
        looker.client().delete(&format!("/services/shop/{ADDRESS}"), -1).await.unwrap();
        let (newest, mut back) = watch::channel(None);
        let both = async {
            let is_back = back.wait_for(|nodes: &Option<Arc<[_]>>| {
                nodes.as_deref().is_some_and(|nodes| nodes.len() == 1)
            });
            is_back.await.unwrap();
            while looker.value(&format!("/services/shop/{ADDRESS}")).await.unwrap().is_none() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            ended = looker.watch_children(PROVIDERS, ReadOf::Names, &newest) => panic!("{ended:?}"),
            back = timeout(Duration::from_secs(3), both) => back.unwrap(),
        }
    }
}

#[tokio::test]
async fn a_provider_that_was_cut_off_for_longer_than_its_session_is_back_and_stays() {
    let Some(server) = ZooKeeperServer::start() else { return };
    let line = Line::to(server.address()).await;
    let mut fleet = fleet(server.address(), line.address).await;
    line.is_cut.send_replace(true);
    shows(&mut fleet.list, &[]).await;
    line.is_cut.send_replace(false);
    fleet.heals(&server).await;
}

#[tokio::test]
async fn a_consumer_that_was_cut_off_keeps_its_list_and_then_sees_what_it_missed() {
    let Some(server) = ZooKeeperServer::start() else { return };
    let line = Line::to(server.address()).await;
    let mut fleet = fleet(line.address, server.address()).await;
    line.is_cut.send_replace(true);
    let mut trouble = fleet.list.watch_trouble();
    timeout(LIMIT, trouble.wait_for(Option::is_some)).await.unwrap().unwrap();
    let other = fleet._registries[1].register(instance("10.0.0.2:20880")).await.unwrap();
    assert!(other.is_registered());
    assert_eq!(fleet.list.latest().instances.len(), 1, "the list stays");
    line.is_cut.send_replace(false);
    let healed = Instant::now();
    shows(&mut fleet.list, &[ADDRESS, "10.0.0.2:20880"]).await;
    assert!(healed.elapsed() < HEALED, "it took {:?}", healed.elapsed());
}

#[tokio::test]
async fn a_provider_of_another_language_is_listed_with_what_it_speaks() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let java = tree(&server, "java").await;
    let url = "dubbo%3A%2F%2F192.0.2.2%3A32000%2Fshop.Stock%3Fapplication%3Dacme%26dubbo%3D2.0.2\
               %26interface%3Dshop.Stock%26methods%3Dcount%26release%3D3.3.6%26side%3Dprovider\
               %26timestamp%3D1795230780764";
    java.put_owned(&format!("{PROVIDERS}/{url}"), "192.0.2.2".into()).await.unwrap();
    java.put_owned(&format!("{PROVIDERS}/malformed%ZZ"), "".into()).await.unwrap();
    let mut params = params(server.address());
    params.url.push_str("/java");
    let address = ZooKeeperAddress::read(&params).unwrap();
    let registry = supervise(Arc::new(ZooKeeper(address)), &params);
    let listed = registry.list(&SERVICE.parse().unwrap()).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((&*listed[0].address, listed[0].started_ms), ("192.0.2.2:32000", 1_795_230_780_764));
    assert_eq!(registry.services().await.unwrap(), [SERVICE.parse().unwrap()]);
}

#[tokio::test]
async fn what_is_no_server_or_no_friend_is_named_with_its_remedy() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let strange = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stranger, closed) = (strange.local_addr().unwrap(), servers::free_ports::<1>()[0]);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_at = silent.local_addr().unwrap();
    let mut answering = JoinSet::new();
    answering.spawn(async move {
        while let Ok((mut stream, _)) = strange.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let locked = super::session(&super::servers(&server, Some("ann:s3cret")), "refused").await;
    locked.put_owned("/dubbo/shop.Stock/providers/x", "".into()).await.unwrap();
    for (url, expected) in [
        (format!("zookeeper://{stranger}"), "is not ZooKeeper, check the port".to_owned()),
        (format!("zookeeper://127.0.0.1:{closed}"), "is it running?".to_owned()),
        (format!("zookeeper://{silent_at}"), "or not ZooKeeper, check the port".to_owned()),
        (
            format!("zookeeper://ann:wrong@{}/refused", server.address()),
            "no permission at /dubbo: check user and password".to_owned(),
        ),
    ] {
        let address = ZooKeeperAddress::read(&RegistryParams::new(&url)).unwrap();
        let name = address.text.to_string();
        let opened = ZooKeeper(address).connect(&Demand::default()).await;
        let error = opened.unwrap_err();
        assert_eq!(error.is_refused(), expected.contains("password"), "{error}");
        let error = error.to_string();
        assert!(error.starts_with(&format!("registry {name}: ")), "{error}");
        assert!(error.contains(&expected) && !error.contains("wrong"), "{error}");
    }
}

/// A way to a server that can be cut: nothing passes then, and nobody is told.
struct Line {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Line {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_cut = watch::Sender::new(false);
        let cut = is_cut.subscribe();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let mut open = cut.clone();
                let _ = open.wait_for(|cut| !cut).await;
                let Ok(far) = TcpStream::connect(server).await else { continue };
                let (near, far) = (near.into_split(), far.into_split());
                passing.spawn(pass(near.0, far.1, cut.clone()));
                passing.spawn(pass(far.0, near.1, cut.clone()));
            }
        });
        Self { address, is_cut, _tasks: tasks }
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut cut: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let _ = cut.wait_for(|cut| !cut).await;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
