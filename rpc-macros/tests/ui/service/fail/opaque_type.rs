use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn argument(&self, names: impl Iterator<Item = String>) -> Result<()>;
    async fn reply(&self) -> Result<impl Send>;
    async fn boxed(&self, value: Box<dyn Send>) -> Result<()>;
    async fn own(&self) -> Result<Self>;
    async fn of_own(&self, item: Self::Item) -> Result<()>;
}

fn main() {}
