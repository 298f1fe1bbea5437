//! `dubhe://` against real servers on loopback that go away, come back, forget and are attacked.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dubhe_registry::embedded::{EmbeddedServer, RegistryServerConfig};
use dubhe_registry::{RegistryParams, builtin, connect, open};
use rpc_core::{Instance, Source};
use tokio::time::{Instant, timeout};
use world::{LIMIT, dubhe, eventually, instance, key, quick, rebind, shows, until};

const SERVICE: &str = "shop.Inventory";

#[tokio::test]
async fn who_is_no_registry_is_told_by_what_it_says_and_by_its_silence() {
    for (answer, expected) in [
        (&b"HTTP/1.1 400 Bad ClientMessage\r\n\r\n"[..], "it speaks HTTP; check host and port"),
        (b"\xda\xbb\x02\x14", "it speaks the dubbo protocol; check host and port"),
        (b"", "it closed the connection without a word; check host and port"),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("dubhe://{}", listener.local_addr().unwrap());
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = [0; 4];
            stream.read_exact(&mut heard).unwrap();
            stream.write_all(answer).unwrap();
        });
        let error = connect(&url).unwrap().list(&key(SERVICE)).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("registry {url}: {expected}")), "{error}");
        other.join().unwrap();
    }
}

#[tokio::test]
async fn what_is_removed_by_hand_is_registered_again() {
    let place = dubhe(quick()).await;
    let registry = place.open();
    let _guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let mut list = place.open().subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    assert!(place.server.as_ref().unwrap().remove(&key(SERVICE), "a:1"));
    shows(&mut list, &[]).await;
    shows(&mut list, &["a:1"]).await;
    assert!(!place.server.as_ref().unwrap().remove(&key(SERVICE), "b:1"));
}

#[tokio::test]
async fn the_instances_of_a_provider_that_is_gone_vanish_with_its_lease() {
    let place = dubhe(quick()).await;
    let provider = place.open();
    let guard = provider.register(instance(SERVICE, "a:1")).await.unwrap();
    let reader = place.open();
    let _other = reader.register(instance(SERVICE, "b:1")).await.unwrap();
    let mut list = reader.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1", "b:1"]).await;
    // All tasks of the first client end at once, as they do with its process.
    drop((guard, provider));
    shows(&mut list, &["b:1"]).await;
}

#[tokio::test]
async fn a_restart_of_the_server_empties_no_list_and_registers_all_again() {
    let mut place = dubhe(quick()).await;
    let address = place.server.as_ref().unwrap().local_addr();
    let (ours, theirs, reader) = (place.open(), place.open(), place.open());
    let _a = ours.register(instance(SERVICE, "a:1")).await.unwrap();
    let b = theirs.register(instance(SERVICE, "b:1")).await.unwrap();
    let mut lists = Vec::new();
    for registry in [&ours, &reader] {
        let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
        shows(&mut list, &["a:1", "b:1"]).await;
        lists.push(list);
    }
    let shrank = Arc::new(AtomicBool::new(false));
    for mut list in lists {
        let shrank = Arc::clone(&shrank);
        tokio::spawn(async move {
            while let Some(snapshot) = list.next().await {
                shrank.fetch_or(snapshot.instances.len() < 2, Ordering::SeqCst);
            }
        });
    }
    place.server = None;
    let mut registered = b.watch();
    timeout(LIMIT, registered.wait_for(|is| !is)).await.unwrap().unwrap();
    let server = rebind(address, quick()).await;
    timeout(LIMIT, registered.wait_for(|is| *is)).await.unwrap().unwrap();
    eventually(|| server.status().instances == 2 && server.status().subscriptions == 2).await;
    assert!(!shrank.load(Ordering::SeqCst), "a list lost instances over the restart");
}

#[tokio::test]
async fn a_lost_session_says_why_it_was_lost() {
    let mut place = dubhe(quick()).await;
    let list = place.open().subscribe(&key(SERVICE)).await.unwrap();
    let mut trouble = list.watch_trouble();
    place.server = None;
    timeout(LIMIT, trouble.changed()).await.unwrap().unwrap();
    let error = trouble.borrow_and_update().clone().unwrap().error;
    // A reset, if something was on its way.
    let causes = ["it closed the connection", "connection broken: "];
    assert!(causes.iter().any(|cause| error.starts_with(cause)), "{error}");
}

