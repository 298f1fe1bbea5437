use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn text(&self) -> Result<&str>;
    async fn nested(&self) -> Result<Option<&'static [u8]>>;
    async fn error(&self) -> Result<(), &'static str>;
}

fn main() {}
