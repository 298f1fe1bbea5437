//! Nobody hears how a one-way stream ends.

use dubhe_rpc_macros::service;
use rpc_core::{Result, Streaming};

#[service(crate = rpc_core)]
trait Log {
    #[rpc(oneway)]
    async fn lines(&self, lines: Streaming<String>) -> Result<()>;
    #[rpc(oneway)]
    async fn tail(&self) -> Result<Streaming<String>>;
}

fn main() {}
