//! A provider's ports: accepting connections, recognizing their protocols, draining.
//!
//! A server passes through these phases, of which its connections are notified:
//!
//! ```text
//! Serving --announce--> Notice ----------> Refusing -------------> Closing
//!            consumers are asked   new calls are refused,   what is left is
//!            to go; calls that     ports are closed,        cut, connections
//!            come are served       running calls go on      close
//! ```

mod accept;
mod drain;
mod server;
mod sniff;
mod turn_away;

pub use self::drain::DrainReport;
pub use self::server::Server;
