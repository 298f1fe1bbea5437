//! `dubhe doctor`: each thing that can be wrong is told from the others, with its cause and what helps.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;
use support::{Registry, Run, command, dubhe, provider, run_with, shop};
use tokio::net::TcpSocket;
use tokio::time::Instant;

/// How long a look at a registry that is dead may take.
const LONGEST: Duration = Duration::from_secs(10);

/// The checks of a run, each as printed with `--json`.
struct Checks(Vec<Value>);

impl Checks {
    /// Those of a look at `registry`, which ends with `code`.
    async fn of(registry: &str, more: &[&str], code: i32) -> Self {
        Self::read(
            &dubhe(&[&["--registry", registry, "--json", "doctor"], more].concat())
                .await
                .code(code),
        )
    }

    fn read(run: &Run) -> Self {
        Self(run.json()["checks"].as_array().unwrap().clone())
    }

    /// Fails unless the check has this result, and has seen this.
    #[track_caller]
    fn has(&self, check: &str, result: &str, seen: &str) -> &Value {
        let is = |found: &&Value| {
            found["check"] == check
                && found["result"] == result
                && found["seen"].as_str().unwrap().contains(seen)
        };
        let found = self.0.iter().find(is);
        found.unwrap_or_else(|| panic!("no {result} {check} with {seen:?} in {:#?}", self.0))
    }

    /// As [`has`](Self::has), of a failure with this remedy.
    #[track_caller]
    fn fails(&self, check: &str, seen: &str, remedy: &str) {
        let found = self.has(check, "fail", seen)["remedy"].as_str().unwrap();
        assert!(found.contains(remedy), "{remedy:?} in {found:?}");
    }
}

/// A program that answers whatever it is told with `answer`, and then hangs up; ends with the test.
fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || respond(stream, answer));
        }
    });
    address
}

fn respond(mut stream: TcpStream, answer: &[u8]) {
    let mut heard = [0; 1024];
    // Who says nothing is told nothing.
    if stream.read(&mut heard).is_ok_and(|read| read > 0) {
        let _ = stream.write_all(answer);
    }
}

#[tokio::test]
async fn a_registry_that_works_has_no_failure() {
    let (registry, provider) = shop().await;
    let seen = Checks::of(&registry.url, &["test.Stock"], 0).await;
    seen.has("settings", "ok", "set by --registry");
    seen.has("port", "ok", "accepts");
    seen.has("server", "ok", "a registry of Dubhe");
    seen.has("login", "ok", "none asked for");
    seen.has("clock", "ok", "ms at most");
    seen.has("session", "ok", "opened in");
    seen.has("layout", "ok", "1 services, 1 instances");
    seen.has("entries", "ok", "all can be read");
    seen.has("address", "ok", "the registry is on this machine");
    seen.has("registered", "ok", "1 services, 1 instances, of shelf");
    let instance = seen.has("instance", "ok", "shelf, speaks dubbo,json; accepts and answers");
    assert_eq!(instance["of"], provider.address());
    let text = registry.dubhe(&["doctor"]).await.code(0);
    text.prints("ok    session").prints("0 failed, 0 warnings, 0 skipped");
}

#[tokio::test]
async fn a_dead_port_is_refused_and_what_depends_on_it_is_skipped() {
    let (mut registry, _provider) = shop().await;
    registry.child.kill().await.unwrap();
    let seen = Checks::of(&registry.url, &["test.Stock"], 1).await;
    seen.fails("port", "nothing listens there", "start what should listen there");
    seen.has("server", "skip", "it is not reached");
    for check in ["session", "layout"] {
        seen.has(check, "skip", "no server opens a session");
    }
    seen.has("registered", "skip", "no registry opens a session");
    let text = registry.dubhe(&["doctor"]).await.code(1);
    text.prints("fail  port").prints("-> start what should listen there").prints("1 failed");
}

