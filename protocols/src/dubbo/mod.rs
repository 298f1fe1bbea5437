//! The dubbo protocol: Dubbo2's 16-byte header over one multiplexed connection.
//!
//! Bodies are our compact ones so far (`docs/wire.md`); a body in Dubbo's own hessian2 form finds
//! its place beside `wire/compact.rs`, chosen by the serialization id of the frame.

mod client;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use self::client::{ClientConfig, DubboConnector};
pub(crate) use self::server::{serve, turn_away};
pub(crate) use self::wire::header::MAGIC;
