//! The provider's end: handlers, their table, and the handler's view of its call.

pub(crate) mod answer;
pub(crate) mod context;
mod dispatch;
mod handler;
mod serve;

pub use self::context::CallContext;
pub use self::dispatch::{Dispatcher, Route};
pub use self::handler::Handler;
pub(crate) use self::serve::{ConnectionGuard, Phase, ServerState};
pub use self::serve::{DrainReport, Server, ServerConfig};
