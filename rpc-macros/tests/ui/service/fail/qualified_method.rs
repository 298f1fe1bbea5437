use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async unsafe fn dangerous(&self) -> Result<()>;
    async extern "C" fn foreign(&self) -> Result<()>;
    #[cfg(unix)]
    async fn sometimes(&self) -> Result<()>;
}

fn main() {}
