//! The provider's end: requests read from a connection, their answers gathered and written.
//!
//! ```text
//! read_loop.rs    the task of a connection; another takes over while a handler holds its thread
//!   connection.rs   frames in, answers out, phases of a drain
//!     pace.rs         is the present frame fast enough?
//!     request.rs      a frame becomes a call, or a refusal
//!     transit.rs        how late is it? that time is taken off its deadline
//!     (the handler)   polled here at first if its method is quick, else in a task of its own
//!     running.rs      the tasks of calls, their cancels, and their answers on the way back
//!     respond.rs      an outcome becomes a frame
//!     outgoing.rs     bytes to write, counted against the limits of the provider
//! turn_away.rs    a connection that is not served gets the reason
//! ```

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
