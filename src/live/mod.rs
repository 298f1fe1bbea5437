//! What may change while calls run: plans of methods, filters, what a directory goes by.
//!
//! Settings become extensions (`shared.rs`), these become the plan of a method (`method.rs`) behind
//! one pointer. When settings change (`reload.rs`), everything that follows from them is made before
//! anything is put in force, so that what is wrong is refused whole; and what did not change is kept,
//! with all it knows. One does so at a time (`turn.rs`).

mod client;
mod method;
mod reload;
mod service;
mod shared;
mod swap;
mod turn;

pub(crate) use self::reload::Live;
pub(crate) use self::service::UsedService;
pub(crate) use self::shared::{Draft, Kept, is_same, wrap};
pub(crate) use self::swap::Swap;
pub(crate) use self::turn::{Turn, TurnGuard, made};
