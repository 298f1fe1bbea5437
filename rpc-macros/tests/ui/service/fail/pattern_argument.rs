use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn tuple(&self, (a, b): (u8, u8)) -> Result<()>;
    async fn wildcard(&self, _: u8) -> Result<()>;
    async fn mutable(&self, mut name: String) -> Result<()>;
    async fn attribute(&self, #[allow(unused)] name: String) -> Result<()>;
}

fn main() {}
