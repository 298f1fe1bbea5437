//! What every config centre promises, tried on each built-in registry that has one, and what
//! `supervise` adds, with a server that fails on command.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dubhe_registry::{
    Backend, ConfigCenter, ConfigSession, ConfigUpdates, ConfigValue, ConfigWatch, Demand, Listing,
    Registry, RegistryParams, Session, Updates, builtin, connect, open, several, supervise,
};
use rpc_core::{Error, Instance, ServiceKey};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use world::SOON;
use world::log::{listen, logged};

/// More than anything here may take, a check each 22.5 to 27 s among it.
const LIMIT: Duration = Duration::from_secs(37);

/// Two clients of one server, and what keeps the server alive.
struct Place {
    ours: Arc<dyn Registry>,
    theirs: Arc<dyn Registry>,
    _server: Option<Box<dyn Any>>,
}

/// A place for each scheme, or several; one that is missing here fails.
async fn places(test: &str) -> Vec<Place> {
    let registries = builtin();
    let mut places = Vec::new();
    let mut add = |url: String, server: Option<Box<dyn Any>>| {
        let open = || open(&registries, &RegistryParams::new(url.as_str())).unwrap();
        places.push(Place { ours: open(), theirs: open(), _server: server });
    };
    for scheme in registries.names() {
        match scheme {
            "memory" => add(format!("memory://config-{test}"), None),
            #[cfg(feature = "zookeeper")]
            "zookeeper" => {
                let Some(server) = servers::ZooKeeperServer::shared() else { continue };
                let url = format!("zookeeper://{}?group=config-{test}", server.address());
                add(url, Some(Box::new(server)));
            }
            #[cfg(feature = "etcd")]
            "etcd" => {
                let Some(server) = servers::EtcdServer::start() else { continue };
                add(format!("etcd://{}", server.address()), Some(Box::new(server)));
            }
            #[cfg(feature = "nacos")]
            "nacos" => {
                let shared = servers::NacosVersion::ALL.map(servers::Nacos::shared);
                let run = std::process::id();
                for at in shared.into_iter().flatten() {
                    add(format!("nacos://{at}?namespace=config-{test}-{run}"), None);
                }
            }
            // They keep no texts.
            "dev" | "dns" | "dubhe" | "static" => {}
            other => panic!("add `{other}` to the contract suite"),
        }
    }
    places
}

fn centre(registry: &Arc<dyn Registry>) -> Arc<dyn ConfigCenter> {
    registry.config_center().unwrap()
}

fn set(text: &str) -> ConfigValue {
    ConfigValue::Set(text.into())
}

/// Waits for what a watch brings.
async fn shows(watch: &mut ConfigWatch, expected: ConfigValue) {
    shows_within(SOON, watch, expected).await;
}

/// Waits for what is read again.
async fn shows_in_the_end(watch: &mut ConfigWatch, expected: ConfigValue) {
    shows_within(LIMIT, watch, expected).await;
}

async fn shows_within(limit: Duration, watch: &mut ConfigWatch, expected: ConfigValue) {
    let waiting = async {
        while watch.latest() != expected {
            watch.next().await.expect("the registry goes on");
        }
    };
    let shown = timeout(limit, waiting).await;
    assert!(shown.is_ok(), "it stays at {:?}, not {expected:?}", watch.latest());
}

#[tokio::test]
async fn a_text_that_is_published_is_read_and_followed_and_one_taken_away_is_absent() {
    for Place { ours, theirs, _server } in places("followed").await {
        a_text_is_followed(centre(&ours), centre(&theirs)).await;
    }
}

