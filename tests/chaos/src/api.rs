//! The service that is called while things break: it reads, it writes, and it can be told to
//! misbehave.
//!
//! Every method that takes `millis` takes so many milliseconds, and longer while it is told to be slow.

use dubhe::prelude::*;

/// A store on every provider of the fleet.
#[dubhe::service(name = "chaos.Store")]
pub(crate) trait Store {
    /// Reads; says who answered.
    #[rpc(idempotent)]
    async fn read(&self, id: u64, millis: u64) -> Result<String>;

    /// Reads what the caller can do without; says who answered.
    #[rpc(idempotent)]
    async fn find(&self, id: u64, millis: u64) -> Result<Option<String>>;

    /// Writes; says who answered.
    async fn write(&self, id: u64, millis: u64) -> Result<String>;

    /// Writes what nobody waits to hear of.
    async fn note(&self, id: u64, millis: u64) -> Result<()>;

    /// The same, and it may be done twice.
    #[rpc(idempotent)]
    async fn mark(&self, id: u64, millis: u64) -> Result<()>;

    /// Writes at every provider; says who answered.
    async fn tell(&self, id: u64, millis: u64) -> Result<String>;

    /// Passes on what becomes of a read of its own, of whom it was told to depend on; says who answered
    /// that.
    #[rpc(idempotent)]
    async fn lean(&self, id: u64) -> Result<String>;

    /// Makes its own reads at this address from now on.
    #[rpc(idempotent)]
    async fn depend(&self, address: String) -> Result<()>;

    /// Takes one of eight places for so long; says who answered.
    async fn draw(&self, id: u64, millis: u64) -> Result<String>;

    /// Holds its thread for so many milliseconds; says who answered.
    async fn hold(&self, id: u64, millis: u64) -> Result<String>;

    /// Answers every further call with `unavailable` at once, or no longer.
    #[rpc(idempotent)]
    async fn fail(&self, failing: bool) -> Result<()>;

    /// Takes so many milliseconds longer for every further call.
    #[rpc(idempotent)]
    async fn slow(&self, millis: u64) -> Result<()>;
}
