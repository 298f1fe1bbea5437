use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    #[rpc(timeout = 300)]
    async fn number(&self) -> Result<()>;
    #[rpc(timeout = "300")]
    async fn no_unit(&self) -> Result<()>;
    #[rpc(timeout = "1x")]
    async fn other_unit(&self) -> Result<()>;
    #[rpc(timeout = "1.5s")]
    async fn fraction(&self) -> Result<()>;
    #[rpc(timeout = "0ms")]
    async fn zero(&self) -> Result<()>;
    #[rpc(timeout = "99999999999999999m")]
    async fn too_long(&self) -> Result<()>;
}

fn main() {}