async fn a_text_is_followed(ours: Arc<dyn ConfigCenter>, theirs: Arc<dyn ConfigCenter>) {
    let mut early = ours.watch("shop.Stock::.configurators", "dubbo").await.unwrap();
    shows(&mut early, ConfigValue::Absent).await;
    assert_eq!(ours.get("shop.Stock::.configurators", "dubbo").await.unwrap(), None);
    theirs.publish("shop.Stock::.configurators", "dubbo", Some("a: ä")).await.unwrap();
    shows(&mut early, set("a: ä")).await;
    let mut late = ours.watch("shop.Stock::.configurators", "dubbo").await.unwrap();
    shows(&mut late, set("a: ä")).await;
    assert_eq!(late.trouble(), None);
    let read = ours.get("shop.Stock::.configurators", "dubbo").await.unwrap();
    assert_eq!(read.as_deref(), Some("a: ä"));
    theirs.publish("shop.Stock::.configurators", "dubbo", Some("a: b")).await.unwrap();
    shows(&mut early, set("a: b")).await;
    theirs.publish("shop.Stock::.configurators", "dubbo", None).await.unwrap();
    shows(&mut early, ConfigValue::Absent).await;
    // What is gone can be taken away again, and can come back.
    theirs.publish("shop.Stock::.configurators", "dubbo", None).await.unwrap();
    theirs.publish("shop.Stock::.configurators", "dubbo", Some("c: d")).await.unwrap();
    shows(&mut early, set("c: d")).await;
    theirs.publish("shop.Stock::.configurators", "dubbo", Some("")).await.unwrap();
    shows(&mut early, ConfigValue::Absent).await;
}

#[tokio::test]
async fn keys_and_groups_keep_apart() {
    for Place { ours, _server, .. } in places("apart").await {
        let ours = centre(&ours);
        ours.publish("a", "dubbo", Some("1")).await.unwrap();
        ours.publish("a", "other", Some("2")).await.unwrap();
        ours.publish("ab", "dubbo", Some("3")).await.unwrap();
        for (key, group, text) in [("a", "dubbo", "1"), ("a", "other", "2"), ("ab", "dubbo", "3")] {
            // Nacos answers a reader with what was before for up to a second; it tells who watches.
            shows(&mut ours.watch(key, group).await.unwrap(), set(text)).await;
            assert_eq!(ours.get(key, group).await.unwrap().as_deref(), Some(text), "{ours:?}");
        }
        ours.publish("a", "dubbo", None).await.unwrap();
        assert_eq!(ours.get("ab", "dubbo").await.unwrap().as_deref(), Some("3"));
    }
}

#[tokio::test]
async fn what_no_server_takes_is_refused_before_it_is_asked() {
    for Place { ours, _server, .. } in places("refused").await {
        let ours = centre(&ours);
        let error = ours.watch("a/b", "dubbo").await.unwrap_err();
        assert!(error.to_string().contains("`a/b` of a config centre"), "{error}");
        let large = "a".repeat(1_000_001);
        let error = ours.publish("a", "dubbo", Some(&large)).await.unwrap_err();
        assert!(error.to_string().contains("1000001 bytes and may have 1000000"), "{error}");
        ours.publish("a", "dubbo", Some(&large[1..])).await.unwrap();
    }
}

#[tokio::test]
async fn a_watch_ends_with_its_registry() {
    for Place { ours, theirs, _server } in places("ends").await {
        let mut watch = centre(&ours).watch("a", "dubbo").await.unwrap();
        ours.shutdown().await;
        assert_eq!(timeout(LIMIT, watch.next()).await, Ok(None), "{ours:?}");
        assert!(centre(&ours).watch("a", "dubbo").await.is_err());
        centre(&theirs).publish("a", "dubbo", Some("1")).await.unwrap();
    }
}

#[tokio::test]
async fn several_registries_have_the_config_centre_of_the_first_that_has_one() {
    let without = connect("static://a:1").unwrap();
    let [with, other] = ["memory://config-first", "memory://config-second"].map(connect);
    let (with, other) = (with.unwrap(), other.unwrap());
    assert!(without.config_center().is_none());
    let all = several(vec![without, with.clone(), other]).unwrap();
    centre(&all).publish("a", "dubbo", Some("1")).await.unwrap();
    assert_eq!(centre(&with).get("a", "dubbo").await.unwrap().as_deref(), Some("1"));
}

