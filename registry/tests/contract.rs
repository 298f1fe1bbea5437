//! What every registry promises, tried on every built-in one, and those of lists that change also on one that
//! breaks them.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dubhe_registry::{CheckResult, Registration, Registry, RegistryParams, builtin, connect, open};
use rpc_core::{Error, Instance, Latest, ServiceKey, Source, Subscription};
use tokio::task::JoinSet;
use tokio::time::timeout;
use world::{LIMIT, addresses, instance, key, places, shows_soon as shows, until_soon as until};

#[tokio::test]
async fn a_registered_instance_is_seen_and_an_unregistered_one_is_gone() {
    for place in places("seen").await {
        who_comes_is_seen_until_it_goes(place.open()).await;
    }
}

async fn who_comes_is_seen_until_it_goes(registry: Arc<dyn Registry>) {
    let mut list = registry.subscribe(&key("shop.Inventory")).await.unwrap();
    let one = registry.register(instance("shop.Inventory", "a:1")).await.unwrap();
    assert!(one.is_registered(), "{registry:?}");
    let two = registry.register(instance("shop.Inventory", "b:1")).await.unwrap();
    shows(&mut list, &["a:1", "b:1"]).await;
    one.unregister().await.unwrap();
    shows(&mut list, &["b:1"]).await;
    drop(two);
    shows(&mut list, &[]).await;
}

#[tokio::test]
async fn registries_see_each_others_instances_and_only_those_of_the_service() {
    for place in places("others").await {
        let (ours, theirs) = (place.open(), place.open());
        let _a = ours.register(instance("blue/shop.Inventory:1", "a:1")).await.unwrap();
        let _b = theirs.register(instance("blue/shop.Inventory:1", "b:1")).await.unwrap();
        let _c = theirs.register(instance("shop.Inventory:1", "c:1")).await.unwrap();
        for registry in [&ours, &theirs] {
            let mut list = registry.subscribe(&key("blue/shop.Inventory:1")).await.unwrap();
            shows(&mut list, &["a:1", "b:1"]).await;
        }
    }
}

#[tokio::test]
async fn a_subscriber_may_come_before_any_provider() {
    for place in places("before").await {
        who_comes_later_is_seen(place.open(), place.open()).await;
    }
}

async fn who_comes_later_is_seen(reader: Arc<dyn Registry>, provider: Arc<dyn Registry>) {
    let mut list = reader.subscribe(&key("shop.Inventory")).await.unwrap();
    assert!(list.latest().instances.is_empty());
    let _guard = provider.register(instance("shop.Inventory", "a:1")).await.unwrap();
    shows(&mut list, &["a:1"]).await;
}

