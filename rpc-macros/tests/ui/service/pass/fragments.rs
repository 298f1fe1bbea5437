//! Types, literals and expressions that `macro_rules!` hands on.
#![deny(warnings)]

use dubhe_rpc_macros::{message, service};
use rpc_core::{Result, Streaming};

macro_rules! services {
    ($name:ident, $wire:literal, $time:expr, $argument:ty, $result:ty, $nothing:ty, $stream:ty) => {
        #[service(crate = rpc_core, name = $wire)]
        pub trait $name {
            #[rpc(idempotent, timeout = $time)]
            async fn call(&self, argument: $argument) -> $result;
            #[rpc(oneway)]
            async fn tell(&self, argument: $argument) -> Result<$nothing>;
            async fn sum(&self, numbers: $stream) -> Result<$stream>;
        }
    };
}

services!(Called, "shop.Called", "300ms", Vec<Kept>, Result<Option<Node>>, (), Streaming<u32>);

macro_rules! messages {
    ($name:ident, $other:ident, $ty:ty, $kept:ty, $number:expr, $tag:literal, $wire:literal) => {
        #[message(crate = rpc_core)]
        pub struct $name {
            #[rpc(tag = $tag, name = $wire)]
            pub field: $ty,
        }

        #[message(crate = rpc_core)]
        #[repr(i32)]
        pub enum $other {
            First,
            Second = $number,
            #[rpc(other)]
            Other($kept),
        }
    };
}

messages!(Node, Kept, Option<Box<Node>>, i32, -5, 7, "inner");

fn main() {}
