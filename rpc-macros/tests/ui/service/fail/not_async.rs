use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    fn hello(&self, name: String) -> Result<String>;
}

fn main() {}
