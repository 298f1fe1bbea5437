//! Bad input, and the message a person sees for it: what, why, and what to do.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{Error, Provider};
use support::memory;
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Why a consumer with these settings cannot be built.
fn consumer(registry: &str, toml: &str) -> String {
    let sources = support::sources(registry, toml);
    Consumer::builder().sources(sources).build().unwrap_err().to_string()
}

/// Why a provider cannot start.
async fn provider(provider: Provider) -> Error {
    provider.start().await.unwrap_err()
}

#[tokio::test]
async fn an_unknown_name_in_the_file_is_pointed_at_with_what_there_is() {
    let registry = memory();
    for (toml, message) in [
        (
            "[consumer]\ncodec = \"jsn\"",
            "dubhe.toml:2:9: consumer.codec: unknown codec `jsn` (did you mean `json`?), available: ",
        ),
        (
            "consumer.cluster = \"failower\"",
            "dubhe.toml:1:20: consumer.cluster: unknown cluster `failower` (did you mean \
             `failover`?), available: ",
        ),
        (
            "consumer.loadbalance = \"p3c\"",
            "dubhe.toml:1:24: consumer.loadbalance: unknown loadbalance `p3c` (did you mean \
             `p2c`?), available: ",
        ),
        (
            "[consumer]\ntimeot = \"1s\"",
            "dubhe.toml:2:1: unknown key in [consumer] `timeot` (did you mean `timeout`?), \
             available: ",
        ),
        (
            "consumer.cluster = { name = \"failover\", retry = 3 }",
            "dubhe.toml:1:41: consumer.cluster: unknown parameter of failover `retry`, available: \
             retries",
        ),
        (
            "consumer.timeout = 5",
            "dubhe.toml:1:20: consumer.timeout: 5 is not a duration: write it",
        ),
        ("[provider\nport = 1", "dubhe.toml:1:"),
    ] {
        let text = consumer(&registry, toml);
        assert!(text.starts_with(message), "{toml}\n gives {text}\n not   {message}");
    }
}

#[tokio::test]
async fn an_unknown_variable_is_named_with_the_nearest() {
    let mut sources = support::sources(&memory(), "");
    sources.environment = vec![("DUBHE_CONSUMER__CODEK".into(), "json".into())];
    let text = Consumer::builder().sources(sources).build().unwrap_err().to_string();
    let start = "unknown environment variable `DUBHE_CONSUMER__CODEK` (did you mean \
                 `DUBHE_CONSUMER__CODEC`?), available: ";
    assert!(text.starts_with(start), "{text}");
}

#[tokio::test]
async fn an_unknown_registry_is_named_with_those_there_are() {
    let text = consumer("eureka://127.0.0.1:8761", "");
    assert!(text.contains("unknown registry `eureka`"), "{text}");
    for known in ["dev", "dubhe", "memory", "static"] {
        assert!(text.contains(known), "{text}");
    }
}

#[tokio::test]
async fn a_malformed_address_says_what_was_expected() {
    for (address, part) in [
        ("localhost:2181", "write scheme://…, such as dev:// or static://HOST:PORT"),
        ("static://", "every provider needs host and port, as in static://10.0.0.1:20880"),
        ("static://10.0.0.1", "every provider needs host and port, as in static://10.0.0.1:20880"),
        ("static://10.0.0.1:99999", "`99999` is not a port: write 1 to 65535"),
        ("dubhe://", "it needs one server, as in dubhe://127.0.0.1:20890"),
        ("dev://a:1", "it takes one name of letters, digits, `-`, `_` and `.` and no port"),
        ("memory://x?y=z", "unknown parameter of memory:// `y`, it takes none"),
    ] {
        let text = consumer(address, "");
        assert!(text.contains(part), "{address} gives {text}, not {part}");
    }
}

