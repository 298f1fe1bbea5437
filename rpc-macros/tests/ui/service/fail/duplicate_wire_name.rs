use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn hello(&self) -> Result<()>;
    #[rpc(name = "hello")]
    async fn hello_again(&self) -> Result<()>;
}

fn main() {}
