//! `dev://` with real processes: who hosts, and what happens when the host is killed.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dubhe_registry::{Registry, RegistryParams, builtin, connect, open};
use rpc_core::{Snapshot, Source};
use std::sync::Arc;
use tokio::time::timeout;
use world::{LIMIT, addresses, eventually, instance, key, shows, until};

const SERVICE: &str = "shop.Inventory";

/// Set for processes that this test starts: the folder to meet in and the address to register.
const CHILD: &str = "DUBHE_TEST_CHILD";

fn registry(dir: &Path) -> Arc<dyn Registry> {
    let mut config = RegistryParams::new("dev://test");
    config.runtime_dir = Some(dir.to_owned());
    open(&builtin(), &config).unwrap()
}

/// Another process of this program, killed when dropped.
struct Provider(Child);

impl Provider {
    fn start(dir: &Path, address: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_provider", "--nocapture"]);
        command.env(CHILD, format!("{address} {}", dir.display()));
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }

    /// Sends a signal such as `STOP`.
    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// SIGSTOP; returns when every thread of it stands still.
    async fn stop(&self) {
        self.signal("STOP");
        let threads = format!("/proc/{}/task", self.0.id());
        let is_stopped = |stat: &str| stat.rsplit(") ").next().is_some_and(|s| s.starts_with('T'));
        eventually(|| {
            // Where the system does not tell, it has to be believed.
            let Ok(threads) = std::fs::read_dir(&threads) else { return true };
            let stats = threads.flatten().map(|it| std::fs::read_to_string(it.path().join("stat")));
            stats.flatten().all(|stat| is_stopped(&stat))
        })
        .await;
    }

    fn kill(&mut self) {
        // On unix this is kill -9.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a child process does; in the test run itself it does nothing.
#[tokio::test]
async fn child_provider() {
    let Ok(orders) = std::env::var(CHILD) else {
        return;
    };
    let (address, dir) = orders.split_once(' ').unwrap();
    let registry = registry(Path::new(dir));
    let _guard = registry.register(instance(SERVICE, address)).await.unwrap();
    // Longer than the test may take, so that no process stays behind.
    tokio::time::sleep(LIMIT * 3).await;
}

#[tokio::test]
async fn another_provider_takes_over_from_a_killed_host_and_nobody_sees_a_shorter_list() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let consumer = registry(&run);
    let mut list = consumer.subscribe(&key(SERVICE)).await.unwrap();
    assert_eq!(list.latest().source, Source::Pending);

    let mut host = Provider::start(&run, "a:1");
    shows(&mut list, &["a:1"]).await;
    let first = std::fs::read(run.join("test.address")).unwrap();
    let _b = Provider::start(&run, "b:1");
    let _c = Provider::start(&run, "c:1");
    shows(&mut list, &["a:1", "b:1", "c:1"]).await;

    host.kill();
    let lost =
        |list: &Snapshot| !addresses(list).contains(&"b:1") || !addresses(list).contains(&"c:1");
    let taken_over =
        eventually(|| std::fs::read(run.join("test.address")).is_ok_and(|second| second != first));
    tokio::join!(taken_over, async {
        let without_a = until(&mut list, |list| lost(list) || !addresses(list).contains(&"a:1"));
        assert!(!lost(&without_a.await));
    });

    let _d = Provider::start(&run, "d:1");
    shows(&mut list, &["b:1", "c:1", "d:1"]).await;
}

#[tokio::test]
async fn a_host_that_is_killed_alone_and_started_again_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let consumer = registry(&run);
    let mut list = consumer.subscribe(&key(SERVICE)).await.unwrap();
    let mut host = Provider::start(&run, "a:1");
    shows(&mut list, &["a:1"]).await;
    host.kill();
    let _again = Provider::start(&run, "b:1");
    shows(&mut list, &["b:1"]).await;
}

#[tokio::test]
async fn a_host_that_stops_gracefully_leaves_no_address_behind() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let (host, next) = (registry(&run), registry(&run));
    let _a = host.register(instance(SERVICE, "a:1")).await.unwrap();
    let b = next.register(instance(SERVICE, "b:1")).await.unwrap();
    assert!(b.is_registered());
    let mut list = next.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1", "b:1"]).await;
    host.shutdown().await;
    shows(&mut list, &["b:1"]).await;
    next.shutdown().await;
    assert!(!run.join("test.address").exists());
}

