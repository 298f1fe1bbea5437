//! The registry that comes with the framework: `dubhe://host:port` and `dev://name`.
//!
//! For one machine and small teams; it is not replicated. A server is an [`EmbeddedServer`], which keeps
//! its data in a folder if it is given one (feature `store`); `dev://` runs one inside one of the
//! providers. A program may run one itself, as `dubhe registry` does.
//!
//! Instances have leases: a client renews those of its connection every 10 s, and one that was not
//! renewed for 30 s leaves the list, or 3 s after its connection has closed. An address belongs to the
//! client that registered it, and no other client can take it while that one lives.
// Layout of this folder: `wire.rs` is the protocol, `secret.rs` the identity of a client across its
// sessions; `table.rs`, `admission.rs`, `lease.rs`, `host.rs`, `connection.rs` and `server.rs` are the
// server, innermost first; `store.rs` follows its table on disk, by `disk.rs`; `client.rs` is a
// session; `election.rs` is how the processes of `dev://` find each other.

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
mod pushed;
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
