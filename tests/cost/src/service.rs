//! The service that is called: it gives back what it gets, about 64 bytes in five fields.

use dubhe::prelude::*;

/// What travels both ways.
#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) price: f64,
    pub(crate) stock: u32,
    pub(crate) labels: Vec<String>,
}

impl Item {
    pub(crate) fn sample() -> Self {
        Self {
            id: 4_711,
            name: "a kettle of enamelled steel".to_owned(),
            price: 24.5,
            stock: 120,
            labels: vec!["kitchen".to_owned(), "enamel".to_owned()],
        }
    }
}

/// Prices of a shop.
#[dubhe::service(name = "shop.Prices")]
pub(crate) trait Prices {
    /// Gives the item back.
    #[rpc(idempotent)]
    async fn quote(&self, item: Item) -> Result<Item>;
}

/// Answers at once.
pub(crate) struct Shop;

impl Prices for Shop {
    async fn quote(&self, item: Item) -> Result<Item> {
        Ok(item)
    }
}
