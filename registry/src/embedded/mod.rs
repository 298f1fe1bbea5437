//! The registry that comes with the framework: `dubhe://host:port` and `dev://name`.
//!
//! For one machine and small teams; it is not replicated. A server is an [`EmbeddedServer`], which keeps
//! its data in a folder if it is given one (feature `store`); `dev://` runs one inside one of the
//! providers. Layout of this folder: `wire.rs` is what both sides say, `secret.rs` by what a client
//! is known again; `table.rs`, `admission.rs`, `lease.rs`, `host.rs`, `connection.rs` and `server.rs` are the server, innermost first; `store.rs` is how its
//! table is followed on disk, by `disk.rs`; `client.rs` is a session; `election.rs` is how the processes
//! of `dev://` find each other.

mod admission;
mod caller;
mod client;
mod connection;
mod dev;
#[cfg(feature = "store")]
mod disk;
mod dubhe;
mod election;
mod host;
mod lease;
mod off_thread;
mod secret;
mod server;
mod settings;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use self::client::Client;
pub(crate) use self::connection::serve;
pub use self::dev::Dev;
pub use self::dubhe::{DEFAULT_PORT, Dubhe};
pub(crate) use self::host::RegistryHost;
pub use self::host::ServerStatus;
pub(crate) use self::secret::Identity;
pub use self::server::{EmbeddedServer, ServerBuilder};
pub use self::settings::RegistryServerConfig;
