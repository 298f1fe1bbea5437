//! Names that are nearly one: of methods, and of traits with their methods.
#![deny(warnings)]

use dubhe_rpc_macros::service;
use rpc_core::Result;

#[service(crate = rpc_core)]
pub trait Greeter {
    async fn say_hello(&self, name: String, times: u32) -> Result<()>;
    #[allow(non_snake_case)]
    async fn sayHello(&self, name: String) -> Result<()>;
}

#[service(crate = rpc_core)]
pub trait Stock {
    async fn item_get(&self, a: u32, b: u32) -> Result<u32>;
}

#[service(crate = rpc_core)]
pub trait StockItem {
    async fn get(&self, a: u32, b: u32) -> Result<u32>;
}

fn main() {}
