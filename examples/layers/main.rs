//! Middleware of one's own: authentication and timing, as tower layers on both sides.
//!
//! `cargo run --example layers`; exits with 0 only if every outcome is the expected one.

#![allow(unreachable_pub, reason = "a program for people to read")]

mod auth;
#[path = "../command_line.rs"]
mod command_line;
#[path = "../logging.rs"]
mod logging;
mod timing;

use auth::{RequireToken, SendToken};
use dubhe::prelude::*;
use timing::Timing;

#[dubhe::service(name = "shop.Vault")]
trait Vault {
    /// Open to everybody.
    #[rpc(idempotent)]
    async fn balance(&self) -> Result<u64>;

    /// For those who show the token.
    async fn withdraw(&self, cents: u64) -> Result<u64>;
}

struct Safe;

impl Vault for Safe {
    async fn balance(&self) -> Result<u64> {
        Ok(500)
    }

    async fn withdraw(&self, cents: u64) -> Result<u64> {
        Ok(500 - cents.min(500))
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    command_line::expect_nothing("layers");
    logging::begin(logging::Level::WARN);
    let (handlers, calls) = (Timing::default(), Timing::default());
    let provider = Provider::new("memory://layers")
        .set("provider.port", 0)
        .set("provider.notice", "0s")
        // The first layer is the outermost: refused calls are timed too.
        .layer(handlers.clone())
        .layer_for(("shop.Vault", "withdraw"), RequireToken("open sesame"))
        .serve(VaultServer::new(Safe));
    let running = provider.start().await?;

    let stranger = VaultClient::connect("memory://layers").await?;
    let known = Consumer::new("memory://layers")
        .call_layer(calls.clone())
        .call_layer(SendToken("open sesame"))
        .build()?;
    let known: VaultClient = known.client().await?;

    let seen = [
        ("a stranger asks for the balance", stranger.balance().await),
        ("a stranger withdraws", stranger.withdraw(100).await),
        ("who has the token withdraws", known.withdraw(100).await),
    ];
    for (what, outcome) in &seen {
        match outcome {
            Ok(cents) => println!("{what:<33} {cents} cents"),
            Err(status) => println!("{what:<33} {}: {}", status.code(), status.message()),
        }
    }
    println!(
        "\ntimed around the handlers\n{handlers}\ntimed around the calls of who has the token\n{calls}"
    );
    running.shutdown().await;

    let [balance, refused, withdrawn] = seen.map(|(_, outcome)| outcome.map_err(|s| s.code()));
    let outcomes = (balance, refused, withdrawn);
    if outcomes != (Ok(500), Err(Code::Unauthenticated), Ok(400)) {
        return Err(format!("the outcomes are not the expected ones: {outcomes:?}").into());
    }
    match (handlers.count("balance"), handlers.count("withdraw"), calls.count("withdraw")) {
        (1, 2, 1) => Ok(()),
        counts => Err(format!("the layers ran another number of times: {counts:?}").into()),
    }
}
