//! The service that every provider of the fleet offers, in each language under one name.

use dubhe::prelude::*;

/// Answers with who it is.
#[dubhe::service(name = "dubhe.fleet.Stock")]
pub(crate) trait Stock {
    /// The application of the provider that answers.
    #[rpc(idempotent)]
    async fn who(&self, asks: String) -> Result<String>;
}
