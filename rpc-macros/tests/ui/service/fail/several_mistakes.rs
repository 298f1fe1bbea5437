use dubhe_rpc_macros::service;

#[service(crate = rpc_core, colour = "red")]
trait Greeter {
    fn hello(name: &str) -> String;
    #[rpc(timeout = "soon")]
    async fn other<T>(&self, value: T) -> Result<()>;
}

fn main() {}
