//! The provider's end: handlers, their table, and the handler's view of its call.

mod answer;
mod blocking;
mod call_span;
mod config;
pub(crate) mod context;
mod dispatch;
mod first_polls;
mod gate;
mod handler;
mod handler_panic;
mod limits;
pub(crate) mod load_report;
mod local;
pub(crate) mod scope;
mod served;
mod shared_view;
mod state;
mod within;

pub use self::answer::Answer;
pub use self::blocking::{DrivenId, HandOn, Watching};
pub use self::config::ServerConfig;
pub use self::context::CallContext;
pub use self::dispatch::{Dispatcher, Route, TurnedAway};
pub use self::handler::Handler;
pub use self::limits::{CallGuard, Caller, ConnectionShare, HeldBytes};
pub use self::local::{LocalGuard, LocalServers};
pub use self::state::{ConnectionGuard, Phase, Reading, ServerState, shutting_down};
pub use self::within::within_layer;
