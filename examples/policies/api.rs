//! The contract: a read, so that every policy may be chosen for it.

use dubhe::prelude::*;

/// A shop's prices.
#[dubhe::service(name = "shop.Prices")]
pub trait Prices {
    /// What an article costs, if that is known.
    #[rpc(idempotent)]
    async fn price(&self, article: u64) -> Result<Option<Price>>;
}

/// The price of an article.
#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// In cents.
    pub cents: u64,
    /// Name of the provider that answered.
    pub provider: String,
}
