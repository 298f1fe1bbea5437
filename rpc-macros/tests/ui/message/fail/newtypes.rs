use dubhe_rpc_macros::message;

// What a newtype cannot be.

#[message(crate = rpc_core)]
struct Fine(u32);

#[message(crate = rpc_core)]
struct Maybe(Option<u32>);

#[message(crate = rpc_core)]
struct Endless(Vec<Endless>);

#[message(crate = rpc_core)]
struct One(Vec<Other>);

#[message(crate = rpc_core)]
struct Other(Vec<One>);

#[message(crate = rpc_core, name = "Named")]
struct Named(u32);

#[message(crate = rpc_core)]
struct Numbered(#[rpc(tag = 2)] u32);

fn main() {}
