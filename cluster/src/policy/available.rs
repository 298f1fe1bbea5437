//! `available`: the first provider that can be called, without balancing.
//!
//! Choose it for a primary with stand-bys: in the order of addresses, the first that is connected
//! or was never used; if there is none, the first that may be. A call that did not reach its provider goes to the next; one
//! that may have run ends with what became of it. Costs a look at the candidates.

use std::sync::Arc;

use rpc_core::status::{Resend, may_resend};
use rpc_core::{
    BoxInvoker, BuildContext, Error, Extension, Invocation, Invoke, NoConfig, Reply, ReplyFuture,
    Status,
};
use tokio::time::Instant;
use tower_layer::Layer;

use super::{Choice, ClusterPolicy, History, MAX_TRIED};
use crate::attempt::Attempt;
use crate::endpoint::Endpoint;
use crate::picker::Picker;

/// Calls the first provider that can be called.
#[derive(Debug, Clone, Copy, Default)]
pub struct Available;

impl Extension<dyn ClusterPolicy> for Available {
    const NAME: &'static str = "available";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Layer<Picker> for Available {
    type Service = BoxInvoker;

    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(AvailableInvoker(picker))
    }
}

impl ClusterPolicy for Available {
    fn choice(&self) -> Choice {
        Choice::First
    }
}

/// Sends calls to the first provider, and on to the next where one was not reached.
struct AvailableInvoker(Picker);

impl Invoke for AvailableInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let picker = self.0.clone();
        Box::pin(async move {
            let method = invocation.method().clone();
            let mut history = History::new();
            call_first(&picker, invocation, &mut history)
                .await
                .map_err(|status| history.into_status(status, &method, None))
        })
    }
}

async fn call_first(
    picker: &Picker,
    invocation: Invocation,
    history: &mut History,
) -> Result<Reply, Status> {
    picker.ready(&invocation).await?;
    let mut attempt = Attempt::first(invocation, Instant::now());
    let mut endpoint = picker.first(&attempt)?;
    loop {
        let status = match picker.attempt_at(&endpoint, attempt.clone()).await {
            Ok(reply) => return Ok(reply),
            Err(status) => status,
        };
        history.add(&status, attempt.now.elapsed());
        attempt.excluded.push(endpoint.address().clone());
        attempt.number += 1;
        match next(picker, &attempt, &status) {
            Some(other) => endpoint = other,
            None => return Err(status),
        }
        picker.budget().note_resend();
        attempt.now = Instant::now();
    }
}

/// The next that was not tried, if the last one was not reached.
fn next(picker: &Picker, tried: &Attempt, failed: &Status) -> Option<Arc<Endpoint>> {
    let Attempt { invocation, excluded, .. } = tried;
    let resend = may_resend(failed, invocation);
    let was_reached = !matches!(resend, Resend::Free | Resend::Elsewhere);
    if was_reached || invocation.deadline.is_past() || excluded.len() >= MAX_TRIED {
        return None;
    }
    let is_full =
        |endpoint: &Endpoint| resend == Resend::Elsewhere && endpoint.is_full(Instant::now());
    let next = picker.first(tried).ok();
    next.filter(|endpoint| !excluded.contains(endpoint.address()) && !is_full(endpoint))
}
