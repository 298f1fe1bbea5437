//! What may be there on one end only.

use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    #[cfg(test)]
    async fn a(&self) -> Result<()>;
    #[cfg_attr(test, rpc(idempotent))]
    async fn b(&self) -> Result<()>;
    #[cfg_attr(all(), doc = "Fine.")]
    async fn c(&self, #[cfg(test)] d: u32) -> Result<()>;
}

fn main() {}
