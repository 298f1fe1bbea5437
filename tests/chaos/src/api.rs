//! The service that is called while things break: it reads, it writes, and it can be told to
//! misbehave.

use dubhe::prelude::*;

/// A store on every provider of the fleet.
#[dubhe::service(name = "chaos.Store")]
pub(crate) trait Store {
    /// Reads, taking `millis` milliseconds; says who answered.
    #[rpc(idempotent)]
    async fn read(&self, id: u64, millis: u64) -> Result<String>;

    /// Writes, taking `millis` milliseconds; says who answered.
    async fn write(&self, id: u64, millis: u64) -> Result<String>;

    /// Answers every further call with `unavailable` at once, or no longer.
    #[rpc(idempotent)]
    async fn fail(&self, failing: bool) -> Result<()>;
}
