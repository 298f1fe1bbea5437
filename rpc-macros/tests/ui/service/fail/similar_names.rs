use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn say_hello(&self) -> Result<()>;
    #[allow(non_snake_case)]
    async fn sayHello(&self) -> Result<()>;
}

fn main() {}
