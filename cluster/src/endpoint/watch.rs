//! A call without a waiting caller, watched to its end where nothing else would show the state of
//! its endpoint; see [`ejection::silence`](super::ejection).

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::Endpoint;
use super::future::EndpointFuture;

/// The watch over one call; ends with it, also when the directory does.
struct Watch(Arc<Endpoint>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.condition().end_watch();
    }
}

/// Gives up a call without a waiting caller: cancels it, or watches it, at most until
/// `deadline` and as long as an ejection lasts.
pub(crate) fn give_up(call: EndpointFuture, deadline: Instant) {
    let Some(endpoint) = call.endpoint().cloned() else { return };
    let (now, health) = (Instant::now(), endpoint.condition());
    if !health.give_up(now) {
        return;
    }
    let deadline = deadline.min(now + health.longest());
    let (mut call, watch) = (call, Watch(endpoint.clone()));
    call.stop_logging();
    health.rules().spawn_probe(async move {
        let _watch = watch;
        if timeout_at(deadline, &mut call).await.is_err() {
            call.overdue();
        }
    });
}
