//! `failfast`: one attempt, whatever comes of it.
//!
//! Choose it where a late answer is worth less than a quick failure, or where the caller has a
//! better idea than another try. Costs nothing over the attempt.

use std::sync::Arc;

use rpc_core::status::{Resend, may_resend};
use rpc_core::{
    BoxInvoker, BuildContext, Error, Extension, Invocation, Invoke, Method, NoConfig, ReplyFuture,
    Status,
};
use tokio::time::Instant;

use super::{ClusterPolicy, History};
use crate::attempt::Attempt;
use crate::picker::Picker;

/// One attempt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Failfast;

impl Extension<dyn ClusterPolicy> for Failfast {
    const NAME: &'static str = "failfast";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self))
    }
}

impl ClusterPolicy for Failfast {
    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(FailfastInvoker(picker))
    }
}

struct FailfastInvoker(Picker);

impl Invoke for FailfastInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let started = Instant::now();
        let method = invocation.method().clone();
        let attempt = self.0.attempt(Attempt::first(invocation, started));
        Box::pin(async move {
            attempt.await.map_err(|status| {
                let mut history = History::new();
                history.add(&status, started.elapsed());
                let hint = hint(&status, &method);
                history.into_status(status, &method, hint)
            })
        })
    }
}

/// It was the policy that decided, if another would have sent the call again.
fn hint(status: &Status, method: &Method) -> Option<String> {
    let may_resend = may_resend(status, method.is_idempotent()) != Resend::No;
    let is_ours = status.address().is_some() && may_resend && !method.kind().streams_request();
    is_ours.then(|| "cluster = failfast".to_owned())
}
