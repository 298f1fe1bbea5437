//! What a variant that takes the unknown may keep.

use dubhe_rpc_macros::message;

#[message(crate = rpc_core)]
enum Wide {
    First,
    #[rpc(other)]
    Other(u64),
}

fn main() {}