/// A server with one value, that can be told to fail and to keep changes to itself.
#[derive(Debug, Clone)]
struct Flaky(Arc<FlakyState>);

#[derive(Debug)]
struct FlakyState {
    is_up: watch::Sender<bool>,
    value: watch::Sender<Option<Bytes>>,
    reads: AtomicUsize,
    watches: AtomicUsize,
    /// Whether watches miss changes.
    is_deaf: bool,
}

impl Flaky {
    fn new(is_up: bool, is_deaf: bool) -> (Self, Arc<dyn ConfigCenter>, Arc<dyn Registry>) {
        let flaky = Self(Arc::new(FlakyState {
            is_up: watch::Sender::new(is_up),
            value: watch::Sender::new(None),
            reads: AtomicUsize::new(0),
            watches: AtomicUsize::new(0),
            is_deaf,
        }));
        let registry = supervise(Arc::new(flaky.clone()), &RegistryParams::new("flaky://"));
        (flaky, centre(&registry), registry)
    }

    fn set(&self, value: &'static [u8]) {
        self.0.value.send_replace(Some(Bytes::from_static(value)));
    }
}

#[async_trait]
impl Backend for Flaky {
    fn address(&self) -> String {
        "flaky://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        match *self.0.is_up.borrow() {
            true => Ok(Arc::new(self.clone())),
            false => Err(Error::unreachable("flaky:// is down")),
        }
    }

    fn has_settings(&self) -> bool {
        true
    }
}

#[async_trait]
impl Session for Flaky {
    async fn register(&self, _: &Instance) -> Result<(), Error> {
        Ok(())
    }

    async fn unregister(&self, _: &Instance) -> Result<(), Error> {
        Ok(())
    }

    async fn watch(&self, _: &ServiceKey, _: &Updates) -> Result<(), Error> {
        std::future::pending().await
    }

    async fn fetch(&self, _: &ServiceKey) -> Result<Listing, Error> {
        Ok(Listing::default())
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        Ok(Vec::new())
    }

    async fn closed(&self) {
        let mut is_up = self.0.is_up.subscribe();
        let _ = is_up.wait_for(|is_up| !is_up).await;
    }

    fn settings(&self) -> Option<&dyn ConfigSession> {
        Some(self)
    }
}

