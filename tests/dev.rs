//! `dev://` through the facade, in processes of their own: the provider that hosts the registry is
//! killed, another takes over, and callers notice nothing.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use dubhe::Source;
use support::load::{Calls, Load};
use support::process::{self, ProviderCommand};
use support::shop::{Shop, ShopClient};

const CALLERS: usize = 8;

#[test]
fn becomes_a_provider() {
    process::become_provider();
}

/// A registry of this name that no other run of the tests meets in.
fn url(name: &str) -> String {
    format!("dev://test-{name}-{}", std::process::id())
}

#[tokio::test]
async fn no_idempotent_call_fails_when_the_host_of_the_registry_is_killed() {
    let url = url("killed");
    // The first of them hosts, the next takes over, and so on.
    let mut a = ProviderCommand::new("a", &url).start().await;
    let mut b = ProviderCommand::new("b", &url).start().await;
    // The timeout of these tests is 5 s: a call that took longer has failed.
    let consumer = support::consumer(&url, "");
    let shop: ShopClient = consumer.client().await.unwrap();
    let load = Load::start(&shop, Calls::Idempotent(2), CALLERS);
    for who in ["a", "b"] {
        load.answered_by(who).await;
    }

    a.kill();
    load.answered(200).await;
    // Whom b tells of must have registered with b, and callers must listen to b.
    let mut c = ProviderCommand::new("c", &url).start().await;
    load.answered_by("c").await;

    b.kill();
    load.answered(200).await;
    let mut d = ProviderCommand::new("d", &url).start().await;
    load.answered_by("d").await;
    c.kill();
    load.answered(200).await;

    let seen = load.stop().await;
    seen.assert_none_failed();
    assert!(seen.answered.values().any(|who| who == "a"));
    assert!(consumer.resends() > 0, "calls were in flight at those that were killed");
    d.terminate();
    assert!(d.ended().await.success());
}

#[tokio::test]
async fn a_call_waits_within_its_time_for_the_first_provider() {
    let url = url("early");
    let shop: ShopClient = support::consumer(&url, "").client().await.unwrap();
    let early = tokio::spawn({
        let shop = shop.clone();
        async move { shop.look(7).await }
    });
    let provider = ProviderCommand::new("a", &url).start().await;
    assert_eq!(support::soon(early).await.unwrap().unwrap().who, "a");
    provider.terminate();
}

#[tokio::test]
async fn projects_of_other_names_do_not_meet() {
    let (ours, theirs) = (url("ours"), url("theirs"));
    let provider = ProviderCommand::new("a", &ours).start().await;
    let other = ProviderCommand::new("b", &theirs).start().await;
    let consumer = support::consumer(&ours, "");
    let shop: ShopClient = consumer.client().await.unwrap();
    for id in 0..20 {
        assert_eq!(shop.look(id).await.unwrap().who, "a");
    }
    let state = consumer.directory_state(&"test.Shop".parse().unwrap()).unwrap();
    assert_eq!((state.source, state.endpoints), (Source::Live, 1));
    for process in [provider, other] {
        process.terminate();
    }
}

#[tokio::test]
async fn a_call_that_finds_nobody_because_the_host_is_stopped_says_so() {
    let url = url("stopped");
    let a = ProviderCommand::new("a", &url).start().await;
    let others = [
        ProviderCommand::new("b", &url).start().await,
        ProviderCommand::new("c", &url).start().await,
    ];
    a.suspend();
    let shop: ShopClient =
        support::consumer(&url, "consumer.timeout = \"1500ms\"").client().await.unwrap();
    let told = shop.look(7).await.unwrap_err().to_string();
    let remedy = format!(
        "process {0}, does not answer, it is stopped or busy: let it go on (kill -CONT {0})",
        a.id()
    );
    assert!(told.contains(&remedy), "{told}");
    assert!(!told.contains("start one"), "{told}");
    a.resume();
    support::until("calls find somebody", async || shop.look(7).await.ok()).await;
    for process in others {
        process.terminate();
    }
}
