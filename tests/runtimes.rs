//! One consumer, several runtimes: what ends with one goes on in that of the next call, and where
//! there is none, an error says so.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dubhe::config::{ConfigFile, Sources};
use dubhe::embedded::{EmbeddedServer, RegistryServerConfig, Signals};
use dubhe::prelude::*;
use dubhe::{Delivery, RunningProvider, ServiceKey};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::{memory, soon, until, until_is};
use tokio::runtime::{Builder, Runtime};

fn several_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn serve(registry: &str, name: &str) -> RunningProvider {
    let provider = support::provider(registry, "").set("provider.notice", "0s");
    provider.serve(ShopServer::new(Clerk::new(name))).start().await.unwrap()
}

/// The settings of every test, with the registries that `toml` names.
fn of(registry: &str, toml: &str) -> Sources {
    let text = format!("{toml}\n");
    let file = Some(ConfigFile { path: "dubhe.toml".to_owned(), text });
    Sources { file, ..support::sources(registry, "") }
}

async fn client(registry: &str) -> (Consumer, ShopClient) {
    let consumer = support::consumer(registry, "");
    let client = consumer.client().await.unwrap();
    (consumer, client)
}

fn shop() -> ServiceKey {
    ServiceKey::new("test.Shop")
}

/// Who answers, as somebody must.
async fn who(client: &ShopClient) -> String {
    soon(client.look(1)).await.unwrap().who
}

#[test]
fn a_list_is_followed_again_in_the_runtime_of_the_next_call() {
    for make in [several_threads, one_thread] {
        // The servers' own, so that only the consumer loses its runtime.
        let (servers, registry) = (several_threads(), memory());
        let old = servers.block_on(serve(&registry, "old"));
        let first = make();
        let (consumer, client) = first.block_on(client(&registry));
        assert_eq!(first.block_on(who(&client)), "old");
        drop(first);
        let state = consumer.directory_state(&shop()).unwrap();
        assert!(state.trouble.is_some(), "it says that nobody follows: {state}");

        let second = make();
        assert_eq!(second.block_on(who(&client)), "old");
        let _new = servers.block_on(serve(&registry, "new"));
        servers.block_on(old.shutdown());
        second.block_on(async {
            until_is("the list is right", || {
                let state = consumer.directory_state(&shop()).unwrap();
                state.trouble.is_none() && state.endpoints == 1
            })
            .await;
            assert_eq!(who(&client).await, "new");
        });
    }
}

#[test]
fn the_first_call_in_another_runtime_goes_by_the_list_of_now() {
    let (servers, registry) = (several_threads(), memory());
    let old = servers.block_on(serve(&registry, "old"));
    let first = one_thread();
    let (_consumer, client) = first.block_on(client(&registry));
    assert_eq!(first.block_on(who(&client)), "old");
    drop(first);
    servers.block_on(old.shutdown());
    let _new = servers.block_on(serve(&registry, "new"));
    for _ in 0..3 {
        // As between tests that share a client: each has a runtime of its own.
        assert_eq!(one_thread().block_on(who(&client)), "new");
    }
}

#[test]
fn registrations_and_lists_outlive_the_runtime_that_first_used_a_memory_registry() {
    let (servers, registry) = (several_threads(), memory());
    let first = one_thread();
    let (_consumer, client) = first.block_on(client(&registry));
    let running = servers.block_on(serve(&registry, "a"));
    first.block_on(until("it is found", async || client.look(1).await.ok()));
    drop(first);
    servers.block_on(until_is("it is registered", || running.is_registered()));
    assert_eq!(several_threads().block_on(who(&client)), "a");
}

