//! The values of a stream travel as any other.

use dubhe_rpc_macros::service;
use rpc_core::{Result, Streaming};

#[service(crate = rpc_core)]
trait Words {
    async fn words(&self) -> Result<Streaming<usize>>;
}

fn main() {}
