//! Dubhe: Dubbo-style RPC for Rust. Annotate a trait, and it becomes a service that other
//! processes discover and call, with balancing and fault tolerance around every call.
//!
//! - [`service`], [`message`], [`error`]: the attributes that make the contract
//! - [`Provider`] serves, [`Consumer`] calls; both are set up by one [`config`]
//! - [`Extensions`]: codecs, registries, balancers and policies of your own
//!
//! The README shows a first call; `docs/` has configuration, wire format and architecture.

mod address;
pub mod config;
mod consumer;
mod extensions;
mod layers;
mod provider;
mod signal;

#[doc(hidden)]
pub use rpc_core::__private;
pub use rpc_core::client::{CallOptions, ServiceClient};
pub use rpc_core::message::{Element, Field};
pub use rpc_core::server::{CallContext, DrainReport};
pub use rpc_core::{
    BoxInvoker, Code, Codec, Deadline, Delivery, Error, Extension, Instance, Invocation, Invoker,
    Metadata, Method, MethodKind, Reply, Result, ServiceKey, Source, Status,
};
pub use rpc_macros::{error, message, service};

pub use self::consumer::{Connect, Consumer, ConsumerBuilder};
pub use self::extensions::Extensions;
pub use self::provider::{Provider, RunningProvider};
pub use cluster::DirectoryState;

/// The embedded registry's server, for programs that host one.
pub mod embedded {
    pub use registry::embedded::*;
}

/// What nearly every program needs: `use dubhe::prelude::*`.
pub mod prelude {
    pub use rpc_core::client::{CallOptions, ServiceClient};
    pub use rpc_core::server::CallContext;
    pub use rpc_core::{Code, Result, Status};

    pub use crate::consumer::{Connect, Consumer};
    pub use crate::provider::Provider;
}