#[tokio::test]
async fn the_end_of_a_subscription_ends_it_at_the_server() {
    let place = dubhe(quick()).await;
    let registry = place.open();
    let first = registry.subscribe(&key(SERVICE)).await.unwrap();
    let second = registry.subscribe(&key(SERVICE)).await.unwrap();
    let _guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let status = || place.server.as_ref().unwrap().status();
    assert_eq!((status().subscriptions, status().connections), (1, 1));
    drop(first);
    let mut list = second;
    shows(&mut list, &["a:1"]).await;
    assert_eq!(status().subscriptions, 1);
    drop(list);
    eventually(|| status().subscriptions == 0).await;
}

#[tokio::test]
async fn a_registry_that_is_down_at_the_start_is_no_error_and_heals() {
    let mut place = dubhe(quick()).await;
    let address = place.server.as_ref().unwrap().local_addr();
    place.server = None;
    let registry = place.open();
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    assert_eq!((guard.is_registered(), list.latest().source), (false, Source::Pending));
    let error = registry.list(&key(SERVICE)).await.unwrap_err();
    let expected = format!("registry dubhe://{address}: cannot connect to {address}: ");
    assert!(error.is_unreachable() && error.to_string().starts_with(&expected), "{error}");
    assert!(error.to_string().ends_with("is it running?"), "{error}");
    let _server = rebind(address, quick()).await;
    shows(&mut list, &["a:1"]).await;
    assert!(guard.is_registered());
}

#[tokio::test]
async fn a_consumer_starts_from_the_disk_cache_while_its_registry_is_dead() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = dubhe(quick()).await;
    let address = place.server.as_ref().unwrap().local_addr();
    place.config.cache_dir = Some(dir.path().to_owned());
    let registry = place.open();
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    let is_list = |path: &Path| path.extension().is_some_and(|e| e == "list");
    let files = || std::fs::read_dir(dir.path()).unwrap().flatten();
    eventually(|| files().any(|file| is_list(&file.path()))).await;
    place.server = None;
    drop((list, guard, registry));

    let restarted = place.open();
    let mut list = restarted.subscribe(&key(SERVICE)).await.unwrap();
    let snapshot = list.latest();
    assert!(matches!(snapshot.source, Source::Cache { .. }), "{snapshot:?}");
    assert_eq!(snapshot.to_vec(), [instance(SERVICE, "a:1")]);
    let _server = rebind(address, quick()).await;
    let provider = place.open();
    let _guard = provider.register(instance(SERVICE, "b:1")).await.unwrap();
    shows(&mut list, &["b:1"]).await;
}

