use dubhe_rpc_macros::service;

#[service(crate = rpc_core, name = "a", name = "b")]
trait Greeter {
    #[rpc(retries = 1, retries = 2)]
    #[rpc(retries = 3)]
    async fn hello(&self) -> Result<()>;
}

fn main() {}
