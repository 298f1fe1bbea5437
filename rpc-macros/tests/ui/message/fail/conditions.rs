//! What may be there on one end only.

use dubhe_rpc_macros::{error, message};

#[message(crate = rpc_core)]
struct Fields {
    #[cfg(test)]
    a: u32,
    #[cfg_attr(test, rpc(tag = 3))]
    b: u32,
    #[cfg_attr(all(), doc = "Fine.")]
    c: u32,
    #[cfg_attr(unix, cfg_attr(test, cfg(test)))]
    d: u32,
}

#[message(crate = rpc_core)]
enum Units {
    A,
    #[cfg(test)]
    B,
}

#[message(crate = rpc_core)]
enum Data {
    A,
    B(#[cfg(test)] u32),
    C {
        #[cfg(test)]
        x: u32,
    },
}

#[error(crate = rpc_core)]
#[derive(Debug)]
enum Failure {
    #[cfg_attr(test, rpc(code = "not_found"))]
    A,
    #[rpc(status)]
    Status(rpc_core::Status),
}

fn main() {}