#[tokio::test]
async fn no_registry_at_all_says_how_to_name_one() {
    let sources = dubhe::config::Sources::default();
    let text = Consumer::builder().sources(sources).build().unwrap_err().to_string();
    assert!(text.contains("registry"), "{text}");
    assert!(text.contains("DUBHE_REGISTRY__ADDRESS") || text.contains("[registry]"), "{text}");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let toml = format!("provider.port = {port}");
    let second = support::provider(&memory(), &toml).serve(ShopServer::new(Clerk::new("a")));
    let error = provider(second).await;
    assert!(error.is_bind());
    let text = error.to_string();
    let start = format!("cannot listen on 127.0.0.1:{port}: ");
    assert!(text.starts_with(&start), "{text}");
    let end =
        "; another process listens there; stop it or set `provider.port` (0 takes a free one)";
    assert!(text.ends_with(end), "{text}");
}

#[tokio::test]
async fn nothing_to_serve_says_what_to_call() {
    let error = provider(support::provider(&memory(), "")).await;
    let text = "there is nothing to serve: call `.serve(YourServer::new(implementation))`";
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn a_service_served_twice_says_how_to_tell_them_apart() {
    let shop = || ShopServer::new(Clerk::new("a"));
    let error = provider(support::provider(&memory(), "").serve(shop()).serve(shop())).await;
    let text = "service test.Shop is served twice; give one of them a group or a version";
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn settings_of_a_method_that_does_not_exist_are_refused() {
    let toml = "[consumer.services.\"test.Shop\".methods.lok]\ntimeout = \"1s\"";
    let consumer = support::consumer(&memory(), toml);
    let text = consumer.client::<ShopClient>().await.unwrap_err().to_string();
    assert!(text.starts_with("dubhe.toml:"), "{text}");
    assert!(text.contains("`lok` (did you mean `look`?), available: "), "{text}");
}

/// Where a server of another kind greets with these bytes whoever says something.
async fn stranger(greeting: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The other side may have gone.
            let _ = stream.read(&mut [0; 512]).await;
            let _ = stream.write_all(greeting).await;
        }
    });
    address
}

#[tokio::test]
async fn a_port_that_speaks_something_else_than_dubbo_is_told_by_what_it_speaks() {
    for (greeting, told) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "this port speaks HTTP, not dubbo; check"),
        (b"\x15\x03\x01\0\x02\x02\x46", "this port speaks TLS, not dubbo in the clear; check"),
        (b"-ERR unknown command\r\n", "this port does not speak dubbo; check the address"),
    ] {
        let address = stranger(greeting).await;
        let shop: ShopClient =
            support::consumer(&format!("static://{address}"), "").client().await.unwrap();
        let status = support::soon(shop.look(1)).await.unwrap_err();
        assert!(status.message().contains(told), "{status}");
        assert!(status.attempts().iter().all(|attempt| *attempt.address == *address), "{status}");
    }
}

#[tokio::test]
async fn failures_of_one_cause_have_one_message_whatever_the_provider_and_the_time() {
    // At the first nobody listens; at the second the system takes connections and nobody reads them.
    let refusing = async |timeout| {
        let [unused] = servers::free_ports();
        told(&format!("static://127.0.0.1:{unused}"), timeout).await
    };
    let (one, other) = (refusing(300).await, refusing(400).await);
    assert_eq!(one, other);
    assert!(one.starts_with("cannot connect: "), "{one}");
    let silent = async |timeout| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        told(&format!("static://{}", listener.local_addr().unwrap()), timeout).await
    };
    assert_eq!(silent(200).await, silent(300).await);
}

/// What a call says that nobody answers within so many milliseconds.
async fn told(registry: &str, timeout: u64) -> String {
    let shop: ShopClient =
        support::consumer(registry, "consumer.retries = 0").client().await.unwrap();
    let call = shop.with(CallOptions::new().timeout(Duration::from_millis(timeout)));
    let status = support::soon(call.look(1)).await.unwrap_err();
    let all = status.to_string();
    assert!(all.contains(status.message()) && status.address().is_some(), "{all}");
    status.message().to_owned()
}
