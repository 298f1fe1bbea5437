//! The four kinds, with generics, attributes, pointers and a result by another name.

use std::sync::Arc;

use dubhe_rpc_macros::service;
use rpc_core::message::Element;
use rpc_core::{MethodKind, Result, Streaming};

type Numbers = Streaming<u64>;

#[service(crate = rpc_core)]
trait Streams<T: Element> {
    async fn one(&self, value: T) -> Result<T>;
    #[rpc(idempotent, timeout = "300ms", cluster = "failfast")]
    async fn up(&self, values: rpc_core::Streaming<T>) -> Result<u64>;
    async fn down(&self, value: T) -> Result<Streaming<T>>;
    async fn both(&self, values: Streaming<Vec<T>>) -> Result<Streaming<Option<T>>>;
    async fn numbers(&self) -> Result<Numbers> {
        Ok(Streaming::of([1, 2]))
    }
}

fn assert_is<T: Streams<u64>>(_: Option<T>) {}

fn main() {
    assert_is::<StreamsClient<u64>>(None);
    assert_is::<Arc<dyn DynStreams<u64>>>(None);
    let service = <StreamsClient<u64> as rpc_core::client::ServiceClient>::DESCRIPTOR;
    let kinds: Vec<MethodKind> = service.methods.iter().map(|method| method.kind).collect();
    use MethodKind::{BidiStream, ClientStream, ServerStream, Unary};
    assert_eq!(kinds, [Unary, ClientStream, ServerStream, BidiStream, ServerStream]);
}
