//! Tests of a program in a folder and an environment that belong to a real fleet: they meet nobody
//! but themselves. Each is run in a process of its own, whose working directory has a `dubhe.toml`.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::process::{Command, Output};

use dubhe::{Consumer, Provider};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};

/// Set in the inner process.
const INNER: &str = "TEST_INNER";

fn is_inner() -> bool {
    std::env::var_os(INNER).is_some()
}

/// Runs `test` again in a folder with this file and with these variables.
fn again(test: &str, file: &str, environment: &[(&str, &str)]) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dubhe.toml"), file).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DUBHE_") {
            command.env_remove(name);
        }
    }
    command.args(["--exact", test, "--nocapture"]).current_dir(&folder);
    let output = command.env(INNER, "1").envs(environment.iter().copied()).output().unwrap();
    (folder, output)
}

fn said(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_file_in_the_working_folder_does_not_make_a_test_a_member_of_its_fleet() {
    if is_inner() {
        return look_in_memory().await;
    }
    // A fleet that is there: it would list the test's fake, and the test would call the fleet.
    let (server, fleet) = support::registry(0).await;
    let real = support::provider(&fleet, "").serve(ShopServer::new(Clerk::new("real")));
    let real = real.start().await.unwrap();
    let file = format!("[registry]\naddress = \"{fleet}\"\n[consumer]\ntimeout = \"7s\"\n");
    let name = "a_file_in_the_working_folder_does_not_make_a_test_a_member_of_its_fleet";
    let address = ("DUBHE_REGISTRY__ADDRESS", &*fleet);
    let run = tokio::task::spawn_blocking({
        let (file, fleet) = (file, fleet.clone());
        move || again(name, &file, &[(address.0, &fleet)])
    });
    let (folder, output) = run.await.unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    // The provider replaced nothing of its code, the consumer its timeout; both keep their registry.
    let told: Vec<&str> =
        said.lines().filter(|line| line.contains("settings from outside the code")).collect();
    assert_eq!(told.len(), 2, "{said}");
    let file = folder.path().canonicalize().unwrap().join("dubhe.toml");
    let both = "registry.address (dubhe.toml:2:11), registry.address (DUBHE_REGISTRY__ADDRESS)";
    for (line, replaced) in told.iter().zip(["nothing", "consumer.timeout (dubhe.toml:4:11)"]) {
        let end = format!("file={file:?} replaced={replaced} not_in_force={both}");
        assert!(line.contains("INFO dubhe") && line.ends_with(&end), "{line}\nlacks {end}");
    }
    real.shutdown().await;
    drop(server);
}

/// What a program's test does that names its own registry in code.
async fn look_in_memory() {
    tracing_subscriber::fmt().with_ansi(false).init();
    let url = support::memory();
    let fake = Provider::new(&url).set("provider.port", 0).set("provider.notice", "0s");
    let fake = fake.serve(ShopServer::new(Clerk::new("fake"))).start().await.unwrap();
    let consumer = Consumer::new(&url).set("consumer.timeout", "5s").build().unwrap();
    let shop: ShopClient = consumer.client().await.unwrap();
    for id in 0..20 {
        assert_eq!(shop.look(id).await.unwrap().who, "fake");
    }
    fake.shutdown().await;
}

#[tokio::test]
async fn a_pair_for_tests_reads_no_file_and_no_environment() {
    if is_inner() {
        return call_a_pair().await;
    }
    let name = "a_pair_for_tests_reads_no_file_and_no_environment";
    let environment = [
        ("DUBHE_REGISTRY__ADDRESS", "dubhe://127.0.0.1:1"),
        ("DUBHE_PROVIDER__PORT", "1"),
        ("DUBHE_CONSUMER__TIMEOUT", "no duration"),
    ];
    for file in ["this is no TOML", "[provider]\nbind = \"192.0.2.1\"\n"] {
        let (_folder, output) = again(name, file, &environment);
        assert!(output.status.success(), "{}", said(&output));
    }
}

async fn call_a_pair() {
    let pair = dubhe::testing::serve(ShopServer::new(Clerk::new("a"))).await.unwrap();
    assert!(pair.provider().local_addr().ip().is_loopback());
    let shop: ShopClient = pair.client().await.unwrap();
    assert_eq!(shop.look(1).await.unwrap().who, "a");
    // A second one in the same process and of the same service is apart from it.
    let other = dubhe::testing::serve(ShopServer::new(Clerk::new("b"))).await.unwrap();
    let its: ShopClient = other.client().await.unwrap();
    for id in 0..20 {
        assert_eq!(shop.look(id).await.unwrap().who, "a");
        assert_eq!(its.look(id).await.unwrap().who, "b");
    }
    other.shutdown().await;
    assert_eq!(shop.look(1).await.unwrap().who, "a");
    // Others can join, and what is set on a builder counts.
    let joined = pair.sandbox().provider().serve(ShopServer::new(Clerk::new("c")));
    let joined = joined.start().await.unwrap();
    let consumer = pair.sandbox().consumer().set("consumer.loadbalance", "roundrobin");
    let shop: ShopClient = consumer.build().unwrap().client().await.unwrap();
    support::until("both answer", async || (shop.look(1).await.unwrap().who == "c").then_some(()))
        .await;
    joined.shutdown().await;
    assert_eq!(pair.shutdown().await.cut_calls, 0);
}
