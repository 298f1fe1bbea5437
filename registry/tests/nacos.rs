//! `nacos://` against real servers of both versions, as `cargo xtask nacos` prepares them.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use dubhe_registry::{Registry, RegistryParams, builtin, open};
use rpc_core::{Instance, Subscription};
use servers::{CertificateAuthority, CertificateWish, Nacos, NacosVersion, nacos_http};
use tokio::time::{Instant, sleep, timeout};
use world::{LIMIT, instance, key, shows, until};

/// How soon everything is right again after a fault has ended.
const REPAIR: Duration = Duration::from_secs(5);

fn registry(address: &str, query: &str) -> Arc<dyn Registry> {
    open(&builtin(), &RegistryParams::new(format!("nacos://{address}?{query}"))).unwrap()
}

/// A namespace of this run.
fn space(name: &str) -> String {
    format!("namespace={name}-{}", std::process::id())
}

/// What the server answers to a tool.
async fn told(address: &str, path: String) -> String {
    let address = address.to_owned();
    let asked = tokio::task::spawn_blocking(move || nacos_http(&address, "GET", &path));
    asked.await.unwrap().map(|(_, body)| body).unwrap_or_default()
}

/// Waits until the server answers what fits.
async fn is_told(address: &str, path: &str, fits: impl Fn(&str) -> bool) -> String {
    let mut last = String::new();
    let waiting = async {
        loop {
            last = told(address, path.to_owned()).await;
            if fits(&last) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let is_told = timeout(LIMIT, waiting).await.is_ok();
    assert!(is_told, "{path} stays at {last}");
    last
}

/// Waits until the list is in doubt, or is not any more; returns how long that took.
async fn doubted(list: &Subscription, is_doubted: bool) -> Duration {
    let began = Instant::now();
    let mut trouble = list.watch_trouble();
    let waited = timeout(LIMIT, trouble.wait_for(|trouble| trouble.is_some() == is_doubted)).await;
    waited.expect("the doubt does not change").unwrap();
    began.elapsed()
}

fn of_application(service: &str, address: &str) -> Instance {
    Instance {
        application: "shop".into(),
        started_ms: 1_700_000_000_000,
        protocols: ["json".to_owned()].into(),
        ..instance(service, address)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_written_at_both_levels_as_dubbo_does() {
    for version in NacosVersion::ALL {
        let Some(at) = Nacos::shared(version) else { return };
        let space = space("levels");
        let provider = registry(&at, &format!("{space}&group=GRP1"));
        let guard = provider
            .register(of_application("blue/shop.Stock$Inner:1.0", "10.0.0.1:20880"))
            .await
            .unwrap();
        let of_group = space.replace("namespace", "groupName=GRP1&namespaceId");
        let list = format!("/nacos/v1/ns/instance/list?{of_group}&serviceName=");
        let name = "providers:shop.Stock___Inner:1.0:blue";
        let found = is_told(&at, &format!("{list}{name}"), |body| body.contains("20880")).await;
        for part in [
            r#""protocol":"dubhe""#,
            r#""category":"providers""#,
            r#""path":"shop.Stock$Inner""#,
            r#""interface":"shop.Stock$Inner""#,
            r#""group":"blue""#,
            r#""version":"1.0""#,
            r#""side":"provider""#,
            r#""ephemeral":true"#,
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
        assert!(!found.contains("serialization"), "{found}");
        let found = is_told(&at, &format!("{list}shop"), |body| body.contains("20880")).await;
        for part in [
            r#""dubbo.metadata.storage-type":"remote""#,
            r#"\"protocol\":\"dubhe\""#,
            r#""dubbo.metadata.revision":""#,
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
        assert!(!found.contains("url-params") && !found.contains("meta-v"), "{found}");
        let revision = found.split("dubbo.metadata.revision\":\"").nth(1).unwrap();
        let revision = revision.split('"').next().unwrap();
        let tenant = space.replace("namespace", "tenant");
        let config = |id: &str, group: &str| {
            format!("/nacos/v1/cs/configs?{tenant}&dataId={id}&group={group}")
        };
        let mapping = config("shop.Stock___Inner", "mapping");
        assert_eq!(is_told(&at, &mapping, |body| body == "shop").await, "shop");
        let metadata = config("shop", revision);
        is_told(&at, &metadata, |body| body.contains(r#""blue/shop.Stock$Inner:1.0:dubhe""#)).await;

        guard.unregister().await.unwrap();
        for service in [name, "shop"] {
            is_told(&at, &format!("{list}{service}"), |body| body.contains(r#""hosts":[]"#)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_level_alone_is_enough_to_be_found() {
    for version in NacosVersion::ALL {
        let Some(at) = Nacos::shared(version) else { return };
        for mode in ["interface", "instance", "all"] {
            let space = space(mode);
            let mut list = registry(&at, &space).subscribe(&key("shop.Stock")).await.unwrap();
            let provider = registry(&at, &format!("{space}&register-mode={mode}"));
            let sent = of_application("shop.Stock", "10.0.0.1:20880");
            let _guard = provider.register(sent.clone()).await.unwrap();
            let other = registry(&at, &format!("{space}&register-mode={mode}"));
            let second = of_application("shop.Stock", "10.0.0.2:20880");
            let _second = other.register(second.clone()).await.unwrap();
            let found = shows(&mut list, &["10.0.0.1:20880", "10.0.0.2:20880"]).await;
            assert_eq!(found.to_vec(), [sent, second], "{mode}");
            assert_eq!(other.services().await.unwrap(), [key("shop.Stock")], "{mode}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_java_writes_is_listed_under_a_protocol_that_is_not_called() {
    for version in NacosVersion::ALL {
        let Some(at) = Nacos::shared(version) else { return };
        let mut list =
            registry(&at, &space("java")).subscribe(&key("com.acme.Demo")).await.unwrap();
        let space = space("java").replace("namespace", "namespaceId");
        let metadata = "%7B%22category%22%3A%22providers%22%2C%22protocol%22%3A%22dubbo%22%2C%22path%22%3A\
                        %22com.acme.Demo%22%2C%22interface%22%3A%22com.acme.Demo%22%2C%22methods%22%3A\
                        %22add%22%2C%22timestamp%22%3A%221795232273294%22%7D";
        let path = format!(
            "/nacos/v1/ns/instance?{space}&serviceName=providers%3Acom.acme.Demo%3A%3A&ip=10.0.0.7\
             &port=20881&ephemeral=true&metadata={metadata}"
        );
        let address = at.clone();
        let posted = tokio::task::spawn_blocking(move || nacos_http(&address, "POST", &path));
        assert_eq!(posted.await.unwrap().unwrap().0, 200);
        let found = shows(&mut list, &["10.0.0.7:20881"]).await.to_vec();
        assert_eq!(found[0].started_ms, 1_795_232_273_294);
        assert!(!found[0].speaks("dubbo") && !found[0].speaks("json"), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_list_themselves_unless_they_are_told_not_to() {
    for version in NacosVersion::ALL {
        let Some(at) = Nacos::shared(version) else { return };
        let space = space("consumers");
        let config = |more: &str| RegistryParams {
            application: Some("till".to_owned()),
            ..RegistryParams::new(format!("nacos://{at}?{space}{more}"))
        };
        let quiet = open(&builtin(), &config("&register-consumer=false")).unwrap();
        let loud = open(&builtin(), &config("")).unwrap();
        let _quiet = quiet.subscribe(&key("shop.Quiet")).await.unwrap();
        let _loud = loud.subscribe(&key("shop.Loud")).await.unwrap();
        let of_space = space.replace("namespace", "namespaceId");
        let list = |service: &str| {
            format!("/nacos/v1/ns/instance/list?{of_space}&serviceName=consumers:{service}::")
        };
        let found = is_told(&at, &list("shop.Loud"), |body| body.contains("till")).await;
        assert!(found.contains(r#""protocol":"consumer""#), "{found}");
        assert!(!told(&at, list("shop.Quiet")).await.contains("till"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back_has_everything_again() {
    for version in NacosVersion::ALL {
        let Some(mut nacos) = Nacos::start(version) else { return };
        let (provider, reader) = (registry(&nacos.address(), ""), registry(&nacos.address(), ""));
        let mut guards = Vec::new();
        for service in ["shop.Stock", "shop.Orders"] {
            for address in ["10.0.0.1:1", "10.0.0.1:2"] {
                let instance = of_application(service, address);
                guards.push(provider.register(instance).await.unwrap());
            }
        }
        let mut list = reader.subscribe(&key("shop.Stock")).await.unwrap();
        shows(&mut list, &["10.0.0.1:1", "10.0.0.1:2"]).await;
        nacos.kill();
        assert!(doubted(&list, true).await < Duration::from_secs(2));
        assert_eq!(list.latest().instances.len(), 2, "the list stays");
        let nacos = tokio::task::spawn_blocking(move || {
            nacos.restart();
            nacos
        });
        let nacos = nacos.await.unwrap();
        let back = Instant::now();
        for guard in &guards {
            timeout(LIMIT, guard.watch().wait_for(|is| *is)).await.unwrap().unwrap();
        }
        for service in ["shop.Stock", "shop.Orders"] {
            let mut fresh = registry(&nacos.address(), "").subscribe(&key(service)).await.unwrap();
            shows(&mut fresh, &["10.0.0.1:1", "10.0.0.1:2"]).await;
        }
        doubted(&list, false).await;
        shows(&mut list, &["10.0.0.1:1", "10.0.0.1:2"]).await;
        let took = back.elapsed();
        eprintln!("{version:?}: all is listed {took:?} after the server is ready");
        assert!(took <= REPAIR, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_noticed_within_ten_seconds() {
    for version in NacosVersion::ALL {
        let Some(nacos) = Nacos::start(version) else { return };
        let (provider, reader) = (registry(&nacos.address(), ""), registry(&nacos.address(), ""));
        let guard = provider.register(instance("shop.Stock", "10.0.0.1:1")).await.unwrap();
        let mut list = reader.subscribe(&key("shop.Stock")).await.unwrap();
        shows(&mut list, &["10.0.0.1:1"]).await;
        nacos.pause();
        let noticed = doubted(&list, true).await;
        assert!(noticed <= Duration::from_secs(10), "{noticed:?}");
        timeout(LIMIT, guard.watch().wait_for(|is| !is)).await.unwrap().unwrap();
        nacos.resume();
        let back = Instant::now();
        timeout(LIMIT, guard.watch().wait_for(|is| *is)).await.unwrap().unwrap();
        doubted(&list, false).await;
        shows(&mut list, &["10.0.0.1:1"]).await;
        let took = back.elapsed();
        eprintln!(
            "{version:?}: noticed after {noticed:?}, all is listed {took:?} after it goes on"
        );
        assert!(took <= REPAIR, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_its_clients_to_connect_again_is_obeyed() {
    for version in NacosVersion::ALL {
        let Some(nacos) = Nacos::start(version) else { return };
        let (provider, reader) = (registry(&nacos.address(), ""), registry(&nacos.address(), ""));
        let guard = provider.register(instance("shop.Stock", "10.0.0.1:1")).await.unwrap();
        let mut list = reader.subscribe(&key("shop.Stock")).await.unwrap();
        shows(&mut list, &["10.0.0.1:1"]).await;
        let mut trouble = list.watch_trouble();
        // Beside it: the doubt does not last.
        let resetting = tokio::task::spawn_blocking(move || {
            nacos.reset_clients();
            nacos
        });
        let asked = timeout(LIMIT, trouble.wait_for(Option::is_some)).await.unwrap();
        let why = asked.unwrap().as_ref().unwrap().error.clone();
        assert!(why.contains("asked us to connect again"), "{why}");
        let nacos = resetting.await.unwrap();
        let back = Instant::now();
        timeout(LIMIT, guard.watch().wait_for(|is| *is)).await.unwrap().unwrap();
        doubted(&list, false).await;
        let mut fresh = registry(&nacos.address(), "").subscribe(&key("shop.Stock")).await.unwrap();
        shows(&mut fresh, &["10.0.0.1:1"]).await;
        assert!(back.elapsed() <= REPAIR, "{:?}", back.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_asked_for_and_taken() {
    // A user that was made just now is not in its cache.
    let settings = ["nacos.core.auth.enabled=true", "nacos.core.auth.caching.enabled=false"];
    let Some(nacos) = Nacos::start_with(NacosVersion::Three, &settings) else { return };
    let at = nacos.address();
    let made = nacos_http(&at, "POST", "/nacos/v3/auth/user/admin?password=s3cret");
    assert_eq!(made.unwrap().0, 200);
    let open = |login: &str| registry(&format!("{login}{at}"), "");
    for (login, expected) in [
        ("", "it wants a login: write user and password into the address"),
        ("nacos:wrong@", "it refuses the user `nacos`"),
    ] {
        let error = open(login).list(&key("shop.Stock")).await.unwrap_err();
        assert!(error.is_refused() && error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    let _guard = open("nacos:s3cret@").register(instance("shop.Stock", "a:1")).await.unwrap();
    let mut list = open("nacos:s3cret@").subscribe(&key("shop.Stock")).await.unwrap();
    until(&mut list, |list| list.instances.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_is_spoken_over_the_tls_of_nacos_itself() {
    let authority = CertificateAuthority::new();
    let files = authority.issue("server", CertificateWish::default());
    let (ca, cert, key) = (authority.ca(), files.cert.display(), files.key.display());
    let of = "nacos.remote.server.rpc.tls";
    let settings = [
        format!("{of}.enableTls=true"),
        format!("{of}.compatibility=false"),
        format!("{of}.sslProvider=JDK"),
        format!("{of}.certChainFile=file:{cert}"),
        format!("{of}.certPrivateKey=file:{key}"),
    ];
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    for version in NacosVersion::ALL {
        let Some(nacos) = Nacos::start_with(version, &settings) else { return };
        let (at, tls) = (nacos.address(), format!("tls=true&ca={}", ca.display()));
        let provider = registry(&at, &tls);
        let _guard = provider.register(instance("shop.Stock", "10.0.0.1:1")).await.unwrap();
        let mut list = registry(&at, &tls).subscribe(&world::key("shop.Stock")).await.unwrap();
        shows(&mut list, &["10.0.0.1:1"]).await;
        for (query, expected) in [
            ("tls=true", "is signed by none that this system trusts"),
            (&*format!("{tls}&server-name=a.test"), "does not name `a.test`"),
            ("", "TLS"),
        ] {
            let error = registry(&at, query).services().await.unwrap_err().to_string();
            assert!(error.contains(expected), "{version:?} {query}: {error}");
        }
    }
}

#[tokio::test]
async fn an_address_that_cannot_work_says_what_to_write() {
    for (url, expected) in [
        ("nacos://", "it needs a server, as in nacos://127.0.0.1:8848"),
        ("nacos://a:65000", "leave room for that of gRPC, which is 1000 higher"),
        ("nacos://a/public", "write a namespace as ?namespace=ID"),
        ("nacos://a?namespace=a%20b", "namespace is `a b`: Nacos takes letters, digits"),
        ("nacos://a?register-mode=both", "write interface, instance or all"),
        ("nacos://a?groups=x", "unknown parameter of nacos:// `groups` (did you mean `group`?)"),
        ("nacos://:pass@a", "it has a password and no user: write nacos://USER:PASSWORD@HOST"),
    ] {
        let error = open(&builtin(), &RegistryParams::new(url)).unwrap_err();
        assert!(error.is_invalid_config() || error.is_unknown_name(), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("pass@"), "{error}");
    }
    let token =
        |url: &str| RegistryParams { token: Some("s3cret".to_owned()), ..RegistryParams::new(url) };
    let error = open(&builtin(), &token("nacos://a")).unwrap_err().to_string();
    let expected = "its token is a password without a user: write nacos://USER@HOST";
    assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
    assert!(open(&builtin(), &token("nacos://ann@a")).is_ok());
}

#[tokio::test]
async fn what_does_not_answer_as_nacos_is_named_with_its_port() {
    let [free] = servers::free_ports::<1>();
    let (address, grpc) = (format!("127.0.0.1:{free}"), free.wrapping_add(1000));
    let error = registry(&address, "").list(&key("shop.Stock")).await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{grpc}")), "{error}");
    assert!(error.contains("is Nacos 2 or later running there?"), "{error}");
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = other.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
        }
    });
    let address = format!("127.0.0.1:{}", port - 1000);
    let error = registry(&address, "").list(&key("shop.Stock")).await.unwrap_err().to_string();
    assert!(error.contains("does not answer as Nacos does"), "{error}");
    serving.abort();
}
