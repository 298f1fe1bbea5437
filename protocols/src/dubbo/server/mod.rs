//! The provider's end: requests read from a connection, their answers gathered and written.

mod connection;
mod drive;
mod outgoing;
mod pace;
mod request;
pub(super) mod respond;
mod running;
mod transit;
pub(super) mod turn_away;

pub(crate) use self::drive::serve;
pub(crate) use self::turn_away::turn_away;
