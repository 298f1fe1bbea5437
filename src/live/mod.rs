//! The parts that may change while calls run: plans of methods, filters, the rules of directories.
//!
//! Settings become extensions (`shared.rs`), and these become the plan of a method (`method.rs`)
//! behind one pointer. When settings change (`reload.rs`), everything that follows from them is
//! made before any of it is put in force, so that a mistake refuses the change as a whole.
//! Rules of config centres (`rules.rs`) are such changes. Unchanged parts are kept with their state. Only one change is made at a time (`turn.rs`).

mod client;
mod method;
mod reload;
mod rules;
mod service;
mod shared;
mod swap;
mod turn;

pub(crate) use self::reload::Live;
pub(crate) use self::rules::Governance;
pub(crate) use self::service::UsedService;
pub(crate) use self::shared::{Draft, Kept, is_same, wrap};
pub(crate) use self::swap::Swap;
pub(crate) use self::turn::{Turn, TurnGuard, made};
