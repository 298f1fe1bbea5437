use dubhe_rpc_macros::service;
use rpc_core::Result;

#[service(crate = rpc_core)]
trait Pages {
    async fn page(&self, of: String, number: usize) -> Result<String>;
}

fn main() {}
