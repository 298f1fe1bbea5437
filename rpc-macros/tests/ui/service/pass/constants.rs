//! Constants whose names generated code would have liked for itself.
#![deny(warnings)]
#![allow(non_upper_case_globals)]

use dubhe_rpc_macros::{error, message, service};
use rpc_core::{Result, Status, Streaming};

macro_rules! constants {
    ($($name:ident)*) => {
        $(pub const $name: &str = stringify!($name);)*
    };
}

constants! {
    out input tag wire writer at reader limits buf bytes serializer deserializer levels merged error
    payload outcome kept variant value number text code own of fields index list message name status
    options client stub f invocation arguments service nodes field
}

#[message(crate = rpc_core)]
pub struct Record {
    pub a: u32,
    pub value: Option<Box<Record>>,
    pub number: Vec<Plain>,
}

#[message(crate = rpc_core)]
pub enum Plain {
    One,
    #[rpc(other)]
    Other(String),
}

#[message(crate = rpc_core)]
pub enum Data<T> {
    One,
    Two { a: u32, s: T, fields_: Vec<Self>, next: Option<Box<Self>> },
    Three(T),
    #[rpc(other)]
    Other,
}

#[error(crate = rpc_core)]
#[derive(Debug)]
pub enum Failure {
    #[rpc(message = "by {by}")]
    Late { by: u32 },
    #[rpc(message = "not {0}")]
    Not(Plain2),
    #[rpc(status)]
    Status(Status),
}

#[message(crate = rpc_core)]
#[derive(Debug)]
pub struct Plain2 {}

impl std::fmt::Display for Plain2 {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

#[service(crate = rpc_core)]
pub trait Shop {
    async fn one(&self, record: Record) -> Result<Data<u32>, Failure>;
    async fn more(&self, record: Record, and: u32) -> Result<u32>;
    async fn none(&self) -> Result<()>;
    async fn all(&self, values: Streaming<u32>) -> Result<Streaming<u32>>;
}

fn main() {
    assert_eq!((value, status, reader), ("value", "status", "reader"));
}
