//! Without the prelude, with its names taken, and with parameters named like generated ones.
#![no_implicit_prelude]
#![allow(dead_code, non_camel_case_types)]

struct Option;
struct Result;
struct String;
struct Vec;
struct Some;
struct Default;
trait Iterator {}

#[::dubhe_rpc_macros::message(crate = ::rpc_core)]
struct Message<S, D> {
    first: S,
    second: ::std::vec::Vec<D>,
}

#[::dubhe_rpc_macros::message(crate = ::rpc_core)]
enum Field {
    Value,
    Record,
}

#[::dubhe_rpc_macros::message(crate = ::rpc_core)]
enum Element<T> {
    Value(T),
    Record { value: T, outcome: u32, payload: ::std::option::Option<bool> },
}

#[::dubhe_rpc_macros::error(crate = ::rpc_core)]
#[derive(::std::fmt::Debug)]
enum Error {
    Ok,
    Err { status: u32 },
    #[rpc(status)]
    Status(::rpc_core::Status),
}

fn main() {}
