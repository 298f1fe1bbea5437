use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter
where
    Self: Clone,
{
    async fn hello(&self) -> Result<()>;
}

fn main() {}
