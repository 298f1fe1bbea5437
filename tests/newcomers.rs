//! Listed addresses that accept and then hang or reset: with one provider that has answered, they cost
//! no call.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use dubhe::{RunningProvider, ServiceKey};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::{memory, until_is};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// `count` addresses that accept, and then hang or reset.
async fn bad(count: usize, resets: bool) -> (Vec<String>, JoinSet<()>) {
    let (mut addresses, mut accepting) = (Vec::new(), JoinSet::new());
    for _ in 0..count {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap().to_string());
        accepting.spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                match resets {
                    true => stream.set_zero_linger().unwrap(),
                    false => open.push(stream),
                }
            }
        });
    }
    (addresses, accepting)
}

/// A provider that has answered, and then so many more in the list whose addresses are bad.
struct Fleet {
    shop: ShopClient,
    _providers: Vec<RunningProvider>,
    _accepting: JoinSet<()>,
}

async fn fleet(count: usize, resets: bool) -> Fleet {
    let registry = memory();
    let start = async |toml: &str| {
        let provider = support::provider(&registry, toml).serve(ShopServer::new(Clerk::new("a")));
        provider.start().await.unwrap()
    };
    let mut providers = vec![start("").await];
    let consumer = support::consumer(&registry, "consumer.timeout = \"1s\"");
    let shop: ShopClient = consumer.client().await.unwrap();
    shop.look(0).await.unwrap();
    let (addresses, accepting) = bad(count, resets).await;
    for address in addresses {
        providers.push(start(&format!("provider.advertise = \"{address}\"")).await);
    }
    until_is("all are listed", || {
        let state = consumer.directory_state(&ServiceKey::new("test.Shop"));
        state.is_some_and(|state| state.endpoints == count + 1)
    })
    .await;
    Fleet { shop, _providers: providers, _accepting: accepting }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_20_newcomers_that_hang_or_reset_no_write_is_lost() {
    for resets in [false, true] {
        let Fleet { shop, .. } = &fleet(20, resets).await;
        for id in 1..=200 {
            shop.buy(id).await.unwrap_or_else(|status| panic!("resets {resets}: {status}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_136_newcomers_that_hang_no_read_is_lost() {
    let Fleet { shop, .. } = &fleet(136, false).await;
    for id in 1..=400 {
        shop.look(id).await.unwrap();
    }
}
