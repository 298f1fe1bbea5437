use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter: Send + std::fmt::Display {
    async fn hello(&self) -> Result<()>;
}

fn main() {}
