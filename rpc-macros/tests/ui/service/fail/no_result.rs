use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn hello(&self, name: String) -> String;
    async fn log(&self, line: String);
    async fn option(&self) -> Option<String>;
    async fn three(&self) -> Result<u8, u16, u32>;
    async fn fmt(&self) -> std::fmt::Result;
    async fn kept(&self) -> Result<()>;
}

fn main() {}
