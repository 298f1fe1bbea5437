//! The provider's end: handlers, their table, and the handler's view of its call.

pub(crate) mod answer;
pub(crate) mod context;
mod dispatch;
mod handler;
mod load_report;
mod serve;

pub use self::context::CallContext;
pub use self::dispatch::{Dispatcher, Route};
pub use self::handler::Handler;
pub use self::load_report::MachineLoad;
pub(crate) use self::serve::{ConnectionGuard, Phase, ServerState};
pub use self::serve::{DrainReport, Server, ServerConfig};