#[async_trait]
impl ConfigSession for Flaky {
    async fn get(&self, _: &str, _: &str) -> Result<Option<Bytes>, Error> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        Ok(self.0.value.borrow().clone())
    }

    async fn watch(&self, _: &str, _: &str, updates: &ConfigUpdates) -> Result<(), Error> {
        self.0.watches.fetch_add(1, Ordering::SeqCst);
        let mut value = self.0.value.subscribe();
        loop {
            updates.put(value.borrow_and_update().clone());
            if self.0.is_deaf {
                std::future::pending::<()>().await;
            }
            value.changed().await.map_err(|_| Error::closed("it has ended"))?;
        }
    }

    async fn publish(&self, _: &str, _: &str, value: Option<Bytes>) -> Result<(), Error> {
        self.0.value.send_replace(value);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_config_center_whose_watches_tell_nothing_breaks_the_promise_of_a_change() {
    let (_, centre, _registry) = Flaky::new(true, false);
    a_text_is_followed(Arc::clone(&centre), centre).await;
    let (_, deaf, _registry) = Flaky::new(true, true);
    let kept = tokio::spawn(a_text_is_followed(Arc::clone(&deaf), deaf)).await;
    let failure = kept.expect_err("the promise is kept").into_panic();
    let told = failure.downcast_ref::<String>().map_or("", String::as_str);
    assert!(told.starts_with("it stays at "), "{told}");
}

#[tokio::test(start_paused = true)]
async fn the_last_text_stays_while_the_server_is_away_and_is_read_again_when_it_is_back() {
    let (flaky, centre, _registry) = Flaky::new(true, false);
    flaky.set(b"one");
    let mut watch = centre.watch("a", "dubbo").await.unwrap();
    assert_eq!(watch.latest(), set("one"));
    flaky.0.is_up.send_replace(false);
    sleep(Duration::from_millis(1)).await;
    flaky.set(b"two");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(watch.latest(), set("one"));
    assert!(watch.trouble().unwrap().error.contains("flaky:// is down"), "{watch:?}");
    flaky.0.is_up.send_replace(true);
    shows_in_the_end(&mut watch, set("two")).await;
    assert_eq!(watch.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_no_error_and_says_its_text_once_it_answers() {
    let (flaky, centre, _registry) = Flaky::new(false, false);
    let mut watch = centre.watch("a", "dubbo").await.unwrap();
    assert_eq!(watch.latest(), ConfigValue::Pending);
    flaky.set(b"one");
    flaky.0.is_up.send_replace(true);
    shows_in_the_end(&mut watch, set("one")).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_the_watch_missed_is_seen_within_a_reconcile() {
    let (flaky, centre, _registry) = Flaky::new(true, true);
    flaky.set(b"one");
    let mut watch = centre.watch("a", "dubbo").await.unwrap();
    flaky.set(b"two");
    shows_in_the_end(&mut watch, set("two")).await;
    assert_eq!(flaky.0.watches.load(Ordering::SeqCst), 1);
    // Nothing is asked for any more when nobody watches.
    drop(watch);
    sleep(Duration::from_secs(1)).await;
    let reads = flaky.0.reads.load(Ordering::SeqCst);
    sleep(Duration::from_secs(120)).await;
    assert_eq!(flaky.0.reads.load(Ordering::SeqCst), reads);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_no_text_is_trouble_and_the_last_text_stays() {
    let (flaky, centre, _registry) = Flaky::new(true, false);
    flaky.set(b"one");
    let mut watch = centre.watch("a", "dubbo").await.unwrap();
    listen();
    flaky.set(b"t\xffo");
    // It is read a few times.
    sleep(Duration::from_secs(100)).await;
    assert_eq!(logged(&["a value of the config centre is no text", "key=a "]), 1);
    assert_eq!(watch.latest(), set("one"));
    assert!(watch.trouble().unwrap().error.contains("not UTF-8 from byte 1"), "{watch:?}");
    let error = centre.get("a", "dubbo").await.unwrap_err().to_string();
    assert!(error.contains("`a` of flaky://: it is not UTF-8"), "{error}");
    flaky.set(b"two");
    shows_in_the_end(&mut watch, set("two")).await;
    assert_eq!(watch.trouble(), None);
}

#[test]
fn a_watch_goes_on_in_another_runtime() {
    let one = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let registry = connect("memory://config-runtimes").unwrap();
    let centre = centre(&registry);
    let first = one();
    let mut watch = first.block_on(async { centre.watch("a", "dubbo").await.unwrap() });
    drop(first);
    assert!(watch.trouble().is_some(), "{watch:?}");
    one().block_on(async {
        assert!(watch.resume());
        assert!(!watch.resume());
        centre.publish("a", "dubbo", Some("1")).await.unwrap();
        shows(&mut watch, set("1")).await;
    });
}

#[tokio::test]
async fn a_hundred_watches_see_each_its_own_text() {
    for Place { ours, theirs, _server } in places("hundred").await {
        let (ours, theirs) = (centre(&ours), centre(&theirs));
        let mut watches = BTreeMap::new();
        for at in 0..100 {
            let key = format!("key-{at}");
            watches.insert(key.clone(), ours.watch(&key, "dubbo").await.unwrap());
        }
        for key in watches.keys() {
            theirs.publish(key, "dubbo", Some(key)).await.unwrap();
        }
        for (key, watch) in &mut watches {
            shows(watch, set(key)).await;
        }
    }
}
