//! What holds of the health of an endpoint: its rules on a clock of the test's own, what endpoints of
//! a directory share, and what threads must not break.

mod comparison;
mod rules;
mod shared;
mod threads;

use std::future::Future;
use std::task::{Context, Waker};

use super::SharedEjection;

/// Whether the directory's task would look at the endpoints now.
fn is_alert(rules: &SharedEjection) -> bool {
    let waiting = std::pin::pin!(rules.wait_alert());
    waiting.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}
