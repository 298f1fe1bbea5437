use std::collections::HashMap;

use dubhe_rpc_macros::message;

struct Foreign;

#[message(crate = rpc_core)]
struct Sizes {
    length: usize,
}

#[message(crate = rpc_core)]
struct Tuples {
    pair: (u32, char),
}

#[message(crate = rpc_core)]
struct Unmarked {
    foreign: Vec<Foreign>,
}

#[message(crate = rpc_core)]
struct Nested {
    lists: Vec<Vec<Foreign>>,
}

#[message(crate = rpc_core)]
struct Twice {
    nothing: Option<Option<u32>>,
}

#[message(crate = rpc_core)]
struct Keys {
    by_float: HashMap<f64, u32>,
}

#[message(crate = rpc_core)]
enum Holding {
    Nothing,
    Maybe(Option<u32>),
    Length(usize),
    Unmarked(Vec<Foreign>),
}

fn main() {}
