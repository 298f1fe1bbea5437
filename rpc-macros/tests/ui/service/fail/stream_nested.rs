//! A stream travels by itself.

use dubhe_rpc_macros::service;
use rpc_core::{Result, Streaming};

#[service(crate = rpc_core)]
trait Nests {
    async fn several(&self, streams: Vec<Streaming<u64>>) -> Result<()>;
    async fn maybe(&self) -> Result<Option<Streaming<u64>>>;
    async fn streams(&self, streams: Streaming<Vec<Streaming<u64>>>) -> Result<()>;
    async fn fails(&self) -> Result<(), Streaming<u64>>;
}

fn main() {}
