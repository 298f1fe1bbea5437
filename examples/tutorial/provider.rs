//! The provider of the tutorial, `shop-provider` there: docs/guide/tutorial.md.
//!
//! `cargo run --example tutorial-provider`, then in another terminal
//! `cargo run --example tutorial-consumer`

#![allow(unreachable_pub, reason = "the contract is a crate of its own in the tutorial")]

#[path = "api.rs"]
mod shop_api;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use dubhe::prelude::*;
use shop_api::{Inventory, InventoryServer, Receipt, StockError};

/// Items and how many of each are left.
struct Shelf(Mutex<BTreeMap<String, u32>>);

impl Inventory for Shelf {
    async fn left(&self, item: String) -> Result<u32> {
        let stock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stock.get(&item).copied().ok_or_else(|| Status::not_found(format!("no item `{item}`")))
    }

    async fn take(&self, item: String, count: u32) -> Result<Receipt, StockError> {
        let mut stock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = stock.get_mut(&item) else { return Err(StockError::NoItem(item)) };
        match left.checked_sub(count) {
            Some(rest) => *left = rest,
            None => return Err(StockError::TooFew { left: *left }),
        }
        Ok(Receipt { item, left: *left })
    }
}

#[tokio::main]
async fn main() -> Result<(), dubhe::Error> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let shelf = Shelf(Mutex::new(BTreeMap::from([("mug".to_owned(), 5)])));
    let running = Provider::new("dev://").serve(InventoryServer::new(shelf)).start().await?;
    println!("serving at {}", running.address());
    running.run().await?;
    Ok(())
}
