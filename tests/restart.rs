//! What was shut down is gone when that is said: the same port can be bound at once.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::net::{Ipv4Addr, SocketAddr};

use dubhe::embedded::EmbeddedServer;
use dubhe::{Consumer, Provider, RunningProvider};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::{memory, quick};
use tokio::net::TcpStream;

/// Often enough that a port which is mostly free is found out.
const TIMES: usize = 100;

/// Connections of other tests come from 127.0.0.1, and one of them may have the port in between.
const HOST: [u8; 4] = [127, 0, 0, if cfg!(target_os = "linux") { 77 } else { 1 }];

fn provider(registry: &str, port: u16) -> Provider {
    let mut sources = support::sources(registry, "");
    sources.builder = sources
        .builder
        .set("provider.bind", Ipv4Addr::from(HOST).to_string())
        .set("provider.notice", "0s")
        .set("provider.port", port);
    Provider::builder().sources(sources).serve(ShopServer::new(Clerk::new("a")))
}

/// A caller that is connected, and a peer that says nothing.
async fn visitors(running: &RunningProvider) -> (Consumer, TcpStream) {
    let consumer = support::consumer(&support::fixed(running), "");
    let client: ShopClient = consumer.client().await.unwrap();
    client.look(1).await.unwrap();
    (consumer, TcpStream::connect(running.local_addr()).await.unwrap())
}

async fn shut_down_again_and_again() {
    let registry = memory();
    let mut port = 0;
    for time in 0..TIMES {
        let running = provider(&registry, port).start().await;
        let running = running.unwrap_or_else(|error| panic!("start {time}: {error}"));
        port = running.local_addr().port();
        // A visitor that says nothing is cut after a second, so they come seldom.
        let visitors = match time % 50 {
            0 => Some(visitors(&running).await),
            _ => None,
        };
        running.shutdown().await;
        drop(visitors);
    }
}

#[tokio::test]
async fn a_provider_restarts_a_hundred_times_on_one_port_on_one_thread() {
    shut_down_again_and_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_restarts_a_hundred_times_on_one_port_on_several_threads() {
    shut_down_again_and_again().await;
}

#[tokio::test]
async fn the_port_of_a_provider_that_is_dropped_is_free_at_once() {
    let registry = memory();
    let mut port = 0;
    for time in 0..TIMES {
        let running = provider(&registry, port).start().await;
        let running = running.unwrap_or_else(|error| panic!("start {time}: {error}"));
        port = running.local_addr().port();
        let visitors = match time % 10 {
            0 => Some(visitors(&running).await),
            _ => None,
        };
        drop(running);
        drop(visitors);
    }
}

#[tokio::test]
async fn a_registry_server_restarts_a_hundred_times_on_one_port() {
    let mut at = SocketAddr::from((HOST, 0));
    for time in 0..TIMES {
        let server = EmbeddedServer::bind(at, quick()).await;
        let server = server.unwrap_or_else(|error| panic!("start {time}: {error}"));
        at = server.local_addr();
        let _visitor = TcpStream::connect(at).await.unwrap();
        match time % 2 {
            0 => server.shutdown().await,
            _ => drop(server),
        }
    }
}
