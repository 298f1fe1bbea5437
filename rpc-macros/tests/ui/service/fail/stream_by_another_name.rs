//! A stream of arguments is told by its name.

use dubhe_rpc_macros::service;
use rpc_core::{Result, Streaming};

type Numbers = Streaming<u64>;

#[service(crate = rpc_core)]
trait Sum {
    async fn sum(&self, numbers: Numbers) -> Result<u64>;
    async fn words(&self) -> Result<Streaming<usize>>;
}

fn main() {}
