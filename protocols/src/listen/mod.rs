//! A provider's ports: accepting connections, telling their protocols apart, draining.

mod accept;
mod drain;
mod server;
mod sniff;
mod turn_away;

pub use self::drain::DrainReport;
pub use self::server::Server;
