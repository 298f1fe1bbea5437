//! The command with registries that are not ours: real servers of etcd and ZooKeeper.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dubhe::Consumer;
use serde_json::{Value, json};
use servers::{
    Dnsmasq, EtcdHand, EtcdServer, Nacos, NacosVersion, SecureServer, ZooKeeperEnsemble,
    ZooKeeperServer, nacos_http,
};
use support::{PATIENCE, Run, Stock as _, StockClient, consumer, late_provider as provider, with};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// The checks of `dubhe doctor`, which ends with `code`.
async fn doctor(registry: &str, args: &[&str], code: i32) -> Vec<Value> {
    let run = with(registry, &[&["--json", "doctor"], args].concat()).await.code(code);
    run.json()["checks"].as_array().unwrap().clone()
}

#[track_caller]
fn has<'a>(checks: &'a [Value], check: &str, result: &str, seen: &str) -> &'a Value {
    let is = |found: &&Value| {
        found["check"] == check
            && found["result"] == result
            && found["seen"].as_str().unwrap().contains(seen)
    };
    let found = checks.iter().find(is);
    found.unwrap_or_else(|| panic!("no {result} {check} with {seen:?} in {checks:#?}"))
}

/// Every subcommand that goes to a registry goes to this one.
async fn every_subcommand_works(registry: &str, server: &str) {
    let empty = doctor(registry, &[], 0).await;
    has(&empty, "layout", "warn", "nobody is registered under the root `dubbo`");
    let provider = provider(registry).await;
    with(registry, &["ls"]).await.code(0).prints("test.Stock").prints("shelf");
    with(registry, &["ls", "test.Stock"]).await.code(0).prints(provider.address()).prints("up");
    with(registry, &["idl", "test.Stock"]).await.code(0).prints("service Stock");
    with(registry, &["call", "test.Stock/left", r#"["a", 1]"#]).await.code(0).prints("99");
    with(registry, &["explain", "test.Stock/left"]).await.code(0).prints(provider.address());
    let _caller = who_calls(registry).await;
    with(registry, &["config", "test.Stock"]).await.code(0).prints("consumer.timeout");
    let seen = doctor(registry, &["test.Stock"], 0).await;
    has(&seen, "server", "ok", server);
    has(&seen, "clock", "ok", "ms at most");
    has(&seen, "layout", "ok", "1 interfaces, 1 provider URLs");
    has(&seen, "layout", "ok", "1 applications, 1 processes");
    has(&seen, "registered", "ok", "1 services, 1 instances, of shelf");
    has(&seen, "instance", "ok", "accepts and answers");
    provider.shutdown().await;
    who_waits(registry).await;
}

/// Runs the command with this registry until what it prints is as it is to be.
async fn with_until(registry: &str, args: &[&str], fits: impl Fn(&Run) -> bool) -> Run {
    let begun = Instant::now();
    loop {
        let run = with(registry, args).await.code(0);
        if fits(&run) {
            return run;
        }
        let Run { out, err, .. } = &run;
        assert!(begun.elapsed() < PATIENCE, "{args:?} goes on to print\n{out}\nand\n{err}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The consumer is listed although nobody serves what it calls.
async fn who_waits(registry: &str) {
    // Nacos lists who has gone for a moment yet.
    let is_gone = |run: &Run| run.out.starts_with("no provider");
    let run = with_until(registry, &["ls", "test.Stock"], is_gone).await;
    let text = "no provider\n\nCONSUMER   APPLICATION  PID";
    assert!(run.out.starts_with(text) && run.out.contains("127.0.0.1  till "), "{}", run.out);
    run.says("no instance of test.Stock");
    let shown = with(registry, &["ls", "--json", "test.Stock"]).await.code(0).json();
    assert_eq!((&shown["instances"], &shown["methods"]), (&json!([]), &Value::Null));
    // Runs of this command before are among them.
    let consumers = shown["consumers"].as_array().unwrap();
    assert!(consumers.iter().any(|it| it["application"] == "till"), "{shown}");
    // Of a method as of the service, and what nobody calls either is unknown.
    with(registry, &["ls", "test.Stock/left"]).await.code(0).prints("no provider");
    with(registry, &["ls", "test.Stok"]).await.code(1);
}

/// A consumer of the stock is listed while it calls.
async fn who_calls(registry: &str) -> (Consumer, StockClient) {
    let consumer = consumer(registry, "till");
    let stock: StockClient = consumer.client().await.unwrap();
    stock.left("a".to_owned(), 1).await.unwrap();
    let till = |run: &Run| {
        let shown = run.json();
        let mut consumers = shown["consumers"].as_array().unwrap().iter();
        consumers.find(|it| it["application"] == "till").cloned()
    };
    let is_listed = |run: &Run| till(run).is_some();
    let run = with_until(registry, &["ls", "--json", "test.Stock"], is_listed).await;
    let one = till(&run).unwrap();
    assert_eq!((&one["host"], &one["pid"]), (&json!("127.0.0.1"), &json!(std::process::id())));
    assert!(one["started_ms"].as_u64().is_some_and(|ms| ms > 1_700_000_000_000), "{one}");
    let run = with(registry, &["ls", "test.Stock"]).await.code(0);
    let table = run.out.split("\n\n").last().unwrap();
    assert!(table.starts_with("CONSUMER   APPLICATION  PID"), "{}", run.out);
    assert!(table.contains("127.0.0.1  till "), "{}", run.out);
    (consumer, stock)
}

/// A way to a server, which hears what goes there.
struct HeardWay {
    address: String,
    /// Of each connection.
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    _ways: JoinSet<()>,
}

impl HeardWay {
    async fn to(server: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, heard) = (listener.local_addr().unwrap().to_string(), Arc::default());
        let ears = Arc::clone(&heard);
        let accepting = async move {
            let mut ways = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                ways.spawn(lead(near, server.clone(), Arc::clone(&ears)));
            }
        };
        Self { address, heard, _ways: JoinSet::from_iter([accepting]) }
    }

    /// Whether these bytes went to the server since this was asked last.
    fn has_heard(&self, bytes: &[u8]) -> bool {
        let mut heard = self.heard.lock().unwrap();
        let has = heard.iter().any(|heard| heard.windows(bytes.len()).any(|part| part == bytes));
        heard.iter_mut().for_each(Vec::clear);
        has
    }
}

/// Carries both ways until one of them ends.
async fn lead(mut near: tokio::net::TcpStream, server: String, ears: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut far = tokio::net::TcpStream::connect(server).await.unwrap();
    let at = {
        let mut ears = ears.lock().unwrap();
        ears.push(Vec::new());
        ears.len() - 1
    };
    let ((mut asks, mut hears), (mut answers, mut told)) = (near.split(), far.split());
    let there = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = asks.read(&mut buffer).await {
            ears.lock().unwrap()[at].extend_from_slice(&buffer[..read]);
            if told.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = there => {}
        _ = tokio::io::copy(&mut answers, &mut hears) => {}
    }
}

#[tokio::test]
async fn doctor_does_not_ask_for_consumers_as_ls_does() {
    let Some(etcd) = EtcdServer::start() else { return };
    let _provider = provider(&format!("etcd://{}", etcd.address())).await;
    let way = HeardWay::to(etcd.address()).await;
    let registry = format!("etcd://{}?register-consumer=false", way.address);
    with(&registry, &["ls", "test.Stock"]).await.code(0);
    assert!(way.has_heard(b"/dubbo/test.Stock/consumers"));
    doctor(&registry, &["test.Stock"], 0).await;
    assert!(!way.has_heard(b"/dubbo/test.Stock/consumers"));
}

#[tokio::test]
async fn every_subcommand_works_with_etcd() {
    let Some(etcd) = EtcdServer::start() else { return };
    every_subcommand_works(&format!("etcd://{}", etcd.address()), "etcd 3.").await;
}

#[tokio::test]
async fn every_subcommand_works_with_zookeeper() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let registry = format!("zookeeper://{}/commands", server.address());
    every_subcommand_works(&registry, "ZooKeeper 3.").await;
    // The node that told the clock is gone.
    let after = doctor(&registry, &[], 0).await;
    has(&after, "clock", "ok", "ms at most");
    assert_eq!(server.ask("dump").matches("dubhe-clock").count(), 0);
}

#[tokio::test]
async fn every_subcommand_works_with_nacos() {
    for version in NacosVersion::ALL {
        let Some(nacos) = Nacos::start(version) else { return };
        every_subcommand_works(&format!("nacos://{}", nacos.address()), "Nacos").await;
    }
}

#[tokio::test]
async fn every_subcommand_that_applies_works_with_dns() {
    let Some(server) = Dnsmasq::start("") else { return };
    server.set(&[("127.0.0.1", "shop.test")]);
    let provider = provider("memory://dns").await;
    let (_, port) = provider.address().rsplit_once(':').unwrap();
    let registry = format!("dns://shop.test:{port}?server={}", server.address());
    let registry = &*registry;
    // It knows addresses alone, so they are asked.
    with(registry, &["ls"]).await.code(0).prints("test.Stock");
    with(registry, &["ls", "test.Stock"]).await.code(0).prints(provider.address()).prints("up");
    with(registry, &["idl", "test.Stock"]).await.code(0).prints("service Stock");
    with(registry, &["call", "test.Stock/left", r#"["a", 1]"#]).await.code(0).prints("99");
    with(registry, &["explain", "test.Stock/left"]).await.code(0).prints(provider.address());
    with(registry, &["config", "test.Stock"]).await.code(0).prints("consumer.timeout");
    let seen = doctor(registry, &["test.Stock"], 0).await;
    has(&seen, "instance", "ok", "accepts and answers");
    let shown = with(registry, &["ls", "--json", "test.Stock"]).await.code(0).json();
    assert_eq!(shown["consumers"], Value::Null);
    provider.shutdown().await;
}

#[tokio::test]
async fn each_server_of_an_ensemble_is_looked_at() {
    let Some(mut ensemble) = ZooKeeperEnsemble::start() else { return };
    let registry = format!("zookeeper://{}", ensemble.addresses());
    let seen = doctor(&registry, &[], 0).await;
    has(&seen, "server", "ok", "leader");
    assert_eq!(seen.iter().filter(|it| it["check"] == "server").count(), 3);
    let dead = ensemble.servers[0].address().to_string();
    ensemble.servers[0].kill();
    ensemble.servers[1..].iter_mut().for_each(ZooKeeperServer::wait_until_ready);
    let seen = doctor(&registry, &[], 1).await;
    assert_eq!(has(&seen, "port", "fail", "nothing listens there")["of"], *dead);
    // The others are enough.
    has(&seen, "session", "ok", "opened in");
}

/// The one server of a list that has failed, whose port accepts.
#[track_caller]
fn failed_server<'a>(checks: &'a [Value], seen: &str, remedy: &str) -> &'a Value {
    has(checks, "port", "ok", "accepts");
    let server = has(checks, "server", "fail", seen);
    assert!(server["remedy"].as_str().unwrap().contains(remedy), "{server}");
    server
}

#[tokio::test]
async fn a_server_of_etcd_without_its_majority_is_known_for_what_it_is() {
    let Some([alive, mut second, mut third]) = EtcdServer::start_ensemble() else { return };
    second.kill();
    third.kill();
    let seen = doctor(&format!("etcd://{}", alive.address()), &[], 1).await;
    failed_server(&seen, "etcd 3.", "start most of its servers");
}

#[tokio::test]
async fn a_server_of_zookeeper_without_its_majority_is_known_for_what_it_is() {
    let Some(mut ensemble) = ZooKeeperEnsemble::start() else { return };
    ensemble.servers[1..].iter_mut().for_each(ZooKeeperServer::kill);
    let alive = &ensemble.servers[0];
    // It serves until it has noticed.
    let noticed = async {
        while alive.is_ready() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, noticed).await.expect("it serves on");
    let seen = doctor(&format!("zookeeper://{}", alive.address()), &[], 1).await;
    failed_server(&seen, "ZooKeeper, which does not serve", "start most of its servers");
}

#[tokio::test]
async fn tls_where_there_is_none_and_none_where_there_is_tls_are_told_with_the_remedy() {
    if let (Some(plain), Some(secure)) = (EtcdServer::shared(), SecureServer::shared_etcd()) {
        let seen = doctor(&format!("etcd://{}?tls=true", plain.address()), &[], 1).await;
        failed_server(&seen, "etcd 3.", "leave out tls=true");
        let seen = doctor(&format!("etcd://{}", secure.server.address()), &[], 1).await;
        failed_server(&seen, "TLS", "write tls=true");
    }
    let servers = (ZooKeeperServer::shared(), SecureServer::shared_zookeeper());
    if let (Some(plain), Some(secure)) = servers {
        let seen = doctor(&format!("zookeeper://{}?tls=true", plain.address()), &[], 1).await;
        failed_server(&seen, "ZooKeeper 3.", "leave out tls=true");
        let at = secure.server.secure_address();
        let seen = doctor(&format!("zookeeper://{at}"), &[], 1).await;
        failed_server(&seen, "", "write tls=true");
    }
}

#[tokio::test]
async fn a_wrong_password_of_zookeeper_is_a_failed_login() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let registry = |login: &str| format!("zookeeper://{login}@{}/locked", server.address());
    let _provider = provider(&registry("ann:s3cret")).await;
    has(&doctor(&registry("ann:s3cret"), &[], 0).await, "login", "ok", "the root can be read");
    let seen = doctor(&registry("ann:guess"), &[], 1).await;
    let login = has(&seen, "login", "fail", "no permission at /dubbo");
    assert!(login["remedy"].as_str().unwrap().contains("user and password"), "{login}");
    has(&seen, "session", "skip", "no server opens a session");
}

#[tokio::test]
async fn a_wrong_password_of_etcd_is_a_failed_login() {
    let Some(etcd) = EtcdServer::start() else { return };
    let post = |path: &str, body: &str| post(&etcd.address(), path, body);
    post("/v3/auth/user/add", r#"{"name":"root","password":"s3cret"}"#);
    post("/v3/auth/role/add", r#"{"name":"root"}"#);
    post("/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#);
    post("/v3/auth/enable", "{}");
    let registry = |login: &str| format!("etcd://{login}{}", etcd.address());
    has(&doctor(&registry("root:s3cret@"), &[], 0).await, "login", "ok", "user `root`");
    for (login, expected) in [("root:guess@", "authentication failed"), ("", "user name is empty")]
    {
        let seen = doctor(&registry(login), &[], 1).await;
        has(&seen, "login", "fail", expected);
    }
}

#[tokio::test]
async fn a_wrong_password_of_nacos_is_a_failed_login() {
    // A user that was made just now is not in its cache.
    let settings = ["nacos.core.auth.enabled=true", "nacos.core.auth.caching.enabled=false"];
    let Some(nacos) = Nacos::start_with(NacosVersion::Three, &settings) else { return };
    let made = nacos_http(&nacos.address(), "POST", "/nacos/v3/auth/user/admin?password=s3cret");
    assert_eq!(made.unwrap().0, 200);
    let registry = |login: &str| format!("nacos://{login}{}", nacos.address());
    let _provider = provider(&registry("nacos:s3cret@")).await;
    let seen = doctor(&registry("nacos:s3cret@"), &["test.Stock"], 0).await;
    has(&seen, "login", "ok", "user `nacos`");
    has(&seen, "registered", "ok", "1 services, 1 instances, of shelf");
    for (login, expected, remedy) in [
        ("nacos:guess@", "it refuses the user `nacos`", "user and password"),
        ("", "it wants a login", "user and password"),
    ] {
        let seen = doctor(&registry(login), &["test.Stock"], 1).await;
        let failed = has(&seen, "login", "fail", expected);
        assert!(failed["remedy"].as_str().unwrap().contains(remedy), "{failed}");
        let told = seen.iter().filter(|check| check["result"] == "fail").count();
        assert_eq!(told, 1, "{seen:#?}");
        assert!(!format!("{seen:?}").contains("guess"), "{seen:#?}");
        has(&seen, "port", "ok", "accepts");
        has(&seen, "registered", "skip", "no registry opens a session");
    }
}

#[tokio::test]
async fn entries_that_cannot_be_read_or_called_are_counted_and_explained() {
    let Some(etcd) = EtcdServer::start() else { return };
    let registry = format!("etcd://{}", etcd.address());
    let _provider = provider(&registry).await;
    let of_others = TcpListener::bind("127.0.0.1:0").unwrap();
    let foreign = of_others.local_addr().unwrap().port();
    let url = |scheme: &str, port: u16| {
        let query = "application%3Dold%26interface%3Dtest.Stock%26side%3Dprovider";
        format!("{scheme}%3A%2F%2F127.0.0.1%3A{port}%2Ftest.Stock%3F{query}")
    };
    for name in ["nonsense".to_owned(), url("tri", foreign), url("dubhe", 1)] {
        let key = format!("/dubbo/test.Stock/providers/{name}");
        EtcdHand::new(&etcd.address()).put(key.as_bytes(), b"").unwrap();
    }
    let seen = doctor(&registry, &["test.Stock"], 1).await;
    let broken =
        has(&seen, "entries", "warn", "1 cannot be read and are left out, such as nonsense");
    assert!(broken["remedy"].as_str().unwrap().contains("correct the providers"), "{broken}");
    has(&seen, "entries", "warn", "they speak tri");
    has(&seen, "instance", "warn", "speaks tri; accepts");
    has(&seen, "instance", "fail", "its port refused");
    has(&seen, "instance", "ok", "accepts and answers");
}

/// Asks a server of etcd by its JSON.
#[track_caller]
fn post(address: &str, path: &str, body: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.0\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.lines().next().unwrap().contains("200"), "{path}: {answer}");
}
