//! The consumer's end: channels that reconnect by themselves, and the calls on their connections.

mod call;
mod channel;
mod config;
mod connector;
mod driver;
mod pending;
mod shared;

pub use self::config::ClientConfig;
pub use self::connector::DubboConnector;
