use dubhe_rpc_macros::message;

#[message(crate = rpc_core)]
struct Tuple(u32, String);

#[message(crate = rpc_core)]
struct Borrowing<'a> {
    text: &'a str,
}

#[message(crate = rpc_core)]
enum Empty {}

#[message(crate = rpc_core)]
enum TwoValues {
    Pair(u32, u32),
}

#[message(crate = rpc_core)]
#[derive(Default)]
enum DefaultIsNotFirst {
    First,
    #[default]
    Second,
}

#[message(crate = rpc_core)]
fn function() {}

fn main() {}
