//! The registry that comes with the framework: `dubhe://host:port` and `dev://name`.
//!
//! For one machine and small teams; it is not replicated and keeps its data in memory. A server is an
//! [`EmbeddedServer`]; `dev://` runs one inside one of the providers. Layout of this folder: `wire.rs`
//! is what both sides say; `table.rs`, `lease.rs`, `host.rs`, `connection.rs` and `server.rs` are the
//! server, innermost first; `client.rs` is a session; `meeting.rs` is how the processes of `dev://`
//! find each other.

mod client;
mod connection;
mod dev;
mod dubhe;
mod host;
mod lease;
mod meeting;
mod server;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use self::client::Client;
pub(crate) use self::connection::serve;
pub use self::dev::Dev;
pub use self::dubhe::{DEFAULT_PORT, Dubhe};
pub(crate) use self::host::Host;
pub use self::host::ServerStatus;
pub use self::server::EmbeddedServer;
pub use self::settings::ServerConfig;
