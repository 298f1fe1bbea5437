//! Whose an instance is, and how much of the registry one client gets.

use rpc_core::Source;

use super::super::caller::Registrant;
use super::super::table::InstanceKey;
use super::*;

/// An instance of about this many bytes of JSON.
fn large(address: &str, bytes: usize) -> Instance {
    Instance { application: "x".repeat(bytes).into(), ..instance(address) }
}

fn renewals(count: f64) -> Duration {
    RegistryServerConfig::default().renew.mul_f64(count)
}

#[tokio::test(start_paused = true)]
async fn nobody_overwrites_replaces_or_removes_what_another_session_holds() {
    let host = RegistryHost::start(no_withholding());
    let (owner, other) = (client(&host).await, client(&host).await);
    owner.register(&instance("a:1")).await.unwrap();
    let same = Instance { weight: 0, ..instance("a:1") };
    let younger = Instance { id: "other".into(), started_ms: u64::MAX, ..instance("a:1") };
    for theirs in [same, younger] {
        let error = other.register(&theirs).await.unwrap_err().to_string();
        assert!(error.contains("a:1 is listed by another client that still answers"), "{error}");
        assert!(error.contains("provider.advertise") && error.contains("15s"), "{error}");
    }
    let error = other.unregister(&instance("a:1")).await.unwrap_err().to_string();
    assert!(error.contains("another client, which alone may remove it"), "{error}");
    // It lives, so this stays so.
    sleep(Duration::from_secs(3600)).await;
    other.register(&Instance { weight: 0, ..instance("a:1") }).await.unwrap_err();
    assert_eq!(host.list(&key()).version.instances, [Arc::new(instance("a:1"))]);
    // What is not there may be removed by anybody, and its own by the owner.
    other.unregister(&instance("b:1")).await.unwrap();
    owner.unregister(&instance("a:1")).await.unwrap();
    other.register(&instance("a:1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_secret_of_a_client_stands_in_no_list() {
    let host = RegistryHost::start(no_withholding());
    let identity = Identity::random();
    known(&host, &identity).await.register(&instance("a:1")).await.unwrap();
    let push = host.list(&key()).push().await.unwrap();
    let secret = serde_json::to_string(&identity.secret).unwrap();
    assert!(secret.len() > 32 && !format!("{identity:?}").contains(secret.trim_matches('"')));
    assert!(!String::from_utf8_lossy(&push).contains(secret.trim_matches('"')));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_died_and_came_back_has_its_address_at_once() {
    let host = RegistryHost::start(no_withholding());
    let dead = client(&host).await;
    dead.register(&instance("a:1")).await.unwrap();
    drop(dead);
    sleep(Duration::from_millis(10)).await;
    let restarted = Instance { id: "next start".into(), ..instance("a:1") };
    client(&host).await.register(&restarted).await.unwrap();
    assert_eq!(host.list(&key()).version.instances, [Arc::new(restarted)]);
}

#[tokio::test(start_paused = true)]
async fn who_fell_silent_is_replaced_before_its_lease_ends_so_that_no_list_lacks_the_address() {
    let piped = Arc::new(Piped::default());
    let host = RegistryHost::start(no_withholding());
    *locked(&piped.server) = Some((Arc::clone(&host), JoinSet::new()));
    let mut silent = pipe(&host);
    let register = Ask::Register { instance: instance("a:1") };
    for (id, ask) in [hello(), register].into_iter().enumerate() {
        silent.write_all(&frame(&ClientMessage { id: id as u64, ask })).await.unwrap();
    }
    sleep(Duration::from_millis(1)).await;
    let began = Instant::now();
    let registry = supervise(Arc::clone(&piped) as _, &RegistryParams::new("piped://"));
    let mut list = registry.subscribe(&key()).await.unwrap();
    let restarted = Instance { id: "next start".into(), ..instance("a:1") };
    let guard = registry.register(restarted.clone()).await.unwrap();
    assert!(!guard.is_registered());
    guard.watch().wait_for(|is| *is).await.unwrap();
    let took = began.elapsed();
    assert!((renewals(1.5)..renewals(2.0)).contains(&took), "{took:?}");
    while *list.latest().instances[0] != restarted {
        let next = list.next().await.unwrap();
        assert_eq!((next.instances.len(), next.source), (1, Source::Live));
    }
}

#[tokio::test(start_paused = true)]
async fn who_shows_no_secret_is_known_by_its_connection() {
    let host = RegistryHost::start(no_withholding());
    let nameless = Arc::new(Identity::default());
    let (one, other) = (known(&host, &nameless).await, known(&host, &nameless).await);
    one.register(&instance("a:1")).await.unwrap();
    one.register(&Instance { weight: 1, ..instance("a:1") }).await.unwrap();
    other.register(&instance("a:1")).await.unwrap_err();
    other.unregister(&instance("a:1")).await.unwrap_err();
    one.unregister(&instance("a:1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_would_fill_the_disk_is_refused() {
    let host = RegistryHost::start(no_withholding());
    let identity = Identity { secret: ClientSecret::of(&"s".repeat(65)), ..Identity::default() };
    let refused = Client::open(pipe(&host), ("test", ""), &Arc::new(identity)).await.unwrap_err();
    assert!(refused.to_string().contains("the secret has more than 64 bytes"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn one_connection_fills_neither_a_list_nor_the_registry() {
    let host = RegistryHost::start(no_withholding());
    let (greedy, genuine) = (client(&host).await, client(&host).await);
    let mut refused = None;
    for n in 0..1000 {
        // Of its own services, too.
        let service = ServiceKey::new(&format!("shop.S{}", n % 2));
        let one = Instance { service, ..large(&format!("a:{n}"), 60_000) };
        refused = greedy.register(&one).await.err().or(refused);
    }
    let refused = refused.expect("it got all it wanted").to_string();
    assert!(refused.contains("may have 8388608 bytes of JSON together"), "{refused}");
    assert!(refused.contains("max_bytes_per_connection"), "{refused}");
    let taken = host.status().instances;
    assert_eq!(taken, 8 * 1024 * 1024 / 60_160, "a share is not used up or exceeded");
    for n in 0..2 {
        let service = ServiceKey::new(&format!("shop.S{n}"));
        genuine.register(&Instance { service, ..large("b:1", 60_000) }).await.unwrap();
    }
    // What it gives back it may have again.
    greedy
        .unregister(&Instance { service: ServiceKey::new("shop.S0"), ..instance("a:0") })
        .await
        .unwrap();
    let again = Instance { service: ServiceKey::new("shop.S0"), ..large("a:0", 60_000) };
    greedy.register(&again).await.unwrap();
    // And change what it holds.
    greedy.register(&Instance { weight: 1, ..again }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_connection_registers_and_follows_so_many_and_others_their_own() {
    let host =
        RegistryHost::start(RegistryServerConfig { max_per_connection: 3, ..no_withholding() });
    let (greedy, genuine) = (client(&host).await, client(&host).await);
    for n in 0..3 {
        greedy.register(&instance(&format!("a:{n}"))).await.unwrap();
    }
    let refused = greedy.register(&instance("a:3")).await.unwrap_err().to_string();
    assert!(refused.contains("a connection may register 3 (max_per_connection)"), "{refused}");
    genuine.register(&instance("b:0")).await.unwrap();
    // What it holds it may change, and have something else instead.
    greedy.register(&Instance { weight: 1, ..instance("a:2") }).await.unwrap();
    greedy.unregister(&instance("a:2")).await.unwrap();
    greedy.register(&instance("a:3")).await.unwrap();

    let mut watching = JoinSet::new();
    let follow = |watching: &mut JoinSet<_>, client: &Arc<Client>, n: usize| {
        let (client, service) = (Arc::clone(client), ServiceKey::new(&format!("shop.S{n}")));
        watching.spawn(async move {
            let (updates, _list) = Updates::new(0);
            client.watch(&service, &updates).await.unwrap_err().to_string()
        });
    };
    for n in 0..4 {
        follow(&mut watching, &greedy, n);
        // Twice the same is one.
        follow(&mut watching, &greedy, n.min(2));
    }
    follow(&mut watching, &genuine, 3);
    let refused = timeout(Duration::from_secs(1), watching.join_next()).await;
    let refused = refused.expect("it follows all it wants").unwrap().unwrap();
    assert!(refused.contains("a connection may subscribe to 3 (max_per_connection)"), "{refused}");
    sleep(Duration::from_secs(1)).await;
    assert!(watching.try_join_next().is_none(), "another one was refused, too");
    assert_eq!(host.status().subscriptions, 4);
}

#[tokio::test(start_paused = true)]
async fn who_fills_the_registry_through_one_connection_after_the_other_gives_way_to_who_lives() {
    const MAX: usize = 64 * 1024;
    for (limits, limit) in [
        (RegistryServerConfig { max_list: MAX, ..no_withholding() }, "max_list"),
        (RegistryServerConfig { max_bytes: MAX, ..no_withholding() }, "max_bytes"),
        (RegistryServerConfig { max_instances: 60, ..no_withholding() }, "max_instances"),
    ] {
        let host = RegistryHost::start(RegistryServerConfig {
            max_bytes_per_connection: MAX / 4,
            ..limits
        });
        let living = client(&host).await;
        living.register(&large("b:0", 1000)).await.unwrap();
        for n in 0..40 {
            let passing = client(&host).await;
            for i in 0..5 {
                passing.register(&large(&format!("a{n}:{i}"), 1000)).await.unwrap();
            }
            drop(passing);
            sleep(Duration::from_millis(1)).await;
        }
        let full = host.status().instances;
        assert!((50..=60).contains(&full), "{full} by {limit}");
        let newcomers = [client(&host).await, client(&host).await, client(&host).await];
        for (n, newcomer) in newcomers.iter().enumerate() {
            for i in 0..10 {
                newcomer.register(&large(&format!("c{n}:{i}"), 1000)).await.unwrap();
            }
        }
        let list = host.list(&key());
        let listed = |address: &str| list.version.instances.iter().any(|i| &*i.address == address);
        assert!(listed("b:0") && listed("c0:0") && listed("c2:9"), "who lives gave way by {limit}");
        // Who lives gives way to nobody.
        let mut refused = None;
        let mut last = Vec::new();
        for n in 0..4 {
            let client = client(&host).await;
            for i in 0..10 {
                refused =
                    client.register(&large(&format!("d{n}:{i}"), 1000)).await.err().or(refused);
            }
            last.push(client);
        }
        let refused = refused.expect("more was taken than there is room for").to_string();
        assert!(refused.contains(limit), "{refused}");
        assert!(host.status().instances <= 60);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_broken_protocol_leaves_behind_is_as_good_as_closed() {
    let host = RegistryHost::start(no_withholding());
    let mut broken = pipe(&host);
    let register = Ask::Register { instance: instance("a:1") };
    for (id, ask) in [hello(), register, hello()].into_iter().enumerate() {
        broken.write_all(&frame(&ClientMessage { id: id as u64, ask })).await.unwrap();
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!((listed(&host), host.status().connections), (1, 0));
    client(&host).await.register(&instance("a:1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_large_or_steers_terminals_is_refused_by_name() {
    let host = RegistryHost::start(no_withholding());
    let client = client(&host).await;
    for (wrong, expected) in [
        (large("a:1", 64 * 1024), "and may have 65536 (max_instance), shorten its metadata"),
        (Instance { application: "\u{1b}[2J".into(), ..instance("a:1") }, "the application"),
        (instance("a"), "the address `a` is not of the form host:port"),
    ] {
        let error = client.register(&wrong).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(listed(&host), 0);
    client.register(&large("a:1", 60 * 1024)).await.unwrap();
    let long = ServiceKey::new(&"s".repeat(513));
    let error = client.watch(&long, &Updates::new(0).0).await.unwrap_err().to_string();
    assert!(error.contains("the service has 513 bytes and may have 512"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_watched_any_more_is_not_kept_to_be_pushed() {
    let host = RegistryHost::start(no_withholding());
    let (connection, outbox) = host.admit().unwrap();
    for name in 0..100 {
        let service = ServiceKey::new(&format!("Service{name}"));
        host.subscribe(connection, &service);
        host.unsubscribe(connection, &service);
    }
    host.subscribe(connection, &key());
    assert_eq!(outbox.take().into_iter().collect::<Vec<_>>(), [key()]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_registration_leaves_nothing_behind() {
    let host = RegistryHost::start(RegistryServerConfig { max_bytes: 10, ..no_withholding() });
    let caller = Registrant::numbered(1);
    host.register(&caller, instance("a:1")).unwrap_err();
    assert_eq!(host.renew(caller.connection), 0);
    assert!(!host.remove(&InstanceKey::of(&instance("a:1"))));
}