#[test]
fn a_list_of_several_registries_is_followed_again_too() {
    let (servers, old_one, new_one) = (several_threads(), memory(), memory());
    let toml =
        format!("[[registry]]\naddress = \"{old_one}\"\n[[registry]]\naddress = \"{new_one}\"");
    let mut sources = of(&old_one, &toml);
    sources.builder = dubhe::config::Layer::new().set("consumer.timeout", "5s");
    let old = servers.block_on(serve(&old_one, "old"));
    let first = one_thread();
    let consumer = Consumer::builder().sources(sources).build().unwrap();
    let client: ShopClient = first.block_on(consumer.client()).unwrap();
    assert_eq!(first.block_on(who(&client)), "old");
    drop(first);
    assert!(consumer.directory_state(&shop()).unwrap().trouble.is_some());
    let _new = servers.block_on(serve(&new_one, "new"));
    servers.block_on(old.shutdown());
    let second = one_thread();
    second.block_on(until("the new one answers", async || {
        client.look(1).await.ok().filter(|answer| answer.who == "new")
    }));
    assert!(consumer.directory_state(&shop()).unwrap().trouble.is_none());
}

#[test]
fn a_registry_server_is_asked_anew_in_the_runtime_of_the_next_call() {
    let servers = several_threads();
    let (_server, registry) = servers.block_on(support::registry(0));
    let old = servers.block_on(serve(&registry, "old"));
    let first = one_thread();
    let (consumer, client) = first.block_on(client(&registry));
    assert_eq!(first.block_on(who(&client)), "old");
    drop(first);
    servers.block_on(old.shutdown());
    let _new = servers.block_on(serve(&registry, "new"));
    let second = one_thread();
    assert_eq!(second.block_on(who(&client)), "new");
    drop(second);
    assert_eq!(one_thread().block_on(consumer.services()).unwrap(), [shop()]);
}

#[test]
fn a_second_client_in_a_living_runtime_does_not_lose_the_registry_with_the_first() {
    let (servers, registry) = (several_threads(), memory());
    let old = servers.block_on(serve(&registry, "old"));
    let (first, second) = (several_threads(), several_threads());
    // The session is opened in the first, this list is followed in the second.
    let (consumer, _other) = first.block_on(client_of(&registry, "else"));
    let client: ShopClient = second.block_on(consumer.client()).unwrap();
    assert_eq!(second.block_on(who(&client)), "old");
    drop(first);
    let _new = servers.block_on(serve(&registry, "new"));
    servers.block_on(old.shutdown());
    second.block_on(until("the new one answers", async || {
        client.look(1).await.ok().filter(|answer| answer.who == "new")
    }));
}

async fn client_of(registry: &str, group: &str) -> (Consumer, ShopClient) {
    let consumer = support::consumer(registry, "");
    let service = ServiceKey::with_parts("test.Shop", group, "");
    let client = consumer.client_of(service).await.unwrap();
    (consumer, client)
}

/// Polls a call once, where there is no runtime.
fn poll_once<T>(call: impl Future<Output = T>) -> Poll<T> {
    pin!(call).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_call_outside_of_a_runtime_says_so_and_leaves_the_address_alive() {
    let (runtime, registry) = (several_threads(), memory());
    let _running = runtime.block_on(serve(&registry, "a"));
    let (_consumer, client) = runtime.block_on(client(&registry));
    let Poll::Ready(Err(status)) = poll_once(client.look(1)) else { panic!("it waits") };
    assert_eq!((status.code(), status.delivery()), (Code::Internal, Delivery::NotSent));
    let text = "no tokio runtime with timers and IO here: call this inside of one";
    assert!(status.message().starts_with(text), "{status}");
    assert_eq!(runtime.block_on(who(&client)), "a");
}

#[test]
fn a_runtime_that_ends_between_two_calls_leaves_no_address_dead() {
    let (servers, registry) = (several_threads(), memory());
    let _running = servers.block_on(serve(&registry, "a"));
    let (_consumer, client) = servers.block_on(client(&registry));
    for _ in 0..20 {
        let dying = several_threads();
        let handle = dying.handle().clone();
        dying.shutdown_background();
        // Its tasks are dropped before they begin.
        let _inside = handle.enter();
        let _ = poll_once(client.look(1));
    }
    assert_eq!(servers.block_on(who(&client)), "a");
    assert_eq!(several_threads().block_on(who(&client)), "a");
}

#[test]
fn calls_from_many_runtimes_that_end_at_any_time_find_their_provider() {
    let (servers, registry) = (several_threads(), memory());
    let _running = servers.block_on(serve(&registry, "a"));
    let (consumer, client) = servers.block_on(client(&registry));
    let client = Arc::new(client);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let client = client.clone();
            scope.spawn(move || {
                for round in 0..10 {
                    let runtime =
                        if (thread + round) % 2 == 0 { one_thread() } else { several_threads() };
                    let called = runtime.block_on(client.look(round));
                    // The runtime that drives the connection may end under it; that is no more than
                    // a lost connection.
                    assert!(
                        called.as_ref().is_ok_and(|answer| answer.who == "a")
                            || called
                                .as_ref()
                                .is_err_and(|status| status.code() == Code::Unavailable),
                        "{called:?}"
                    );
                }
            });
        }
    });
    assert_eq!(servers.block_on(who(&client)), "a");
    let state = consumer.directory_state(&shop()).unwrap();
    assert_eq!(state.endpoints, 1, "{state}");
}

