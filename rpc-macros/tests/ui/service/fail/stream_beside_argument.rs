//! A stream is the only argument.

use dubhe_rpc_macros::service;
use rpc_core::{Result, Streaming};

#[service(crate = rpc_core)]
trait Upload {
    async fn put(&self, name: String, parts: Streaming<Vec<u8>>) -> Result<()>;
    async fn merge(&self, left: Streaming<u64>, right: Streaming<u64>) -> Result<Streaming<u64>>;
}

fn main() {}
