use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn text(&self, name: &str) -> Result<()>;
    async fn nested(&self, names: Vec<&'static str>) -> Result<()>;
    async fn cow(&self, name: std::borrow::Cow<'_, str>) -> Result<()>;
}

fn main() {}