#[tokio::test]
async fn an_address_belongs_to_who_lists_it_until_that_one_goes() {
    for place in places("belongs").await.into_iter().filter(|place| !place.lists_each_start) {
        let (owner, other) = (place.open(), place.open());
        let first = owner.register(instance("shop.Inventory", "a:1")).await.unwrap();
        let theirs = Instance { weight: 0, started_ms: 9, ..instance("shop.Inventory", "a:1") };
        let second = other.register(theirs.clone()).await.unwrap();
        assert!((first.is_registered(), second.is_registered()) == (true, false), "{other:?}");
        let mut list = other.subscribe(&key("shop.Inventory")).await.unwrap();
        let snapshot = shows(&mut list, &["a:1"]).await;
        assert_eq!(snapshot.to_vec(), [instance("shop.Inventory", "a:1")]);
        // It dies without a word, and the other has asked all the time.
        drop((first, owner));
        until(&mut list, |list| list.to_vec() == [theirs.clone()]).await;
        timeout(LIMIT, second.watch().wait_for(|is| *is)).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_youngest_start_of_an_address_wins() {
    for place in places("youngest").await {
        let registry = place.open();
        let start = |id, started_ms| Instance {
            started_ms,
            ..Instance::new(key("shop.Inventory"), "a:1", id)
        };
        let young = registry.register(start("young", 2)).await.unwrap();
        let _old = registry.register(start("old", 1)).await.unwrap();
        let mut list = registry.subscribe(&key("shop.Inventory")).await.unwrap();
        let snapshot = shows(&mut list, &["a:1"]).await;
        assert_eq!(&*snapshot.instances[0].id, "young");
        young.unregister().await.unwrap();
        until(&mut list, |list| list.instances.iter().any(|i| &*i.id == "old")).await;
    }
}

#[tokio::test]
async fn an_instance_arrives_as_it_was_whatever_it_holds() {
    for place in places("odd").await {
        let registry = place.open();
        let odd = "\u{1f600} \"\\/?&=%00[31m<script>\u{202e}";
        let times = if place.limits_metadata { 2 } else { 100 };
        let sent = Instance {
            application: odd.into(),
            weight: 0,
            started_ms: u64::MAX,
            protocols: ["dubbo".to_owned(), String::new()].into(),
            codecs: [odd.to_owned()].into(),
            metadata: BTreeMap::from([(odd.to_owned(), odd.repeat(times))]).into(),
            ..Instance::new(key("gr\u{fc}n/shop.Lager$Inner:1.0-\u{3b1}"), "[::1]:20880", odd)
        };
        let _guard = registry.register(sent.clone()).await.unwrap();
        let list = place.open().subscribe(&sent.service).await.unwrap();
        assert_eq!(list.latest().to_vec(), [sent]);
    }
}

#[tokio::test]
async fn what_holds_control_characters_or_no_address_is_refused_with_its_name() {
    for place in places("refused").await {
        let registry = place.open();
        let metadata =
            |key: &str, value: &str| Arc::new(BTreeMap::from([(key.to_owned(), value.to_owned())]));
        let good = instance("shop.Inventory", "a:1");
        for (wrong, expected) in [
            (Instance { metadata: metadata("k\n", ""), ..good.clone() }, r"the metadata key k\n"),
            (Instance { metadata: metadata("k", "\u{1b}"), ..good.clone() }, "the metadata `k`"),
            (Instance { application: "\0".into(), ..good.clone() }, "the application"),
            (Instance::new(ServiceKey::new("a\tb"), "a:1", "1"), "the service"),
            (Instance { address: "a:1\r".into(), ..good.clone() }, "the address"),
            (instance("shop.Inventory", "nowhere"), "is not of the form host:port"),
        ] {
            let error = registry.register(wrong.clone()).await.unwrap_err().to_string();
            assert!(
                error.contains("cannot be registered: ") && error.contains(expected),
                "{error}"
            );
            assert!(!error.contains(char::is_control), "{error:?}");
            let guard = registry.register(good.clone()).await.unwrap();
            if wrong.service == good.service {
                let error = guard.update(wrong).unwrap_err().to_string();
                assert!(error.contains(expected), "{error}");
            }
            guard.unregister().await.unwrap();
        }
        // Asked for as it is, it would cost the session and with it all that the others follow.
        let error = registry.subscribe(&ServiceKey::new("a b")).await.unwrap_err().to_string();
        assert!(error.contains("no registry can list a b: "), "{error}");
        registry.list(&ServiceKey::new("")).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_thousand_instances_make_one_complete_list() {
    for place in places("thousand").await {
        a_thousand_are_seen(place.open(), place.open()).await;
    }
}

async fn a_thousand_are_seen(reader: Arc<dyn Registry>, registry: Arc<dyn Registry>) {
    let mut list = reader.subscribe(&key("shop.Inventory")).await.unwrap();
    let mut registering = JoinSet::new();
    for i in 0..1000 {
        let (registry, address) = (Arc::clone(&registry), format!("10.0.0.1:{i}"));
        registering.spawn(async move {
            registry.register(instance("shop.Inventory", &address)).await.unwrap()
        });
    }
    let _guards = registering.join_all().await;
    let full = until(&mut list, |list| list.instances.len() == 1000).await;
    assert!(full.instances.is_sorted_by_key(|i| i.address.clone()));
    registry.shutdown().await;
    until(&mut list, |list| list.instances.is_empty()).await;
}

#[tokio::test]
async fn an_update_replaces_what_is_listed() {
    for place in places("update").await {
        what_is_updated_is_seen(place.open()).await;
    }
}

async fn what_is_updated_is_seen(registry: Arc<dyn Registry>) {
    let guard = registry.register(instance("shop.Inventory", "a:1")).await.unwrap();
    let mut list = registry.subscribe(&key("shop.Inventory")).await.unwrap();
    let mut heavy = instance("shop.Inventory", "a:1");
    heavy.weight = 200;
    guard.update(heavy).unwrap();
    until(&mut list, |list| list.instances.iter().any(|i| i.weight == 200)).await;
    guard.update(instance("shop.Inventory", "b:1")).unwrap();
    shows(&mut list, &["b:1"]).await;
    let other = guard.update(instance("shop.Orders", "b:1")).unwrap_err();
    assert!(other.to_string().contains("register that one too"), "{other}");
}

#[tokio::test]
async fn tools_list_services_and_instances() {
    for place in places("tools").await {
        let registry = place.open();
        let _a = registry.register(instance("shop.Orders", "a:1")).await.unwrap();
        let _b = registry.register(instance("shop.Inventory", "a:1")).await.unwrap();
        let mut services = registry.services().await.unwrap();
        services.retain(|service| service.as_str() != "keeper");
        assert_eq!(services, [key("shop.Inventory"), key("shop.Orders")]);
        let listed = registry.list(&key("shop.Orders")).await.unwrap();
        assert_eq!(listed, [instance("shop.Orders", "a:1")]);
        assert_eq!(registry.list(&key("shop.None")).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_shutdown_unregisters_ends_subscriptions_and_refuses_what_comes_later() {
    for place in places("shutdown").await {
        who_shuts_down_is_gone(place.open(), place.open()).await;
    }
}

async fn who_shuts_down_is_gone(ours: Arc<dyn Registry>, theirs: Arc<dyn Registry>) {
    let guard = ours.register(instance("shop.Inventory", "a:1")).await.unwrap();
    let mut ended = ours.subscribe(&key("shop.Inventory")).await.unwrap();
    let mut list = theirs.subscribe(&key("shop.Inventory")).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    ours.shutdown().await;
    shows(&mut list, &[]).await;
    while ended.next().await.is_some() {}
    assert!(!guard.is_registered());
    guard.unregister().await.unwrap();
    let error = ours.subscribe(&key("shop.Inventory")).await.unwrap_err();
    assert!(error.is_closed() && error.to_string().contains("was shut down"), "{error}");
}

/// A registry whose lists stay as they began.
#[derive(Debug)]
struct Mute(Arc<dyn Registry>);

#[async_trait]
impl Registry for Mute {
    fn address(&self) -> String {
        self.0.address()
    }

    async fn register(&self, instance: Instance) -> Result<Registration, Error> {
        self.0.register(instance).await
    }

    async fn subscribe(&self, service: &ServiceKey) -> Result<Subscription, Error> {
        let list = self.0.subscribe(service).await?;
        let (told, first) = Latest::channel(list.latest());
        Ok(Subscription::new(first, (told, list)))
    }

    async fn list(&self, service: &ServiceKey) -> Result<Vec<Instance>, Error> {
        self.0.list(service).await
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        self.0.services().await
    }

    async fn shutdown(&self) {
        self.0.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_whose_lists_never_change_breaks_every_promise_of_a_change() {
    let mute = |name| -> Arc<dyn Registry> { Arc::new(Mute(connect(name).unwrap())) };
    let two = |name| (mute(name), mute(name));
    let (later, thousand, shutdown) =
        (two("memory://mute-later"), two("memory://mute-many"), two("memory://mute-shutdown"));
    let promises = [
        tokio::spawn(who_comes_is_seen_until_it_goes(mute("memory://mute-seen"))),
        tokio::spawn(who_comes_later_is_seen(later.0, later.1)),
        tokio::spawn(a_thousand_are_seen(thousand.0, thousand.1)),
        tokio::spawn(what_is_updated_is_seen(mute("memory://mute-updated"))),
        tokio::spawn(who_shuts_down_is_gone(shutdown.0, shutdown.1)),
    ];
    for (at, promise) in promises.into_iter().enumerate() {
        let failure = promise.await.expect_err(&format!("promise {at} is kept")).into_panic();
        let told = failure.downcast_ref::<String>().map_or("", String::as_str);
        assert!(told.starts_with("it stays at "), "promise {at}: {told}");
    }
}

#[tokio::test]
async fn a_fixed_list_is_the_same_for_every_service_and_takes_registrations_without_effect() {
    let registry = connect("static://b:2,a:1?codecs=json,msgpack").unwrap();
    let guard = registry.register(instance("shop.Inventory", "c:3")).await.unwrap();
    assert!(guard.is_registered());
    for service in ["shop.Inventory", "shop.Orders:2"] {
        let latest = registry.subscribe(&key(service)).await.unwrap().latest();
        assert_eq!((addresses(&latest), latest.source), (vec!["a:1", "b:2"], Source::Live));
        assert_eq!(*latest.instances[0].codecs, ["json", "msgpack"]);
        assert_eq!(latest.instances[0].service, key(service));
    }
    guard.unregister().await.unwrap();
}

#[test]
fn wrong_addresses_say_what_to_write() {
    for (url, expected) in [
        ("eureka://a:1", "unknown registry `eureka`, available: dev, "),
        ("stati://a:1", "did you mean `static`?"),
        ("localhost:20890", "it has no `://`: write scheme://…, such as dev://"),
        ("static://a", "every provider needs host and port"),
        ("static://", "every provider needs host and port"),
        ("static://a:0", "registry address `static://a:0`: `0` is not a port: write 1 to 65535"),
        ("dubhe://:1", "a host is empty: write a name or an IP address"),
        ("static://a:1?codec=json", "did you mean `codecs`?"),
        ("dubhe://", "it needs one server"),
        ("dubhe://a:1?x=1", "unknown parameter of dubhe:// `x`, it takes none"),
        ("dubhe://a:1/foo", "dubhe:// takes no path, leave out `/foo`"),
        (
            "dubhe://ann:s@a:1",
            "takes no user name, write dubhe://:TOKEN@HOST, or set registry.token",
        ),
        ("static://a:1/foo", "static:// takes no path"),
        ("static://:s@a:1", "takes no password, leave out the part before the `@`"),
        ("memory://a/b", "memory:// takes no path"),
        ("memory://a?x=1", "unknown parameter of memory:// `x`"),
        ("dev://shop/b", "dev:// takes no path"),
        ("dev://shop?x=1", "unknown parameter of dev:// `x`"),
        ("dev://shop:1", "one name"),
        ("dev://..", "one name"),
        ("memory://a:1", "one name and no port"),
    ] {
        let error = connect(url).unwrap_err().to_string();
        assert!(error.contains(expected), "{url}: {error}");
    }
}

#[test]
fn an_unknown_parameter_of_the_configuration_is_refused() {
    let params = serde_json::json!({"url": "memory://a", "cachedir": "/x"});
    let serde_json::Value::Object(params) = params else { unreachable!() };
    let error = builtin().build("memory", params).unwrap_err().to_string();
    assert!(error.contains("cachedir") && error.contains("cache_dir"), "{error}");
    assert!(open(&builtin(), &RegistryParams::new("memory://a")).is_ok());
}

#[tokio::test]
async fn nothing_is_found_wrong_with_a_registry_that_works() {
    for place in places("diagnosis").await {
        let (ours, theirs) = (place.open(), place.open());
        let listed = ours.register(instance("shop.Inventory", "a:1")).await.unwrap();
        let seen = theirs.diagnose().await;
        let failed: Vec<_> = seen.iter().filter(|seen| seen.has_failed()).collect();
        assert!(failed.is_empty(), "{theirs:?}: {failed:?}");
        let session = seen.iter().find(|seen| seen.check == "session");
        let session = session.unwrap_or_else(|| panic!("{theirs:?}: {seen:?}"));
        assert_eq!(session.result, CheckResult::Ok, "{session}");
        // A look at a registry in use costs nothing of what it has registered.
        ours.diagnose().await;
        assert!(listed.is_registered(), "{ours:?}");
        let left = theirs.list(&key("shop.Inventory")).await.unwrap();
        assert_eq!(left.len(), 1, "{ours:?}");
        ours.shutdown().await;
        theirs.shutdown().await;
    }
}
