use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
unsafe trait Unsafe {
    async fn hello(&self) -> Result<()>;
}

#[service(crate = rpc_core)]
auto trait Auto {
    async fn hello(&self) -> Result<()>;
}

fn main() {}
