//! What a registry registered in a session that it lost, whose lease lives on, against etcd itself.

use super::*;

const PROVIDERS: &str = "/dubbo/shop.Stock/providers";

#[derive(Clone, PartialEq, Message)]
pub(super) struct Leases {
    #[prost(message, repeated, tag = "2")]
    pub(super) leases: Vec<ByNumber>,
}

fn instance() -> Instance {
    let instance = Instance::new("shop.Stock".parse().unwrap(), "127.0.0.1:1", "1@127.0.0.1:1");
    Instance { application: "stock".into(), started_ms: 1, ..instance }
}

fn etcd(server: &EtcdServer) -> Etcd {
    let server = server.address();
    Etcd {
        access: access(&server, ("", "")),
        servers: vec![server],
        layout: Arc::new(layout()),
        leases: Arc::default(),
    }
}

async fn listed(by_hand: &EtcdTree) -> usize {
    by_hand.children(PROVIDERS, ReadOf::Names).await.unwrap().len()
}

/// Registers in a session that ends without a word.
async fn lose_session(etcd: &Etcd) {
    let session = etcd.connect(&Demand::default()).await.unwrap();
    session.register(&instance()).await.unwrap();
}

#[tokio::test]
async fn what_an_earlier_session_registered_is_unregistered_by_the_next() {
    let Some(server) = EtcdServer::start() else { return };
    let (by_hand, etcd) = (open(&server).await, etcd(&server));
    lose_session(&etcd).await;
    assert_eq!(listed(&by_hand).await, 1);
    let session = etcd.connect(&Demand::default()).await.unwrap();
    session.unregister(&instance()).await.unwrap();
    assert_eq!(listed(&by_hand).await, 0);
}

#[tokio::test]
async fn the_end_of_a_session_gives_back_the_leases_of_earlier_ones() {
    let Some(server) = EtcdServer::start() else { return };
    let (by_hand, etcd) = (open(&server).await, etcd(&server));
    lose_session(&etcd).await;
    lose_session(&etcd).await;
    let session = etcd.connect(&Demand::default()).await.unwrap();
    session.end().await;
    assert_eq!(listed(&by_hand).await, 0);
    let held: Leases =
        by_hand.link().call("/etcdserverpb.Lease/LeaseLeases", &Nothing {}).await.unwrap();
    let held: Vec<_> = held.leases.iter().map(|lease| lease.number).collect();
    assert_eq!(held, [by_hand.link().lease]);
}

#[tokio::test]
async fn what_another_process_registered_is_not_removed_with_it() {
    let Some(server) = EtcdServer::start() else { return };
    let by_hand = open(&server).await;
    lose_session(&etcd(&server)).await;
    let session = etcd(&server).connect(&Demand::default()).await.unwrap();
    session.unregister(&instance()).await.unwrap();
    session.end().await;
    assert_eq!(listed(&by_hand).await, 1);
}
