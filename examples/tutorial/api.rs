//! The contract of the tutorial, `shop-api` there.

use dubhe::prelude::*;

/// Stock of a shop.
#[dubhe::service(name = "shop.Inventory")]
pub trait Inventory {
    /// How many of an item are left.
    #[rpc(idempotent)]
    async fn left(&self, item: String) -> Result<u32>;

    /// Takes some of an item out of stock.
    async fn take(&self, item: String, count: u32) -> Result<Receipt, StockError>;
}

/// What was taken.
#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    pub item: String,
    pub left: u32,
}

/// Why nothing was taken.
#[dubhe::error]
#[derive(Debug, PartialEq)]
pub enum StockError {
    #[rpc(code = "not_found", message = "no item `{0}`")]
    NoItem(String),
    #[rpc(message = "only {left} left")]
    TooFew { left: u32 },
    /// Every other failure: a timeout, no provider, a lost connection.
    #[rpc(status)]
    Status(Status),
}
