//! Services need no `async_trait`, above or below.

use dubhe_rpc_macros::service;
use rpc_core::__private::async_trait;

#[async_trait]
#[service(crate = rpc_core)]
trait Above {
    async fn a(&self) -> rpc_core::Result<()>;
    async fn b(&self, c: u32) -> rpc_core::Result<()>;
}

#[service(crate = rpc_core)]
#[async_trait]
trait Below {
    async fn a(&self) -> rpc_core::Result<()>;
}

fn main() {}
