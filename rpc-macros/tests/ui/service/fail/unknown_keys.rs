use dubhe_rpc_macros::service;

#[service(crate = rpc_core, nmae = "x")]
trait Greeter {
    #[rpc(idempotnt, time_out = "1s")]
    async fn hello(&self) -> Result<()>;
    #[rpc(retry = 2)]
    async fn far(&self) -> Result<()>;
}

fn main() {}
