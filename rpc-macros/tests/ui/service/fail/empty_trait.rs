use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {}

fn main() {}
