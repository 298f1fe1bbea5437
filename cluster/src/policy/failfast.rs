//! `failfast`: one attempt, whatever comes of it.
//!
//! Choose it where a late answer is worth less than a quick failure, or where the caller has a
//! better idea than another try. Costs nothing over the attempt.

use std::sync::Arc;

use rpc_core::status::{Repeat, Resend, may_resend};
use rpc_core::{
    BoxInvoker, BuildContext, Error, Extension, Invocation, Invoke, Method, NoConfig, ReplyFuture,
    Status,
};
use tokio::time::Instant;
use tower_layer::Layer;

use super::{ClusterPolicy, History};
use crate::attempt::Attempt;
use crate::picker::Picker;

/// Makes one attempt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Failfast;

impl Extension<dyn ClusterPolicy> for Failfast {
    const NAME: &'static str = "failfast";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Layer<Picker> for Failfast {
    type Service = BoxInvoker;

    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(FailfastInvoker(picker))
    }
}

impl ClusterPolicy for Failfast {}

/// Sends calls once.
struct FailfastInvoker(Picker);

impl Invoke for FailfastInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let started = Instant::now();
        let (method, repeat) = (invocation.method().clone(), Repeat::from(&invocation));
        let attempt = self.0.attempt(Attempt::first(invocation, started));
        Box::pin(async move {
            attempt.await.map_err(|status| {
                let mut history = History::new();
                history.add(&status, started.elapsed());
                let hint = hint(&status, &method, repeat);
                history.into_status(status, &method, hint)
            })
        })
    }
}

/// It was the policy that decided, if another would have sent the call again.
fn hint(status: &Status, method: &Method, repeat: Repeat) -> Option<String> {
    let may_resend = may_resend(status, repeat) != Resend::No;
    let is_ours = status.address().is_some() && may_resend && !method.kind().streams_request();
    is_ours.then(|| "cluster = failfast".to_owned())
}
