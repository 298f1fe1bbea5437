//! One provider and one consumer, three codecs: only the configuration changes.
//!
//! `cargo run --example codecs`

#![allow(unreachable_pub, reason = "a program for people to read")]

#[path = "../command_line.rs"]
mod command_line;
#[path = "../logging.rs"]
mod logging;

use dubhe::config::{ConfigFile, Sources};
use dubhe::prelude::*;

/// A price in the smallest unit of its currency.
#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct Price {
    cents: i64,
    currency: String,
}

#[dubhe::service]
trait Till {
    /// The sum of the prices, which must be of one currency.
    #[rpc(idempotent)]
    async fn sum(&self, prices: Vec<Price>) -> Result<Price>;
}

struct Adding;

impl Till for Adding {
    async fn sum(&self, prices: Vec<Price>) -> Result<Price> {
        let currency = prices.first().map(|price| price.currency.clone()).unwrap_or_default();
        if prices.iter().any(|price| price.currency != currency) {
            return Err(Status::invalid_argument("the prices are of several currencies"));
        }
        Ok(Price { cents: prices.iter().map(|price| price.cents).sum(), currency })
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    command_line::expect_nothing("codecs");
    logging::begin(logging::Level::WARN);
    let provider = Provider::new("memory://codecs").set("provider.port", 0);
    let running = provider.serve(TillServer::new(Adding)).start().await?;
    let prices: Vec<Price> =
        [199, 2_50, 1].map(|cents| Price { cents, currency: "EUR".into() }).into();
    println!("199, 250 and 1 cents, summed up by a provider that is called in");
    for codec in ["protobuf", "msgpack", "json"] {
        let text =
            format!("[registry]\naddress = \"memory://codecs\"\n[consumer]\ncodec = \"{codec}\"\n");
        let file = ConfigFile { path: "dubhe.toml".into(), text };
        let sources = Sources { file: Some(file), ..Sources::default() };
        let consumer = Consumer::builder().sources(sources).build()?;
        let till: TillClient = consumer.client().await?;
        let sum = till.sum(prices.clone()).await?;
        println!("  {codec:<9} {} cents {}", sum.cents, sum.currency);
        if sum.cents != 450 {
            return Err(format!("{codec} got the sum wrong").into());
        }
    }
    running.shutdown().await;
    Ok(())
}
