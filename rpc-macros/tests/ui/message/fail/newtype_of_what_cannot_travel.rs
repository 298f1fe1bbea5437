use dubhe_rpc_macros::message;

struct Foreign;

#[message(crate = rpc_core)]
struct One(Foreign);

#[message(crate = rpc_core)]
#[derive(Debug)]
struct Length(usize);

fn main() {}
