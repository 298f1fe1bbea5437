//! The consumer's end: typed calls to invocations.

mod call_span;
mod connection_config;
mod options;
mod prepared;
mod said;
mod service;
mod stream;
mod stub;

pub use self::connection_config::ClientConfig;
pub use self::options::CallOptions;
pub use self::stub::{Arguments, Plan, ServiceClient, Stub, StubMethod};