#[tokio::test]
async fn a_port_that_takes_no_connections_any_more_is_told_from_a_closed_one() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    // Nobody takes them, and there is room for no more.
    let _waiting = TcpStream::connect(address).unwrap();
    let begun = Instant::now();
    for scheme in ["etcd", "zookeeper", "dubhe"] {
        let seen = Checks::of(&format!("{scheme}://{address}"), &[], 1).await;
        seen.fails("port", "no answer within 2s", "whether it takes connections");
    }
    assert!(begun.elapsed() < 3 * LONGEST, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_told_from_a_port() {
    let seen = Checks::of("zookeeper://no-such-host.invalid", &[], 1).await;
    seen.fails("name", "cannot be resolved", "correct the name");
    seen.has("port", "skip", "its name has no address");
}

#[tokio::test]
async fn another_program_on_the_port_is_named() {
    let (registry, provider) = shop().await;
    let web = answering(b"HTTP/1.0 404 Not Found\r\n\r\n");
    let tls = answering(b"\x15\x03\x03\x00\x02\x02\x28");
    let of_registry = registry.url.strip_prefix("dubhe://").unwrap();
    for (registry, expected) in [
        (format!("dubhe://{}", provider.address()), "correct host and port"),
        (format!("dubhe://{web}"), "speaks HTTP/1"),
        (format!("zookeeper://{web}"), "speaks HTTP/1"),
        (format!("etcd://{web}"), "speaks HTTP/1"),
        (format!("dubhe://{tls}"), "speaks TLS"),
        (format!("zookeeper://{tls}"), "speaks TLS"),
        (format!("etcd://{tls}"), "speaks TLS"),
        (format!("zookeeper://{of_registry}"), "correct host and port"),
        (format!("etcd://{of_registry}"), "correct host and port"),
    ] {
        let seen = Checks::of(&registry, &[], 1).await;
        seen.has("port", "ok", "accepts");
        seen.fails("server", "", expected);
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_stands_still_takes_ten_seconds_at_most() {
    let (registry, _provider) = shop().await;
    registry.signal("STOP").await;
    let begun = Instant::now();
    let seen = Checks::of(&registry.url, &["test.Stock"], 1).await;
    let took = begun.elapsed();
    registry.signal("CONT").await;
    assert!(took < LONGEST, "{took:?}");
    seen.has("port", "ok", "accepts");
    seen.fails("server", "opens no session within", "stopped, overloaded");
}

#[tokio::test]
async fn a_wrong_token_is_told_from_a_server_that_is_none() {
    let registry = Registry::start(&["--token", "secret"]).await;
    for token in [&[][..], &["--token", "guess"]] {
        let run = registry.dubhe(&[&["--json", "doctor"], token].concat()).await.code(1);
        let seen = Checks::read(&run);
        seen.fails("login", "token", "registry.token");
        assert!(!run.out.contains("secret") && !run.out.contains("guess"), "{}", run.out);
    }
    let seen =
        Checks::read(&registry.dubhe(&["--json", "doctor", "--token", "secret"]).await.code(0));
    seen.has("login", "ok", "the token is taken");
}

#[tokio::test]
async fn settings_that_cannot_work_are_a_check_and_wrong_usage() {
    let seen = Checks::of("etdc://127.0.0.1", &[], 2).await;
    seen.fails("settings", "did you mean `etcd`?", "dubhe config");
    seen.has("server", "skip", "");
    let seen = Checks::of("etcd://127.0.0.1:0", &[], 2).await;
    seen.fails("settings", "`0` is not a port", "dubhe config");
}

#[tokio::test]
async fn an_instance_that_has_died_and_a_service_that_nobody_has_are_failures() {
    let (registry, _provider) = shop().await;
    let seen = Checks::of(&registry.url, &["test.Stok"], 1).await;
    seen.fails("registered", "did you mean `test.Stock`?", "start a provider of it");
    let seen = Checks::of("static://127.0.0.1:1", &["test.Stock"], 1).await;
    seen.fails("instance", "its port refused", "start what should listen there");
}

#[tokio::test]
async fn addresses_given_by_hand_are_asked_what_they_serve() {
    let registry = Registry::start(&[]).await;
    let provider = provider(&registry.url, "").await;
    let by_hand = format!("static://{},127.0.0.1:1", provider.address());
    let seen = Checks::of(&by_hand, &[], 1).await;
    seen.has("instance", "ok", "serves test.Stock");
    seen.fails("instance", "cannot connect", "start the provider");
}

#[tokio::test]
async fn a_registry_without_providers_is_a_warning() {
    let registry = Registry::start(&[]).await;
    Checks::of(&registry.url, &[], 0).await.has("registered", "warn", "nobody is registered");
    Checks::of("memory://x", &[], 0).await.has("layout", "warn", "inside this process");
    // Where nobody else meets.
    let folder = tempfile::tempdir().unwrap();
    let mut alone = command(&["doctor", "--json"]);
    alone.env("XDG_RUNTIME_DIR", folder.path());
    Checks::read(&run_with(alone, "").await.code(1)).has("session", "fail", "no provider runs");
}

#[tokio::test]
async fn a_folder_of_lists_that_cannot_be_written_is_a_warning() {
    let registry = Registry::start(&[]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut run = command(&["--registry", &registry.url, "--json", "doctor"]);
    run.env("DUBHE_REGISTRY__CACHE", "true").env("DUBHE_REGISTRY__CACHE_DIR", file.path());
    let seen = Checks::read(&run_with(run, "").await.code(0));
    let found = seen.has("cache", "warn", "lists cannot be kept there");
    assert!(found["remedy"].as_str().unwrap().contains("registry.cache_dir"), "{found}");
    let folder = tempfile::tempdir().unwrap();
    let mut run = command(&["--registry", &registry.url, "--json", "doctor"]);
    run.env("DUBHE_REGISTRY__CACHE", "true").env("DUBHE_REGISTRY__CACHE_DIR", folder.path());
    let seen = Checks::read(&run_with(run, "").await.code(0));
    seen.has("cache", "ok", "lists can be kept there");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn each_of_several_registries_is_looked_at() {
    let (registry, _provider) = shop().await;
    let both = format!("{},dubhe://127.0.0.1:1", registry.url);
    let seen = Checks::of(&both, &[], 1).await;
    seen.has("session", "ok", "opened in");
    seen.fails("port", "nothing listens there", "correct the port");
    seen.has("registered", "ok", "1 services, 1 instances");
}

#[tokio::test]
async fn of_nacos_both_ports_are_looked_at() {
    let answer =
        b"HTTP/1.1 200 OK\r\ndate: Tue, 15 Nov 1994 08:12:31 GMT\r\n\r\n{\"version\":\"2.2.4\"}";
    let seen = Checks::of(&format!("nacos://{}", answering(answer)), &[], 1).await;
    seen.has("server", "ok", "Nacos 2.2.4");
    seen.has("clock", "warn", "behind that of this machine");
    seen.fails("port", "nothing listens there", "correct the port");
}

#[tokio::test]
async fn a_port_of_nacos_that_nobody_needs_is_a_warning_at_most() {
    let [free] = servers::free_ports();
    let seen = Checks::of(&format!("nacos://127.0.0.1:{free}"), &[], 1).await;
    let port = seen.has("port", "warn", "nothing listens there");
    assert_eq!(port["of"], format!("127.0.0.1:{free}"));
    assert!(port["remedy"].as_str().unwrap().contains("only logins need it"), "{port}");
    // That of gRPC is needed, and with a user both are.
    for (login, needed) in [("", 1), ("ann:s3cret@", 2)] {
        let seen = Checks::of(&format!("nacos://{login}127.0.0.1:{free}"), &[], 1).await;
        let failed = seen.0.iter().filter(|it| it["check"] == "port" && it["result"] == "fail");
        assert_eq!(failed.count(), needed, "{:#?}", seen.0);
    }
}
