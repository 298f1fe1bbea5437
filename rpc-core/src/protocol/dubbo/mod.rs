//! The dubbo face: Dubbo2's 16-byte header over one multiplexed connection.
//!
//! Bodies are our compact ones so far (`docs/wire.md`); a body in Dubbo's own hessian2 form finds
//! its place beside `compact.rs`, chosen by the serialization id of the frame.

mod call;
mod channel;
mod compact;
mod config;
mod connection;
mod connector;
mod event;
mod frames;
mod header;
mod outgoing;
mod pace;
mod pending;
mod request;
mod respond;
mod running;
pub(crate) mod server;
mod shared;
mod turn_away;
#[cfg(test)]
mod worked;

pub use self::config::ClientConfig;
pub use self::connector::DubboConnector;
pub(crate) use self::header::MAGIC;
pub(crate) use self::turn_away::turn_away;
