use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
struct Greeter;

#[service(crate = rpc_core)]
impl Greeter {
    async fn hello(&self) -> Result<()> {
        Ok(())
    }
}

fn main() {}