/// Polls set-up that must fail at once.
fn fails<T>(set_up: impl Future<Output = std::result::Result<T, dubhe::Error>>) -> String {
    let Poll::Ready(Err(error)) = poll_once(set_up) else { panic!("it waits, or succeeds") };
    error.to_string()
}

/// Everything that sets something up, and what it says here.
fn set_ups() -> Vec<String> {
    let registry = memory();
    let provider = || support::provider(&registry, "").serve(ShopServer::new(Clerk::new("a")));
    let consumer = support::consumer(&registry, "");
    vec![
        fails(provider().start()),
        fails(provider().run()),
        fails(consumer.client::<ShopClient>()),
        fails(ShopClient::connect(&registry)),
        fails(consumer.services()),
        fails(consumer.instances(&shop())),
        fails(EmbeddedServer::bind("127.0.0.1:0", RegistryServerConfig::default())),
        fails(EmbeddedServer::builder().listen("127.0.0.1:0").start()),
        Signals::listen().map(drop).unwrap_err().to_string(),
    ]
}

#[test]
fn set_up_outside_of_a_runtime_is_an_error_that_says_what_is_missing() {
    for error in set_ups() {
        let text = "no tokio runtime with timers and IO here: call this inside of one, as under \
                    `#[tokio::main]`";
        assert_eq!(error, text);
    }
}

#[test]
fn set_up_in_a_runtime_without_timers_or_io_is_an_error_that_says_which() {
    let bare = Builder::new_current_thread().build().unwrap();
    let without_io = Builder::new_current_thread().enable_time().build().unwrap();
    for (runtime, missing) in [(&bare, "timers"), (&without_io, "IO")] {
        let _inside = runtime.enter();
        for error in set_ups() {
            let text = format!(
                "no tokio runtime with timers and IO here: this one has no {missing}, build it with \
                 `enable_all()`"
            );
            assert_eq!(error, text);
        }
    }
}

#[test]
fn a_call_in_a_runtime_without_timers_or_io_says_so_and_leaves_the_address_alive() {
    let (servers, registry) = (several_threads(), memory());
    let _running = servers.block_on(serve(&registry, "a"));
    let (_consumer, client) = servers.block_on(client(&registry));
    let client = client.with(CallOptions::new().timeout(Duration::from_secs(2)));
    let bare = Builder::new_current_thread().build().unwrap();
    let status = bare.block_on(client.look(1)).unwrap_err();
    assert!(status.message().contains("this one has no timers"), "{status}");
    let without_io = Builder::new_current_thread().enable_time().build().unwrap();
    let status = without_io.block_on(client.look(1)).unwrap_err();
    assert!(status.message().contains("IO is disabled"), "{status}");
    drop(without_io);
    assert_eq!(servers.block_on(who(&client)), "a");
}
