//! A parameter that travels says so.

use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Store<K, V, N> {
    async fn put(&self, key: K) -> Result<()>;
    async fn all(&self) -> Result<Streaming<V>>;
}

fn main() {}
