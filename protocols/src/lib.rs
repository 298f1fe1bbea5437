//! The wire of Dubhe: listeners, transports, and the protocols spoken on them.
//!
//! - [`Server`] accepts connections and recognizes their protocols by the first bytes
//! - [`Connections`] opens channels to providers in a protocol that both speak
//!
//! | protocol | what it is | provider's end | consumer's end |
//! | --- | --- | --- | --- |
//! | [`Dubbo`] | Dubbo2 framing over one multiplexed connection | yes | yes |
//! | [`Http`] | HTTP/1.1 and HTTP/2 with translators, so far only JSON | yes | no |
//! | [`Injvm`] | calls inside the process, without a socket; no encoding if types match | yes | yes |
//!
//! The bytes are described in `docs/wire.md`. The contracts are in [`rpc_core::protocol`] and
//! [`rpc_core::transport`]; this crate knows no codec, no registry and no policy. A further protocol
//! implements [`Protocol`] and [`Extension`](rpc_core::Extension), and is one line in [`builtin`] or in
//! a program's own table.
//!
//! # Example
//!
//! A provider and a call to it over loopback, without the facade:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use dubhe_protocols::{Connections, Server, TcpListen};
//! use rpc_core::descriptor::{MethodDescriptor, ServiceDescriptor};
//! use rpc_core::message::{Describe, Returned};
//! use rpc_core::server::{Dispatcher, Handler};
//! use rpc_core::{
//!     Body, Codecs, Connector, Deadline, Instance, Invocation, Method, MethodKind, Metrics, Reply,
//!     ReplyFuture, ServiceKey,
//! };
//! # use bytes::{Bytes, BytesMut};
//! # use rpc_core::Codec;
//! # use rpc_core::codec::{CodecError, Limits};
//! # use rpc_core::message::Message;
//! # #[derive(Debug)]
//! # struct Protobuf;
//! # impl Codec for Protobuf {
//! #     fn name(&self) -> &'static str { "protobuf" }
//! #     fn content_subtype(&self) -> &'static str { "proto" }
//! #     fn dubbo_id(&self) -> u8 { 13 }
//! #     fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
//! #         message.encode_proto(buf).map_err(|error| CodecError::new("protobuf", error))
//! #     }
//! #     fn decode(&self, b: Bytes, m: &mut dyn Message, l: &mut Limits) -> Result<(), CodecError> {
//! #         m.merge_proto(b, l).map_err(|error| CodecError::new("protobuf", error))
//! #     }
//! # }
//!
//! static NEXT: [MethodDescriptor; 1] = [MethodDescriptor::new(
//!     "next",
//!     <Returned<u64> as Describe>::message_type,
//!     <Returned<u64> as Describe>::message_type,
//! )];
//! static COUNTER: ServiceDescriptor = ServiceDescriptor::new("Counter", &NEXT);
//!
//! /// What `#[dubhe::service]` generates for a trait.
//! struct CounterServer;
//!
//! impl Handler for CounterServer {
//!     fn descriptor(&self) -> &'static ServiceDescriptor {
//!         &COUNTER
//!     }
//!
//!     fn call(&self, _: usize, invocation: Invocation) -> ReplyFuture {
//!         Box::pin(async move {
//!             let Returned(number): Returned<u64> = invocation.into_arguments()?;
//!             Ok(Reply::new(Returned(number + 1)))
//!         })
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let codecs = Codecs::new(Arc::new(Protobuf), []);
//! let counter = ServiceKey::new("Counter");
//! let mut dispatcher = Dispatcher::new(codecs.clone(), Metrics::new("provider"));
//! dispatcher.add(counter.clone(), Arc::new(CounterServer), |_, handler| handler)?;
//! let port = TcpListen::bind("127.0.0.1:0".parse()?)?;
//! let address = port.socket_addr().to_string();
//! let (protocols, config) = (dubhe_protocols::table()?, Default::default());
//! let server = Server::new(vec![Box::new(port)], Arc::new(dispatcher), protocols, config);
//!
//! let connections = Connections::new(&dubhe_protocols::table()?, Default::default())?;
//! let channel = connections.channel(&Instance::new(counter.clone(), &address, "start-1"));
//! let next = Arc::new(Method::new(counter, "next", MethodKind::Unary, true));
//! let deadline = Deadline::after(Duration::from_secs(5));
//! let mut call = Invocation::new(next, Body::typed(Returned(7_u64)), deadline);
//! call.codecs = Some(codecs);
//! let reply = channel.invoke(call).await?;
//! assert_eq!(reply.body.into_message::<Returned<u64>>()?.0, 8);
//!
//! let report = server.drain(Duration::ZERO, Duration::from_secs(1)).await;
//! assert_eq!(report.cut_calls, 0);
//! # Ok(())
//! # }
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod connections;
mod dubbo;
mod http;
mod injvm;
mod listen;
mod transport;

use rpc_core::{Error, ExtensionPoint, Params, Protocol, Protocols};

pub use self::connections::Connections;
pub use self::dubbo::Dubbo;
pub use self::http::Http;
pub use self::injvm::Injvm;
pub use self::listen::{DrainReport, Server};
pub use self::transport::{Tcp, TcpListen};

/// The protocols of this crate, by name.
///
/// Of several that fit an instance, the first by name is used.
///
/// ```
/// let names: Vec<_> = dubhe_protocols::builtin().names().collect();
/// assert_eq!(names, ["dubbo", "http", "injvm"]);
/// ```
#[must_use]
pub fn builtin() -> ExtensionPoint<dyn Protocol> {
    ExtensionPoint::new("protocol")
        .without(&["tri", "triple", "grpc", "rest"])
        .with::<Dubbo>()
        .with::<Http>()
        .with::<Injvm>()
}

/// The table of all protocols in `point`: those that a process speaks.
///
/// ```
/// # fn main() -> Result<(), rpc_core::Error> {
/// let table = dubhe_protocols::table_of(&dubhe_protocols::builtin())?;
/// // HTTP carries the protocol `json`; `injvm` is not spoken on connections.
/// assert_eq!(table.names().collect::<Vec<_>>(), ["dubbo", "json"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A protocol that cannot be made; two of the same name.
pub fn table_of(point: &ExtensionPoint<dyn Protocol>) -> Result<Protocols, Error> {
    let built: Result<_, Error> =
        point.names().map(|name| point.build(name, Params::new())).collect();
    Protocols::new(built?)
}

/// The table of the protocols of this crate; [`table_of`]`(&`[`builtin`]`())`.
///
/// # Errors
/// None, as long as their names differ.
pub fn table() -> Result<Protocols, Error> {
    table_of(&builtin())
}
