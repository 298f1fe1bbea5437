//! A variant is read by its name in Rust, too, so no other may travel under that.

use dubhe_rpc_macros::message;

#[message(crate = rpc_core)]
enum State {
    Unknown,
    Active,
    #[rpc(name = "Active")]
    Enabled,
}

#[message(crate = rpc_core)]
enum Swapped {
    #[rpc(name = "LOW")]
    Off,
    #[rpc(name = "Off")]
    Low,
}

fn main() {}
