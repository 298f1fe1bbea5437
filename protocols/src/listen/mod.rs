//! A provider's ports: accepting connections, telling their protocols apart, draining.

mod accept;
mod rewind;
mod server;
mod sniff;
mod turn_away;

use self::rewind::Rewind;
pub use self::server::{DrainReport, Server};
