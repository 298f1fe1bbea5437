//! To whom a session belongs: to those who registered with it, whatever others open, give up or are refused.

use rpc_core::Error;
use servers::ZooKeeperServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::faults::{ADDRESS, instance, owners, registry};
use super::peers::{answer, heard, welcome, xid_of};
use super::{LIMIT, tree};
use crate::RegistryParams;
use crate::backend::{Backend, Demand};
use crate::check::CheckResult;
use crate::zookeeper::ZooKeeper;
use crate::zookeeper::address::ZooKeeperAddress;

fn backend(url: &str) -> ZooKeeper {
    ZooKeeper(ZooKeeperAddress::read(&RegistryParams::new(url)).unwrap())
}

#[tokio::test]
async fn a_look_at_a_registry_in_use_leaves_its_session_and_what_it_registered() {
    let Some(server) = ZooKeeperServer::start() else { return };
    let looker = tree(&server, "").await;
    let registry = registry(server.address());
    let registration = registry.register(instance(ADDRESS)).await.unwrap();
    let before = owners(&looker).await;
    let found = registry.diagnose().await;
    let opened = found.iter().find(|seen| seen.check == "session");
    assert!(opened.is_some_and(|seen| seen.result == CheckResult::Ok), "{found:#?}");
    assert_eq!((before.len(), owners(&looker).await), (1, before));
    assert!(registration.is_registered());
}

/// Takes a connection and says welcome; returns the number of the session that it brings, 0 if none.
async fn welcomed(listener: &TcpListener) -> (TcpStream, i64) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let hello = heard(&mut stream).await;
    // Before it are a version, a transaction and a time.
    let session = i64::from_be_bytes(*hello[16..].first_chunk().unwrap());
    stream.write_all(&welcome(7, 4000)).await.unwrap();
    (stream, session)
}

#[tokio::test]
async fn a_session_is_not_closed_before_somebody_has_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let zookeeper = backend(&format!("zookeeper://{}", listener.local_addr().unwrap()));
    let demand = Demand::default();
    let serving = async {
        let (mut stream, brought) = welcomed(&listener).await;
        assert_eq!(brought, 0);
        let read = heard(&mut stream).await;
        stream.write_all(&answer(xid_of(&read), -101, &[])).await.unwrap();
        stream
    };
    let (session, stream) = tokio::join!(zookeeper.connect(&demand), serving);
    let session = session.unwrap();
    drop(stream);
    session.closed().await;
    for _ in 0..2 {
        let answering_late = async {
            let (mut stream, brought) = welcomed(&listener).await;
            assert_eq!(brought, 7, "it goes on with the session");
            heard(&mut stream).await;
            stream
        };
        let mut stream = tokio::select! {
            stream = answering_late => stream,
            opened = zookeeper.connect(&demand) => panic!("{opened:?}"),
        };
        let mut last = Vec::new();
        timeout(LIMIT, stream.read_to_end(&mut last)).await.unwrap().unwrap();
        assert_eq!(last, [0; 0], "it hangs up without a word");
    }
}

/// Says welcome to everybody, and answers credentials with this code and reads with that there is no node.
async fn serve(listener: TcpListener, of_credentials: i32) {
    loop {
        let (mut stream, _) = welcomed(&listener).await;
        let mut length = [0; 4];
        while stream.read_exact(&mut length).await.is_ok() {
            let mut frame = vec![0; u32::from_be_bytes(length).try_into().unwrap()];
            stream.read_exact(&mut frame).await.unwrap();
            let code = if xid_of(&frame) == -4 { of_credentials } else { -101 };
            stream.write_all(&answer(xid_of(&frame), code, &[])).await.unwrap();
            if code != of_credentials {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_of_one_server_is_told_only_where_no_other_opens_a_session() {
    let mut serving = JoinSet::new();
    let mut servers = Vec::new();
    for of_credentials in [-115, 0] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        servers.push(listener.local_addr().unwrap().to_string());
        serving.spawn(serve(listener, of_credentials));
    }
    let open = async |servers: &[String]| {
        let zookeeper = backend(&format!("zookeeper://ann:s3cret@{}", servers.join(",")));
        zookeeper.connect(&Demand::default()).await.map(drop)
    };
    // Chance chooses whom it asks first.
    for _ in 0..12 {
        let opened: Result<(), Error> = open(&servers).await;
        assert_eq!(opened.map_err(|error| error.to_string()), Ok(()));
    }
    servers[1] = format!("127.0.0.1:{}", servers::free_ports::<1>()[0]);
    for _ in 0..12 {
        let error = open(&servers).await.unwrap_err();
        assert!(error.is_refused() && error.to_string().contains("our credentials"), "{error}");
    }
}