#[tokio::test]
async fn a_list_that_changes_all_the_time_is_seldom_written_and_at_last_as_it_is() {
    const COUNT: u32 = 400;
    let dir = tempfile::tempdir().unwrap();
    let mut place = dubhe(quick()).await;
    place.config.cache_dir = Some(dir.path().to_owned());
    let registry = place.open();
    let mut listed = Vec::new();
    for number in 0..COUNT {
        listed.push(registry.register(instance(SERVICE, &format!("a:{number}"))).await.unwrap());
    }
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    until(&mut list, |list| list.instances.len() == COUNT as usize).await;
    let written = || {
        let files = std::fs::read_dir(dir.path()).into_iter().flatten().flatten();
        let mut lists = files.filter(|file| file.path().extension().is_some_and(|e| e == "list"));
        lists.next().and_then(|file| std::fs::read_to_string(file.path()).ok())
    };
    let (mut texts, begun) = (std::collections::HashSet::new(), Instant::now());
    let mut weight = 1000;
    while weight < 1030 {
        weight += 1;
        listed[0].update(Instance { weight, ..instance(SERVICE, "a:0") }).unwrap();
        until(&mut list, |list| list.instances[0].weight == weight).await;
        texts.extend(written());
    }
    // A millisecond passes for each instance, and the first list may come in parts.
    let most = begun.elapsed().as_millis() as u32 / COUNT + 4;
    assert!(texts.len() as u32 <= most, "written {} times, {most} are due", texts.len());
    assert!(most < 30, "{:?} are too long to tell anything", begun.elapsed());
    let last = format!("\"weight\":{weight}");
    eventually(|| written().is_some_and(|text| text.contains(&last))).await;
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_refused_with_the_setting_that_gives_it() {
    let config = RegistryServerConfig { token: "secret".to_owned(), ..quick() };
    let place = dubhe(config).await;
    let needs = place.open().services().await.unwrap_err();
    assert!(needs.is_refused());
    assert!(needs.to_string().contains("it needs a token, set registry.token"), "{needs}");
    let mut wrong = place.config.clone();
    wrong.token = Some("secret!".to_owned());
    let error = open(&builtin(), &wrong).unwrap().services().await.unwrap_err().to_string();
    assert!(error.contains("the token is wrong, check registry.token"), "{error}");
    assert!(!error.contains("secret"), "{error}");
    let address = place.server.as_ref().unwrap().local_addr();
    let registry = connect(&format!("dubhe://:secret@{address}")).unwrap();
    assert!(registry.services().await.unwrap().is_empty());
    assert_eq!(registry.address(), format!("dubhe://{address}"));
}

#[tokio::test]
async fn a_port_in_use_is_told_with_the_remedy() {
    let place = dubhe(quick()).await;
    let address = place.server.as_ref().unwrap().local_addr();
    let error = EmbeddedServer::bind(address, quick()).await.unwrap_err();
    assert!(error.is_bind() && error.to_string().contains("choose another address"), "{error}");
}

#[tokio::test]
async fn past_a_limit_the_client_is_told_which() {
    let limits = RegistryServerConfig { max_instances: 1, max_connections: 1, ..quick() };
    let place = dubhe(limits).await;
    let registry = place.open();
    let _first = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let mut second = tokio::spawn({
        let registry = Arc::clone(&registry);
        async move { registry.register(instance(SERVICE, "b:1")).await.unwrap() }
    });
    assert!(!(&mut second).await.unwrap().is_registered());
    let error = place.open().services().await.unwrap_err().to_string();
    assert!(error.contains("serves 1 connections") && error.contains("max_connections"), "{error}");
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
}

/// Sends `bytes` and returns what the server says before it closes.
fn attack(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    // A reset is an answer too.
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

fn framed(text: &str) -> Vec<u8> {
    let mut bytes = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_clients_are_told_off_and_disturb_nobody() {
    let config = RegistryServerConfig { patience: Duration::from_millis(200), ..quick() };
    let place = dubhe(config).await;
    let registry = place.open();
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    let address = place.server.as_ref().unwrap().local_addr();
    let hello = framed(r#"{"id":1,"ask":{"hello":{"version":1,"token":""}}}"#);
    let after_hello = |text: &str| [hello.clone(), framed(text)].concat();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (bytes, answer) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "exceeds the limit"),
        (u32::MAX.to_be_bytes().to_vec(), "exceeds the limit"),
        (framed("{}"), "malformed frame"),
        (framed(""), "malformed frame"),
        (framed(&deep), "malformed frame"),
        (framed("\u{0}\u{ff}"), "malformed frame"),
        (framed(r#"{"id":1,"ask":{"services":{}}}"#), "must be a hello"),
        (framed(r#"{"id":1,"ask":{"hello":{"version":9,"token":""}}}"#), "version 9"),
        (Vec::new(), "no hello within"),
        (hello[..20].to_vec(), "no hello within"),
        (after_hello(r#"{"id":1,"ask":{"nonsense":{}}}"#), "malformed frame"),
        (after_hello(r#"{"id":1,"ask":{"fetch":{"service":"a b"}}}"#), "not a service key"),
        (after_hello(r#"{"id":2,"ask":{"hello":{"version":1,"token":""}}}"#), "second hello"),
    ] {
        let said = tokio::task::spawn_blocking({
            let bytes = bytes.clone();
            move || attack(address, &bytes)
        });
        let said = said.await.unwrap();
        assert!(said.contains(answer), "{:?} to {:?}", said, String::from_utf8_lossy(&bytes));
        assert!(guard.is_registered());
    }
    let _second = registry.register(instance(SERVICE, "b:1")).await.unwrap();
    shows(&mut list, &["a:1", "b:1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_requests_never_bring_the_server_down() {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};
    let config = RegistryServerConfig { patience: Duration::from_millis(20), ..quick() };
    let place = dubhe(config).await;
    let address = place.server.as_ref().unwrap().local_addr();
    let mut rng = StdRng::seed_from_u64(11);
    let one = serde_json::to_string(&instance(SERVICE, "a:1")).unwrap();
    let hello = framed(r#"{"id":1,"ask":{"hello":{"version":1,"token":""}}}"#);
    let register = framed(&format!(r#"{{"id":2,"ask":{{"register":{{"instance":{one}}}}}}}"#));
    for _ in 0..300 {
        let mut bytes = [hello.clone(), register.clone()].concat();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
        }
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream.write_all(&bytes);
    }
    let registry = open(&builtin(), &RegistryParams::new(format!("dubhe://{address}"))).unwrap();
    let guard = registry.register(instance("shop.Other", "z:1")).await.unwrap();
    let mut list = registry.subscribe(&key("shop.Other")).await.unwrap();
    until(&mut list, |list| list.instances.len() == 1).await;
    assert!(guard.is_registered());
}
