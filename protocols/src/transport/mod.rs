//! Bytes moving: sockets, and what waits to be written to them. Framing is the protocols'.

pub(crate) mod tcp;
pub(crate) mod write_queue;

pub use self::tcp::Tcp;
