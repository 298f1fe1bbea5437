//! Bytes moving: sockets, and what waits to be written to them. Framing is the protocols'.

mod rewind;
mod tcp;
pub(crate) mod write_queue;

pub(crate) use self::rewind::Rewind;
pub use self::tcp::{Tcp, TcpListen};
