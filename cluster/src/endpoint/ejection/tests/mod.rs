//! What holds of the health of an endpoint: its rules on a clock of the test's own, what endpoints of
//! a directory share, and what threads must not break.

mod comparison;
mod ejector;
mod rules;
mod threads;

use std::future::Future;
use std::task::{Context, Waker};

use super::Ejector;

/// Whether the directory's task would look at the endpoints now.
fn is_alert(ejector: &Ejector) -> bool {
    let waiting = std::pin::pin!(ejector.wait_alert());
    waiting.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}