#[tokio::test]
async fn a_consumer_alone_hosts_nothing_and_says_what_to_start() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let consumer = registry(&run);
    let error = consumer.services().await.unwrap_err().to_string();
    assert!(error.contains("dev://test: no provider runs, start one"), "{error}");
    assert!(!run.exists());
    // Registering in the same process makes it the host at once.
    let registered = consumer.register(instance(SERVICE, "a:1"));
    let guard = timeout(Duration::from_secs(5), registered).await.unwrap().unwrap();
    timeout(LIMIT, guard.watch().wait_for(|is| *is)).await.unwrap().unwrap();
    assert_eq!(consumer.services().await.unwrap(), [key(SERVICE)]);
}

#[cfg(unix)]
#[tokio::test]
async fn of_a_host_that_is_stopped_everybody_is_told_its_process_and_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut host = Provider::start(&run, "a:1");
    let early = registry(&run);
    let mut list = early.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    let _b = Provider::start(&run, "b:1");
    let _c = Provider::start(&run, "c:1");
    shows(&mut list, &["a:1", "b:1", "c:1"]).await;

    host.stop().await;
    let id = host.0.id();
    let told = format!(
        "registry dev://test: its host, process {id}, does not answer, it is stopped or busy: let it \
         go on (kill -CONT {id}), or end it (kill -9 {id}) and another provider takes over"
    );
    let late = registry(&run);
    assert_eq!(late.services().await.unwrap_err().to_string(), told);
    let mut its = late.subscribe(&key(SERVICE)).await.unwrap();
    assert_eq!(its.latest().source, Source::Pending);
    let trouble = || its.trouble().map(|trouble| trouble.error.to_string());
    eventually(|| trouble().is_some_and(|error| told.ends_with(&error))).await;
    // A provider cannot take over either: whoever is stopped is still in office.
    let newcomer = registry(&run);
    let _d = newcomer.register(instance(SERVICE, "d:1")).await.unwrap();
    assert_eq!(newcomer.services().await.unwrap_err().to_string(), told);

    host.signal("CONT");
    shows(&mut its, &["a:1", "b:1", "c:1", "d:1"]).await;
    host.kill();
}

#[tokio::test]
async fn a_host_that_was_killed_is_not_taken_for_one_that_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut host = Provider::start(&run, "a:1");
    let consumer = registry(&run);
    let mut list = consumer.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    host.kill();
    // Its port may have gone to a program that says nothing.
    let address = std::fs::read_to_string(run.join("test.address")).unwrap();
    let port = address.split("127.0.0.1:").nth(1).unwrap().split('"').next().unwrap();
    let _mute = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let error = registry(&run).services().await.unwrap_err().to_string();
    assert!(error.contains("no provider runs, start one"), "{error}");
}

#[tokio::test]
async fn who_cannot_read_the_folder_is_turned_away_at_the_port_of_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let host = registry(&run);
    let _a = host.register(instance(SERVICE, "a:1")).await.unwrap();
    let address = std::fs::read_to_string(run.join("test.address")).unwrap();
    let port = address.split("127.0.0.1:").nth(1).unwrap().split('"').next().unwrap();
    for token in ["", ":guessed@"] {
        let stranger = connect(&format!("dubhe://{token}127.0.0.1:{port}")).unwrap();
        assert!(stranger.services().await.unwrap_err().is_refused());
    }
}

#[tokio::test]
async fn no_list_is_kept_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = RegistryParams::new("dev://test");
    config.runtime_dir = Some(dir.path().join("run"));
    config.cache_dir = Some(dir.path().join("cache"));
    let both = open(&builtin(), &config).unwrap();
    let _a = both.register(instance(SERVICE, "a:1")).await.unwrap();
    let mut list = both.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    // A list that is kept is written before the next one is taken.
    let _b = both.register(instance(SERVICE, "b:1")).await.unwrap();
    shows(&mut list, &["a:1", "b:1"]).await;
    assert!(!dir.path().join("cache").exists());
}

#[tokio::test]
async fn projects_with_different_names_do_not_meet() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = RegistryParams::new("dev://other");
    config.runtime_dir = Some(dir.path().join("run"));
    let other = open(&builtin(), &config).unwrap();
    let ours = registry(&dir.path().join("run"));
    let _a = ours.register(instance(SERVICE, "a:1")).await.unwrap();
    let _b = other.register(instance(SERVICE, "b:1")).await.unwrap();
    let mut list = other.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["b:1"]).await;
}

#[test]
fn a_provider_takes_over_where_only_the_runtime_of_the_host_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let host = registry(dir.path());
    let kept = first.block_on(host.register(instance(SERVICE, "a:1"))).unwrap();
    assert!(kept.is_registered());
    drop(first);
    second.block_on(async {
        let other = registry(dir.path());
        let taken_over = other.register(instance(SERVICE, "b:1")).await.unwrap();
        let mut registered = taken_over.watch();
        timeout(LIMIT, registered.wait_for(|is| *is)).await.expect("it is at itself").unwrap();
    });
}
