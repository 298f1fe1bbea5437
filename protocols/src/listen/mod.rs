//! A provider's ports: accepting connections, telling their protocols apart, draining.

mod accept;
mod server;
mod sniff;
mod turn_away;

pub use self::server::{DrainReport, Server};
