//! The provider's end: handlers, their table, and the handler's view of its call.

pub(crate) mod answer;
pub(crate) mod context;
mod dispatch;
mod handler;
mod load_report;
mod serve;
mod share;
mod state;

pub use self::context::{CallContext, within_layer};
pub use self::dispatch::{Dispatcher, Route};
pub use self::handler::Handler;
pub use self::serve::{DrainReport, Server, ServerConfig};
pub(crate) use self::share::{CallGuard, Caller, Held};
pub(crate) use self::state::{ConnectionGuard, Phase, Reading, ServerState, shutting_down};
