//! Arguments travel by name, in lowerCamelCase, so two of one name would be swapped or lost.

use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Stock {
    async fn take(&self, x_1: u32, x1: u32) -> Result<u32>;
    async fn find(&self, r#type: String, type_: String) -> Result<String>;
    async fn put(&self, user_id: u64, _b: u32, user__id: u64, b: u32) -> Result<()>;
}

fn main() {}
