use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    type Name;
    const LIMIT: u32;
    methods!();
    async fn hello(&self) -> Result<()>;
}

fn main() {}
