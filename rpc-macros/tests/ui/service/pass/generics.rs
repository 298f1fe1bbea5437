//! Parameters of the trait, with bounds, defaults and where clauses.
#![deny(warnings)]
#![allow(missing_docs)]

use std::sync::Arc;

use dubhe_rpc_macros::service;
use rpc_core::Result;
use rpc_core::client::ServiceClient;
use rpc_core::message::Field;
use rpc_core::server::Handler;

#[service(crate = rpc_core)]
pub trait Store<T: Field> {
    async fn put(&self, key: String, value: T) -> Result<()>;
    async fn find(&self, key: String) -> Result<T>;
    async fn len(&self) -> Result<u64>;
}

#[service(crate = rpc_core)]
pub trait Pairs<K, V = String>
where
    K: Field + Clone,
    V: Field + From<K>,
{
    async fn keys(&self, key: K) -> Result<K>;
    async fn values(&self, value: V) -> Result<V>;
    async fn both(&self, key: K, value: V) -> Result<()>;
    async fn convert(&self, key: K) -> Result<V> {
        self.keys(key.clone()).await?;
        Ok(V::from(key))
    }
}

/// A parameter that no method uses, and one of the name that generated code would like.
#[service(crate = rpc_core)]
pub trait Tagged<T: 'static, const N: usize> {
    async fn ping(&self) -> Result<()>;
}

/// A type of the name that generated code would like.
mod shadow {
    use dubhe_rpc_macros::service;
    use rpc_core::Result;

    pub(crate) type T = u32;

    #[service(crate = rpc_core)]
    pub(crate) trait Shadow {
        async fn ping(&self, value: T) -> Result<T>;
    }
}

struct Memory;

impl<V: Field + Default> Store<V> for Memory {
    async fn put(&self, _: String, _: V) -> Result<()> {
        Ok(())
    }

    async fn find(&self, _: String) -> Result<V> {
        Ok(V::default())
    }

    async fn len(&self) -> Result<u64> {
        Ok(0)
    }
}

async fn sum<S: Store<u64>>(store: &S) -> Result<u64> {
    Ok(store.find("a".into()).await? + store.len().await?)
}

fn handler(_: impl Handler) {}

fn client<C: ServiceClient + std::fmt::Debug>() {}

fn main() {
    handler(StoreServer::<_, u32>::new(Memory));
    let injected: Arc<dyn DynStore<u64>> = Arc::new(Memory);
    drop(sum(&injected));
    handler(StoreServer::from_arc(injected));
    client::<StoreClient<u64>>();
    client::<PairsClient<String>>();
    client::<PairsClient<String, String>>();
    client::<TaggedClient<std::cell::Cell<u8>, 3>>();
    client::<shadow::ShadowClient>();
}
