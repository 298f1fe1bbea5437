use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn with(&self) -> Result<()>;
    async fn broadcast(&self) -> Result<()>;
}

fn main() {}
