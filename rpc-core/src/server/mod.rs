//! The provider's end: handlers, their table, and the handler's view of its call.

pub(crate) mod context;
mod dispatch;
mod handler;

pub use self::context::CallContext;
pub use self::dispatch::{Dispatcher, Route};
pub use self::handler::Handler;
