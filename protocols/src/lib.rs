//! The wire of Dubhe: listeners, transports, and the protocols spoken on them.
//!
//! - [`Server`] accepts connections and recognizes their protocols by the first bytes
//! - [`Connections`] opens channels to providers in a protocol they speak
//! - [`Dubbo`] is Dubbo2 framing over one multiplexed connection, both ends
//! - [`Http`] is HTTP/1.1 and HTTP/2 with translators, of which there is JSON so far; served only
//! - [`Injvm`] is a call inside the process: no socket, and no encoding where types match
//!
//! The contracts stand in `rpc_core`; this crate knows no codec, no registry and no policy.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod connections;
mod dubbo;
mod http;
mod injvm;
mod listen;
mod transport;

use rpc_core::{Error, ExtensionPoint, Params, Protocol, Protocols};

pub use self::connections::Connections;
pub use self::dubbo::Dubbo;
pub use self::http::Http;
pub use self::injvm::Injvm;
pub use self::listen::{DrainReport, Server};
pub use self::transport::{Tcp, TcpListen};

/// The protocols of this crate. Where several fit an instance, the first by name is taken.
#[must_use]
pub fn builtin() -> ExtensionPoint<dyn Protocol> {
    ExtensionPoint::new("protocol")
        .without(&["tri", "triple", "grpc", "rest"])
        .with::<Dubbo>()
        .with::<Http>()
        .with::<Injvm>()
}

/// The table of what `point` has.
///
/// # Errors
/// A protocol that cannot be made; two of the same name.
pub fn table_of(point: &ExtensionPoint<dyn Protocol>) -> Result<Protocols, Error> {
    let built: Result<_, Error> =
        point.names().map(|name| point.build(name, Params::new())).collect();
    Protocols::new(built?)
}

/// The table of the protocols of this crate.
///
/// # Errors
/// None, as long as their names differ.
pub fn table() -> Result<Protocols, Error> {
    table_of(&builtin())
}
