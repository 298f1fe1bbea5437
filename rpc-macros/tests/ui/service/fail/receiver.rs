use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn none(name: String) -> Result<String>;
    async fn by_value(self) -> Result<()>;
    async fn by_mutable_reference(&mut self) -> Result<()>;
    async fn with_lifetime(&'static self) -> Result<()>;
    async fn in_an_arc(self: std::sync::Arc<Self>) -> Result<()>;
}

fn main() {}
