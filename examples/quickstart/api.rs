//! The contract: what providers offer and the consumer calls.

use dubhe::prelude::*;

/// A shop's stock.
#[dubhe::service(name = "shop.Stock")]
pub trait Stock {
    /// How many pieces of an article there are, and who says so.
    #[rpc(idempotent)]
    async fn count(&self, article: u64) -> Result<Count>;
}

/// An answer about one article.
#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
pub struct Count {
    /// What was asked for.
    pub article: u64,
    /// Pieces in stock.
    pub pieces: u32,
    /// Name of the provider that answered.
    pub provider: String,
}
