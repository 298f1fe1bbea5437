//! The one address of everything generated code needs. No part of the public interface.

pub use std::boxed::Box;
pub use std::clone::Clone;
pub use std::fmt;
pub use std::future::Future;
pub use std::marker::{PhantomData, Send, Sized, Sync};
pub use std::pin::Pin;
pub use std::result::Result::{Err, Ok};
pub use std::sync::Arc;
pub use std::time::Duration;
pub use std::vec::Vec;

pub use async_trait::async_trait;
pub use bytes::{Bytes, BytesMut};
pub use {prost, serde};

pub use crate::client::{Arguments, CallOptions, ServiceClient, Stub};
pub use crate::codec::Limits;
pub use crate::descriptor::*;
pub use crate::message::generated::*;
pub use crate::message::{
    At, BusinessError, Describe, Element, EnumSchema, Field, FieldSchema, Item, MapKey, Message,
    Positions, Read, ReadScope, Reader, RecordSchema, Returned, Value, VariantSchema, Writer,
};
pub use crate::server::Handler;
pub use crate::*;

/// What an async method is behind a pointer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The answer of a handler to an index that its descriptor does not have.
pub fn no_such_method(index: usize, invocation: Invocation) -> ReplyFuture {
    let path = invocation.method().path().clone();
    let message = format!("{path} is not served here: the service has no method {index}");
    Box::pin(std::future::ready(Err(Status::unimplemented(message))))
}

/// A `Result` under whatever name; gives the type of its error.
pub trait Outcome {
    /// The error.
    type Error;
}

impl<T, E> Outcome for std::result::Result<T, E> {
    type Error = E;
}

/// What a method returns when all goes well. One trait for all that generated code does with it,
/// so that rustc complains once about a type that cannot travel.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a service method",
    label = "not a type that can travel",
    note = "put `#[dubhe::message]` on the type if it is yours",
    note = "what travels: `bool`, `i8`..`i64`, `u8`..`u64`, `f32`, `f64`, `String`, `Vec<u8>`, \
            `Bytes`, `()`, `Duration`, `SystemTime`, messages, enums, `Option`, `Vec`, `HashMap`, \
            `BTreeMap`, arrays and tuples of those, and `Streaming` of all these"
)]
pub trait MethodResult: Sized {
    /// The message that it forms, as data.
    fn message_type() -> MessageType;

    /// Its type as data.
    fn shape() -> Shape;

    /// Whether it is many values.
    const STREAMS: bool;

    /// Calls the method at `index` for it.
    fn call<A: Arguments>(
        stub: &Stub,
        index: usize,
        arguments: A,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Calls the method at `index` at every provider.
    fn broadcast<A: Arguments>(
        stub: &Stub,
        index: usize,
        arguments: A,
    ) -> impl Future<Output = Result<Vec<NodeResult<Self>>>> + Send;

    /// What may be answered in place of a failure.
    fn make_fallback(fallback: Option<&str>) -> Result<Option<Reply>, codec::CodecError>;

    /// The reply that carries it.
    fn into_reply(self) -> Reply;
}

/// What the method at `INDEX` returns. Each service has a type that implements this for all of its
/// methods, and generated code asks [`ResultOf`] that: of a result that cannot travel, rustc says so
/// once, where that type names it.
pub trait Returns<const INDEX: usize> {
    /// The value when all goes well.
    type Value: MethodResult;
}

/// What generated code does with the result of the method at `INDEX` of the service `S`.
#[derive(Debug)]
pub struct ResultOf<S, const INDEX: usize>(PhantomData<S>);

#[allow(missing_docs, reason = "each is as what `MethodResult` has under its name")]
impl<S: Returns<INDEX>, const INDEX: usize> ResultOf<S, INDEX> {
    pub const STREAMS: bool = S::Value::STREAMS;

    #[must_use]
    pub fn message_type() -> MessageType {
        S::Value::message_type()
    }

    #[must_use]
    pub fn shape() -> Shape {
        S::Value::shape()
    }

    pub fn call<A: Arguments>(
        stub: &Stub,
        arguments: A,
    ) -> impl Future<Output = Result<S::Value>> + Send {
        S::Value::call(stub, INDEX, arguments)
    }

    pub fn broadcast<A: Arguments>(
        stub: &Stub,
        arguments: A,
    ) -> impl Future<Output = Result<Vec<NodeResult<S::Value>>>> + Send {
        S::Value::broadcast(stub, INDEX, arguments)
    }

    pub fn make_fallback(fallback: Option<&str>) -> Result<Option<Reply>, codec::CodecError> {
        S::Value::make_fallback(fallback)
    }

    pub fn into_reply(value: S::Value) -> Reply {
        value.into_reply()
    }
}

/// The same answers with other errors.
pub fn map_errors<T, E>(
    nodes: Vec<NodeResult<T>>,
    error: impl Fn(Status) -> E,
) -> Vec<NodeResult<T, E>> {
    nodes.into_iter().map(|node| node.map_err(&error)).collect()
}

impl<T: Field> MethodResult for T {
    fn message_type() -> MessageType {
        <Returned<T> as Describe>::message_type()
    }

    fn shape() -> Shape {
        <T as Field>::shape()
    }

    const STREAMS: bool = false;

    async fn call<A: Arguments>(stub: &Stub, index: usize, arguments: A) -> Result<Self> {
        stub.call(index, arguments).await.map(|Returned(value)| value)
    }

    async fn broadcast<A: Arguments>(
        stub: &Stub,
        index: usize,
        arguments: A,
    ) -> Result<Vec<NodeResult<Self>>> {
        let nodes = stub.broadcast(index, arguments).await?;
        let value = |node: NodeResult<Returned<T>>| NodeResult {
            address: node.address,
            result: node.result.map(|Returned(value)| value),
        };
        Ok(nodes.into_iter().map(value).collect())
    }

    fn make_fallback(fallback: Option<&str>) -> Result<Option<Reply>, codec::CodecError> {
        make_fallback::<T>(fallback)
    }

    fn into_reply(self) -> Reply {
        Reply::new(Returned(self))
    }
}

impl<T: Field> MethodResult for Streaming<T> {
    const STREAMS: bool = true;

    fn message_type() -> MessageType {
        <Returned<T> as Describe>::message_type()
    }

    fn shape() -> Shape {
        <T as Field>::shape()
    }

    async fn call<A: Arguments>(stub: &Stub, index: usize, arguments: A) -> Result<Self> {
        stub.stream(index, arguments, |Returned(value)| value).await
    }

    async fn broadcast<A: Arguments>(_: &Stub, _: usize, _: A) -> Result<Vec<NodeResult<Self>>> {
        let text = "a reply that streams cannot be had of every provider at once: call one of them";
        Err(Status::unimplemented(text).with_delivery(Delivery::NotSent))
    }

    fn make_fallback(_: Option<&str>) -> Result<Option<Reply>, codec::CodecError> {
        Ok(None)
    }

    fn into_reply(self) -> Reply {
        Reply::from_body(self.into_body(Returned))
    }
}
