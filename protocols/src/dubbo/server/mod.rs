//! The provider's end: requests read from a connection, their answers gathered and written.

mod connection;
mod outgoing;
mod pace;
mod read_loop;
mod request;
pub(super) mod respond;
mod running;
mod transit;
pub(super) mod turn_away;

pub(crate) use self::read_loop::serve;
pub(crate) use self::turn_away::turn_away;
