//! A fallback is one value.

use dubhe_rpc_macros::service;
use rpc_core::{Result, Streaming};

#[service(crate = rpc_core)]
trait Feed {
    #[rpc(fallback = "[]")]
    async fn news(&self) -> Result<Streaming<String>>;
}

fn main() {}
