//! `available`: the first provider that can be called, without balancing.
//!
//! Choose it for a primary with stand-bys: in the order of addresses, the first that is connected;
//! if none is, the first that may be. A call that did not reach its provider goes to the next; one
//! that may have run ends with what became of it. Costs a look at the candidates.

use std::sync::Arc;

use rpc_core::status::{Resend, may_resend};
use rpc_core::{
    BoxInvoker, ChannelState, Error, Extension, Invocation, Invoke, NoConfig, Reply, ReplyFuture,
    Status,
};
use tokio::time::Instant;

use super::{ClusterPolicy, History, MAX_TRIED};
use crate::endpoint::Endpoint;
use crate::picker::{Attempt, Picker};

/// Calls the first provider that can be called.
#[derive(Debug, Clone, Copy, Default)]
pub struct Available;

impl Extension<dyn ClusterPolicy> for Available {
    const NAME: &'static str = "available";
    type Config = NoConfig;

    fn build(_: NoConfig) -> Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self))
    }
}

impl ClusterPolicy for Available {
    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(AvailableInvoker(picker))
    }
}

struct AvailableInvoker(Picker);

impl Invoke for AvailableInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let picker = self.0.clone();
        Box::pin(async move {
            let method = invocation.method().clone();
            let mut history = History::new();
            call_first(&picker, &invocation, &mut history)
                .await
                .map_err(|status| history.into_status(status, &method, None))
        })
    }
}

async fn call_first(
    picker: &Picker,
    invocation: &Invocation,
    history: &mut History,
) -> Result<Reply, Status> {
    picker.ready(invocation).await?;
    let mut endpoints = picker.reachable(invocation)?;
    endpoints.sort_by_key(|endpoint| endpoint.channel().state() != ChannelState::Ready);
    endpoints.truncate(MAX_TRIED);
    let count = endpoints.len();
    for (index, endpoint) in endpoints.iter().enumerate() {
        let now = Instant::now();
        let status = match call(picker, endpoint, invocation, index, now).await {
            Ok(reply) => return Ok(reply),
            Err(status) => status,
        };
        history.add(&status, now.elapsed());
        let was_reached = may_resend(&status, invocation.method().is_idempotent()) != Resend::Free;
        if was_reached || index + 1 == count || invocation.deadline.is_past() {
            return Err(status);
        }
        picker.budget().note_resend();
    }
    Err(picker.no_instance())
}

async fn call(
    picker: &Picker,
    endpoint: &Arc<Endpoint>,
    invocation: &Invocation,
    index: usize,
    now: Instant,
) -> Result<Reply, Status> {
    let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
    let invocation = invocation.clone();
    let attempt = Attempt { invocation, excluded: Vec::new(), number, now };
    picker.attempt_at(endpoint, attempt).await
}
