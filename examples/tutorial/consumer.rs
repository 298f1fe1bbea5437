//! The consumer of the tutorial, `shop-consumer` there: docs/guide/tutorial.md.
//!
//! `cargo run --example tutorial-consumer`; start the provider first.

#![allow(unreachable_pub, reason = "the contract is a crate of its own in the tutorial")]

#[path = "api.rs"]
mod shop_api;

use dubhe::prelude::*;
use shop_api::{Inventory, InventoryClient, StockError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let inventory = InventoryClient::connect("dev://").await?;
    println!("stock of mugs: {}", inventory.left("mug".into()).await?);
    match inventory.take("mug".into(), 2).await {
        Ok(receipt) => println!("took 2, stock is {} now", receipt.left),
        Err(StockError::TooFew { left }) => println!("took none: only {left} left"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
