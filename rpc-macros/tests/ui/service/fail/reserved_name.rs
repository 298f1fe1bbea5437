use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn with(&self) -> Result<()>;
}

fn main() {}
