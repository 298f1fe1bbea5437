//! All that a process does at one server goes over one connection: what it registers, the lists that it
//! follows, and the texts of its config centre.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dubhe_registry::{ConfigValue, Registration, Registry, connect};
use servers::{EtcdServer, ZooKeeperServer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use world::{SOON, instance, key, shows_soon};

/// Everything that a registry can be used for, at once.
async fn use_all(url: &str) -> (Arc<dyn Registry>, Registration) {
    let registry = connect(url).unwrap();
    let centre = registry.config_center().unwrap();
    let mut rule = centre.watch("shop.Stock::.configurators", "dubbo").await.unwrap();
    let guard = registry.register(instance("shop.Stock", "a:1")).await.unwrap();
    let mut list = registry.subscribe(&key("shop.Stock")).await.unwrap();
    shows_soon(&mut list, &["a:1"]).await;
    registry.services().await.unwrap();
    registry.list(&key("shop.Orders")).await.unwrap();
    centre.publish("shop.Stock::.configurators", "dubbo", Some("a: 1")).await.unwrap();
    let changed = async {
        while rule.latest() != ConfigValue::Set("a: 1".into()) {
            rule.next().await.unwrap();
        }
    };
    timeout(SOON, changed).await.expect("the text is followed");
    (registry, guard)
}

#[tokio::test]
async fn at_zookeeper_a_process_has_one_session_whatever_it_follows() {
    let Some(server) = ZooKeeperServer::start() else { return };
    let way = Way::to(server.address()).await;
    let _used = use_all(&format!("zookeeper://{}", way.address)).await;
    // A session has one connection, and those that were ended count, too.
    assert_eq!(way.opened.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn at_etcd_a_process_has_one_connection_whatever_it_follows() {
    let Some(etcd) = EtcdServer::start() else { return };
    let way = Way::to(etcd.address().parse().unwrap()).await;
    let _used = use_all(&format!("etcd://{}", way.address)).await;
    assert_eq!(way.opened.load(Ordering::SeqCst), 1);
}

/// A way to a server that counts who takes it.
struct Way {
    address: SocketAddr,
    opened: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Way {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, opened) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let (counted, mut tasks) = (Arc::clone(&opened), JoinSet::new());
        tasks.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let Ok(mut far) = TcpStream::connect(server).await else { continue };
                passing.spawn(async move { copy_bidirectional(&mut near, &mut far).await });
            }
        });
        Self { address, opened, _tasks: tasks }
    }
}
