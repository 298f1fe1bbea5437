//! Sessions, keys and watches against etcd itself, whole and broken.

mod faults;
mod joint_ranges;
mod leases;
mod tls;
mod too_large;

use std::io::{Read as _, Write as _};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use prost::Message;
use servers::EtcdServer;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::messages::{EtcdOperation, PutRequest, TXN, TxnRequest};
use super::*;
use crate::dubbo::reading_contract::readings_tell_of_changes;
use crate::dubbo::tree_contract::{TreeServer, keeps_every_promise};
use crate::dubbo::{NodeTree, ReadOf, TreeNode};

/// More than anything here may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What the server is asked for by hand. Their fields are those of several messages of etcd.
#[derive(Clone, PartialEq, Message)]
struct ByNumber {
    #[prost(int64, tag = "1")]
    number: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ByNames {
    #[prost(string, tag = "1")]
    first: String,
    #[prost(string, tag = "2")]
    second: String,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

fn access(server: &str, (user, password): (&str, &str)) -> Arc<Access> {
    Arc::new(Access {
        name: format!("etcd://{server}"),
        user: user.to_owned(),
        password: password.to_owned(),
        tls: None,
        lease: LEASE,
        root: "dubbo".to_owned(),
    })
}

async fn open_as(etcd: &EtcdServer, login: (&str, &str)) -> Result<EtcdTree, Error> {
    let server = etcd.address();
    EtcdSession::open(&access(&server, login), &server).await.map(EtcdTree::new)
}

async fn open(etcd: &EtcdServer) -> EtcdTree {
    open_as(etcd, ("", "")).await.unwrap()
}

/// Asks for something of which only success matters.
async fn order(tree: &EtcdTree, path: &'static str, request: &impl Message) {
    let _: Nothing = tree.link().call(path, request).await.unwrap();
}

async fn revoke(tree: &EtcdTree) {
    order(tree, "/etcdserverpb.Lease/LeaseRevoke", &ByNumber { number: tree.link().lease }).await;
}

async fn compact(tree: &EtcdTree, revision: i64) {
    order(tree, "/etcdserverpb.KV/Compact", &ByNumber { number: revision }).await;
}

/// A number from the server's own page.
fn metric(etcd: &EtcdServer, name: &str) -> u64 {
    let mut stream = std::net::TcpStream::connect(etcd.address()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not on the page")).parse().unwrap()
}

async fn eventually(is_so: impl Fn() -> bool) {
    let looking = async {
        while !is_so() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, looking).await.expect("it does not become so");
}

/// Waits until a list has this many children; fails if the watch ends first.
async fn lists(
    count: usize,
    newest: &watch::Sender<Option<Arc<[TreeNode]>>>,
    watching: impl Future<Output = Result<(), Error>>,
) {
    let mut seen = newest.subscribe();
    let seen = seen.wait_for(|list| list.as_ref().is_some_and(|list| list.len() == count));
    tokio::select! {
        seen = timeout(LIMIT, seen) => drop(seen.expect("the list stays as it was").unwrap()),
        ended = watching => panic!("the watch ended: {ended:?}"),
    }
}

async fn put(tree: &EtcdTree, path: &str) {
    tree.put_owned(path, Bytes::new()).await.unwrap();
}

struct Contract(EtcdServer);

#[async_trait]
impl TreeServer for Contract {
    async fn open(&self) -> Arc<dyn NodeTree> {
        Arc::new(open(&self.0).await)
    }

    async fn end(&self, session: Arc<dyn NodeTree>) {
        let by_hand = open(&self.0).await;
        // The one of them that is its: a lease is known by nothing but its number.
        let text = format!("{session:?}");
        let lease = text.split("lease: ").nth(1).unwrap();
        let number = lease.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
        order(&by_hand, "/etcdserverpb.Lease/LeaseRevoke", &ByNumber { number }).await;
    }
}

#[tokio::test]
async fn keys_keep_every_promise_of_a_tree() {
    let Some(etcd) = EtcdServer::start() else { return };
    let server = Contract(etcd);
    keeps_every_promise(&server, "/contract").await;
    readings_tell_of_changes(&server, "/readings").await;
}

#[tokio::test]
async fn long_lists_are_read_in_pages_and_folders_are_passed_over() {
    let Some(etcd) = EtcdServer::start() else { return };
    let tree = open(&etcd).await;
    put_all(&tree, (0..2500).map(|i| format!("/a/{i:05}"))).await;
    put_all(&tree, (0..2500).map(|i| format!("/a/00100/below/{i}"))).await;
    put(&tree, "/ab").await;
    for read in [ReadOf::Names, ReadOf::Values] {
        assert_eq!(tree.children("/a", read).await.unwrap().len(), 2500);
    }
    let root = tree.children("", ReadOf::Names).await.unwrap();
    assert_eq!(root.iter().map(|node| &*node.name).collect::<Vec<_>>(), ["a", "ab"]);
}

/// Puts many keys, a hundred at once.
async fn put_all(tree: &EtcdTree, paths: impl Iterator<Item = String>) {
    let put = |path: String| {
        let put = PutRequest { key: path.into(), value: Vec::new(), lease: 0 };
        EtcdOperation::put(put)
    };
    let puts: Vec<_> = paths.map(put).collect();
    for some in puts.chunks(100) {
        order(tree, TXN, &TxnRequest { compare: Vec::new(), success: some.to_vec() }).await;
    }
}

#[tokio::test]
async fn a_watch_outlives_the_compaction_of_what_it_has_read_and_says_so_of_what_it_has_not() {
    let Some(etcd) = EtcdServer::start() else { return };
    let tree = open(&etcd).await;
    put(&tree, "/a/1").await;
    let newest = watch::Sender::new(None);
    let mut watching = tree.watch_children("/a", ReadOf::Names, &newest);
    lists(1, &newest, &mut watching).await;
    let at = tree.list("/a", ReadOf::Names).await.unwrap().at;
    compact(&tree, at).await;
    put(&tree, "/a/2").await;
    lists(2, &newest, &mut watching).await;
    let late = tree.link().watch((b"/a/".to_vec(), b"/a0".to_vec()), 1).await.unwrap();
    let error = loop {
        match tree.changes(&late).await {
            Ok(changes) => assert_eq!(changes, []),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.ends_with("changes were compacted away before they were read"), "{error}");
}

#[tokio::test]
async fn many_watches_are_one_stream_and_a_dropped_one_ends_at_the_server() {
    let Some(etcd) = EtcdServer::start() else { return };
    let tree = open(&etcd).await;
    let watchers = "etcd_debugging_mvcc_watcher_total";
    let newest: Vec<_> = (0..300).map(|_| watch::Sender::new(None)).collect();
    let paths: Vec<_> = (0..300).map(|i| format!("/w/{i}")).collect();
    let watches = paths.iter().zip(&newest);
    let mut watches: Vec<_> =
        watches.map(|(path, list)| tree.watch_children(path, ReadOf::Names, list)).collect();
    let watching = async {
        let mut all: FuturesUnordered<_> = watches.iter_mut().collect();
        all.next().await
    };
    let looking = async {
        while metric(&etcd, watchers) != 300 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = watching => panic!("a watch ended: {ended:?}"),
        looked = timeout(LIMIT, looking) => looked.expect("it has fewer watches"),
    }
    assert_eq!(metric(&etcd, "etcd_debugging_mvcc_watch_stream_total"), 1);
    watches.truncate(100);
    eventually(|| metric(&etcd, watchers) == 100).await;
    drop(watches);
    drop(tree);
    eventually(|| metric(&etcd, watchers) == 0).await;
}

#[tokio::test]
async fn a_server_that_stands_still_is_noticed_within_ten_seconds() {
    let Some(etcd) = EtcdServer::start() else { return };
    let server = etcd.address();
    let tree = open(&etcd).await;
    let newest = watch::Sender::new(None);
    let mut watching = tree.watch_children("/a", ReadOf::Names, &newest);
    lists(0, &newest, &mut watching).await;
    etcd.pause();
    let begun = Instant::now();
    let (ended, ()) = tokio::join!(watching, tree.closed());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let expected =
        format!("registry etcd://{server}: its lease was not renewed for 9.0s: it does not answer");
    assert_eq!(tree.reason().unwrap().to_string(), expected);
    assert_eq!(ended.unwrap_err().to_string(), expected);
    let late = tree.value("/a").await.unwrap_err().to_string();
    assert_eq!(late, expected, "what is asked later waits for nothing");
}

#[tokio::test]
async fn a_server_that_is_killed_ends_its_sessions_at_once() {
    let Some(mut etcd) = EtcdServer::start() else { return };
    let tree = open(&etcd).await;
    etcd.kill();
    timeout(Duration::from_secs(1), tree.closed()).await.expect("its end is noticed");
    let reason = tree.reason().unwrap().to_string();
    assert!(reason.contains("the connection "), "{reason}");
}

#[tokio::test]
async fn a_lease_that_is_revoked_ends_the_session() {
    let Some(etcd) = EtcdServer::start() else { return };
    let tree = open(&etcd).await;
    put(&tree, "/a").await;
    revoke(&tree).await;
    // Before a renewal has noticed it.
    let error = tree.put_owned("/a", Bytes::new()).await.unwrap_err().to_string();
    assert!(error.contains("lease not found"), "{error}");
    timeout(Duration::from_secs(1), tree.closed()).await.expect("it is over");
    assert!(tree.reason().unwrap().to_string().contains("has expired or was revoked"));
    let other = open(&etcd).await;
    revoke(&other).await;
    timeout(Duration::from_secs(6), other.closed()).await.expect("a renewal notices it");
}

/// Lets in the users `root` and `ann` alone, whose password is `secret`.
async fn ask_for_logins(tree: &EtcdTree) {
    let names = |first: &str, second: &str| ByNames { first: first.into(), second: second.into() };
    for user in ["root", "ann"] {
        order(tree, "/etcdserverpb.Auth/UserAdd", &names(user, "secret")).await;
    }
    order(tree, "/etcdserverpb.Auth/UserGrantRole", &names("root", "root")).await;
    order(tree, "/etcdserverpb.Auth/AuthEnable", &Nothing {}).await;
}

#[tokio::test]
async fn a_login_is_asked_for_checked_and_renewed() {
    let Some(etcd) = EtcdServer::start() else { return };
    let tree = open_as(&etcd, ("root", "ignored while all are let in")).await.unwrap();
    ask_for_logins(&tree).await;
    for (login, expected) in [
        (("", ""), "it wants a login, write etcd://USER:PASSWORD@HOST:PORT"),
        (("root", "wrong"), "check user name and password in its address"),
        (("ann", "secret"), "grant a role of the user `ann` to read and write"),
    ] {
        let error = open_as(&etcd, login).await.map(drop).unwrap_err();
        assert!(error.is_refused() && error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let tree = open_as(&etcd, ("root", "secret")).await.unwrap();
    put(&tree, "/a/1").await;
    let newest = watch::Sender::new(None);
    let mut watching = tree.watch_children("/a", ReadOf::Names, &newest);
    lists(1, &newest, &mut watching).await;
    // As when it has run out.
    tree.link().set_token("no.such.token");
    let calls = (0..20).map(|_| tree.value("/a/1"));
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap(), Some(Bytes::new()));
    }
    put(&tree, "/a/2").await;
    lists(2, &newest, &mut watching).await;
    let other = watch::Sender::new(None);
    let mut later = tree.watch_children("/a", ReadOf::Names, &other);
    lists(2, &other, &mut later).await;
    put(&tree, "/a/3").await;
    lists(3, &other, &mut later).await;
}

#[tokio::test]
async fn of_several_servers_one_that_answers_is_found_in_time() {
    let Some([mut dead, still, alive]) = EtcdServer::start_ensemble() else { return };
    dead.kill();
    // Two of three are a majority; both are needed until the last session is open.
    let servers = [&dead, &still, &alive].map(EtcdServer::address);
    let etcd = |servers: &[String]| Etcd {
        servers: servers.to_vec(),
        access: access(&servers.join(","), ("", "")),
        layout: Arc::new(layout()),
        leases: Arc::default(),
    };
    let chosen = async { while etcd(&servers).open().await.is_err() {} };
    timeout(LIMIT, chosen).await.expect("the others choose a leader");
    for _ in 0..10 {
        let begun = Instant::now();
        etcd(&servers).open().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    // One is a minority, which gives nobody a session.
    still.pause();
    let without = timeout(Duration::from_secs(1), etcd(&servers).open()).await;
    still.resume();
    assert!(!matches!(without, Ok(Ok(_))), "{without:?}");
    let again = async { while etcd(&servers).open().await.is_err() {} };
    timeout(LIMIT, again).await.expect("two are enough again");
}

fn layout() -> Layout {
    let url = RegistryUrl::parse("etcd://a").unwrap();
    Layout::of(&url, &RegistryParams::new("etcd://a"), RecordForm::Go, DEFAULT_PORT).unwrap()
}

#[tokio::test]
async fn who_is_no_etcd_is_told_by_what_it_says() {
    for (answer, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "it speaks HTTP/1; check host and port"),
        (&[0x15, 3, 1, 0, 2, 2, 70], "it speaks TLS: write tls=true into the address"),
        (b"220 mail.shop.internal ready", "it speaks another protocol; check host and port"),
        (b"", "it closed the connection without a word; check host and port"),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap().to_string();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 24]).unwrap();
            stream.write_all(answer).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            // Until it hangs up, so that what was said is not lost to a reset.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let opened = EtcdSession::open(&access(&server, ("", "")), &server).await;
        let error = opened.map(drop).unwrap_err().to_string();
        assert!(error.starts_with(&format!("registry etcd://{server}: {expected}")), "{error}");
        other.join().unwrap();
    }
    let error = EtcdSession::open(&access("127.0.0.1:1", ("", "")), "127.0.0.1:1").await;
    let error = error.map(drop).unwrap_err().to_string();
    assert!(error.contains("cannot connect to 127.0.0.1:1"), "{error}");
}

#[test]
fn addresses_that_cannot_work_say_what_to_write() {
    for (url, expected) in [
        ("etcd://", "it needs a server, as in etcd://127.0.0.1:2379"),
        ("etcd://a/shop", "etcd:// takes no path, write group=shop for another root"),
        ("etcd://ann@a", "a login is user and password"),
        ("etcd://:pw@a", "a login is user and password"),
        ("etcd://a?session=30", "session: `30` is not a duration"),
        ("etcd://a?session=1s", "session is `1s`: write 2s to 1h"),
        ("etcd://a?sessions=3s", "did you mean `session`?"),
        ("etcd://a?register-mode=x", "register-mode is `x`"),
    ] {
        let error = crate::connect(url).unwrap_err().to_string();
        assert!(error.contains(expected), "{url}: {error}");
    }
    // The password may stand beside the address.
    let token = RegistryParams {
        token: Some("pw".to_owned()),
        ..RegistryParams::new("etcd://ann@a,b:1?session=10s")
    };
    assert!(crate::open(&crate::builtin(), &token).is_ok());
    // Without a user it would be of no use, and nobody would be told.
    let lonely = RegistryParams { url: "etcd://a".to_owned(), ..token };
    let error = crate::open(&crate::builtin(), &lonely).unwrap_err().to_string();
    assert!(
        error.contains("its token is a password without a user: write etcd://USER@"),
        "{error}"
    );
}
