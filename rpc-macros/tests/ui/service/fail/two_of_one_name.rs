use dubhe_rpc_macros::service;
use rpc_core::Result;

#[service(crate = rpc_core)]
trait Greeter {
    async fn hello(&self) -> Result<()>;
    async fn hello(&self, name: String) -> Result<()>;
}

fn main() {}
