//! Which variant may take what is unknown.

use dubhe_rpc_macros::{error, message};

#[message(crate = rpc_core)]
struct Fields {
    #[rpc(other)]
    field: u32,
}

#[message(crate = rpc_core)]
enum Twice {
    First,
    #[rpc(other)]
    Second,
    #[rpc(other)]
    Third,
}

#[message(crate = rpc_core)]
enum Data {
    First(u32),
    #[rpc(other)]
    Other(String),
}

#[message(crate = rpc_core)]
enum First {
    #[rpc(other)]
    Other(i32),
    Second,
}

#[message(crate = rpc_core)]
enum Numbered {
    First,
    #[rpc(other, name = "REST", tag = 7)]
    Other(i32),
}

#[message(crate = rpc_core)]
enum Least {
    First,
    Second = -2147483648,
}

#[message(crate = rpc_core)]
enum Bare {
    First,
    Second(),
    Third {},
}

#[error(crate = rpc_core)]
#[derive(Debug)]
enum Failure {
    First,
    #[rpc(other)]
    Other,
    #[rpc(status)]
    Status(rpc_core::Status),
}

fn main() {}
