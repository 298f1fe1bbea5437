use dubhe_rpc_macros::service;
use rpc_core::Result;

struct Local;

#[service(crate = rpc_core)]
trait Greeter {
    async fn argument(&self, value: Local) -> Result<()>;
    async fn reply(&self) -> Result<Local>;
    async fn error(&self) -> Result<(), Local>;
}

fn main() {}
