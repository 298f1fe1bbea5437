use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    #[rpc(oneway)]
    async fn hello(&self) -> Result<String>;
    #[rpc(oneway)]
    async fn buy(&self) -> Result<(), u32>;
    #[rpc(oneway, fallback = "null")]
    async fn log(&self) -> Result<()>;
}

fn main() {}
