//! Messages that hold themselves where a default has an end.

use dubhe_rpc_macros::message;

#[message(crate = rpc_core)]
#[derive(Debug)]
struct Tree {
    parent: Option<Box<Self>>,
    children: Vec<Tree>,
    named: std::collections::HashMap<String, Tree>,
    kind: Box<Kind>,
}

#[message(crate = rpc_core)]
#[derive(Debug)]
enum Kind {
    Plain,
    Negated(Box<Kind>),
    Both { left: Box<Kind>, right: Box<Kind> },
    Inner(Box<Tree>),
}

#[message(crate = rpc_core)]
#[derive(Debug)]
struct Boxed {
    holds: Box<Page<u32>>,
}

#[message(crate = rpc_core)]
#[derive(Debug)]
struct Page<T> {
    items: Vec<T>,
    first: Box<T>,
}

fn main() {
    assert!(Tree::default().parent.is_none());
    assert!(matches!(*Tree::default().kind, Kind::Plain));
    assert_eq!(*Boxed::default().holds.first, 0);
}
