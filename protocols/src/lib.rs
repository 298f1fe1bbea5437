//! The wire of Dubhe: ports, transports, and the protocols spoken on them.
//!
//! - [`Server`] accepts connections and tells their protocols apart by the first bytes
//! - [`dubbo`] is Dubbo2 framing over one multiplexed connection
//! - `http` is JSON over HTTP/1.1 and HTTP/2
//!
//! The contracts stand in `rpc_core`; this crate knows no codec, no registry and no policy.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod dubbo;
mod http;
mod listen;
mod transport;

pub use self::listen::{DrainReport, Server};
pub use self::transport::Tcp;
