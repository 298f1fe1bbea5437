//! The contract that both programs share.

use dubhe::prelude::*;

/// Greets people.
#[dubhe::service]
pub trait Greeter {
    /// A greeting for `name`.
    #[rpc(idempotent)]
    async fn hello(&self, name: String) -> Result<String>;
}
