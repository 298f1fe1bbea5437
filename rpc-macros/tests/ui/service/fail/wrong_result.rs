use dubhe_rpc_macros::service;
use rpc_core::Result;

mod own {
    pub type Result<T> = std::result::Result<T, String>;
}

#[service(crate = rpc_core)]
trait Greeter {
    async fn hello(&self) -> own::Result<String>;
}

async fn use_the_import() -> Result<()> {
    Ok(())
}

fn main() {}
