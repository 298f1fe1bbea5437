use dubhe_rpc_macros::message;

#[message(crate = rpc_core)]
struct Chain {
    value: u32,
    next: Box<Self>,
}

#[message(crate = rpc_core)]
struct Twice<T> {
    value: T,
    next: std::boxed::Box<Box<Twice<T>>>,
}

#[message(crate = rpc_core)]
enum Expr {
    Add { left: Box<Expr>, right: Box<Expr> },
    Number(i64),
}

#[message(crate = rpc_core)]
enum Not {
    Not(Box<Self>),
    True,
}

fn main() {}
