//! `broadcast`: a call goes to every provider, once to each, and succeeds if enough of them do.
//!
//! Choose it for what every instance has to hear: to drop a cache, to reload a rule. Providers are
//! called in parallel, `concurrency` at a time, whatever the state of their connections; the call
//! ends when all have answered or its deadline has passed, and its reply is that of the first
//! success in the order of addresses. A provider that fails is not called again.
//!
//! What each provider answered is left in the `NodeReplies` of the invocation's extensions.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use rpc_core::{
    BoxInvoker, BuildContext, Delivery, Error, Extension, Invocation, Invoke, Method, NodeReplies,
    NodeResult, Reply, ReplyFuture, Status,
};
use serde::Deserialize;
use tokio::time::Instant;
use tower_layer::Layer;

use super::{ClusterPolicy, History, needs_one_message};
use crate::attempt::Attempt;
use crate::endpoint::Endpoint;
use crate::picker::Picker;

/// How many failures the status of a call lists, however many there were.
const MAX_LISTED: usize = 16;

/// The parameters of [`Broadcast`].
///
/// ```
/// use dubhe_cluster::policy::{Broadcast, BroadcastConfig};
///
/// // Half of the providers are enough; all are called nevertheless.
/// let half = BroadcastConfig { quorum: 50, ..BroadcastConfig::default() };
/// assert!(Broadcast::new(half).is_ok());
/// assert!(Broadcast::new(BroadcastConfig { quorum: 0, ..half }).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BroadcastConfig {
    /// Percentage of the providers that must succeed, 1 to 100; default 100.
    pub quorum: usize,
    /// Number of providers called at a time, at least 1; default 256.
    pub concurrency: usize,
}

impl Default for BroadcastConfig {
    fn default() -> Self {
        Self { quorum: 100, concurrency: 256 }
    }
}

/// Calls every provider.
#[derive(Debug, Clone, Copy, Default)]
pub struct Broadcast {
    config: BroadcastConfig,
}

impl Broadcast {
    /// A policy with these parameters.
    ///
    /// # Errors
    /// A quorum of 0 or more than 100 percent; a concurrency of 0.
    pub fn new(config: BroadcastConfig) -> Result<Self, Error> {
        let BroadcastConfig { quorum, concurrency } = config;
        if !(1..=100).contains(&quorum) {
            let text = format!("{quorum} is not a percentage: write 1 to 100");
            return Err(Error::invalid_config(text).in_parameter("quorum"));
        }
        if concurrency == 0 {
            let error = Error::invalid_config("0 calls no provider: write 1 or more");
            return Err(error.in_parameter("concurrency"));
        }
        Ok(Self { config })
    }
}

impl Extension<dyn ClusterPolicy> for Broadcast {
    const NAME: &'static str = "broadcast";
    type Config = BroadcastConfig;

    fn build(config: BroadcastConfig, _: &BuildContext) -> Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self::new(config)?))
    }
}

impl Layer<Picker> for Broadcast {
    type Service = BoxInvoker;

    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(BroadcastInvoker { picker, config: self.config })
    }
}

impl ClusterPolicy for Broadcast {
    fn check(&self, method: &Method) -> Result<(), Error> {
        needs_one_message(Self::NAME, method)
    }

    fn calls_everyone(&self) -> bool {
        true
    }
}

/// Sends calls to every provider.
struct BroadcastInvoker {
    picker: Picker,
    config: BroadcastConfig,
}

impl Invoke for BroadcastInvoker {
    fn invoke(&self, mut invocation: Invocation) -> ReplyFuture {
        let (picker, config) = (self.picker.clone(), self.config);
        Box::pin(async move {
            let (method, asker) =
                (invocation.method().clone(), invocation.extensions.remove::<NodeReplies>());
            let endpoints = match picker.ready(&invocation).await {
                Ok(()) => picker.everyone(&invocation),
                Err(status) => Err(status),
            };
            let endpoints = endpoints.map_err(|s| s.with_call(method.path().clone()))?;
            let replies = call_all(&picker, endpoints, &invocation, config.concurrency).await;
            let outcome = judge(&replies, &method, config.quorum);
            if let Some(asker) = asker {
                asker.put(replies.into_iter().map(|(node, _)| node).collect());
            }
            outcome
        })
    }
}

/// The outcome of the call at a provider, and how long it took there.
type Called = (NodeResult<Reply>, Duration);

/// In the order of `endpoints`.
async fn call_all(
    picker: &Picker,
    endpoints: Vec<Arc<Endpoint>>,
    invocation: &Invocation,
    concurrency: usize,
) -> Vec<Called> {
    let calls = endpoints.into_iter().enumerate().map(|(index, endpoint)| async move {
        let now = Instant::now();
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let invocation = invocation.clone();
        let attempt = Attempt { invocation, excluded: Vec::new(), number, now };
        let result = picker.attempt_at(&endpoint, attempt).await;
        (index, (NodeResult { address: endpoint.address().clone(), result }, now.elapsed()))
    });
    let mut called: Vec<(usize, Called)> =
        stream::iter(calls).buffer_unordered(concurrency).collect().await;
    called.sort_unstable_by_key(|(index, _)| *index);
    called.into_iter().map(|(_, called)| called).collect()
}

/// The reply of the first success, if enough have succeeded.
fn judge(called: &[Called], method: &Method, quorum: usize) -> Result<Reply, Status> {
    let all = called.len();
    let needed = (all * quorum).div_ceil(100).max(1);
    let succeeded = called.iter().filter(|(node, _)| node.result.is_ok()).count();
    if succeeded >= needed
        && let Some(reply) = called.iter().find_map(|(node, _)| node.result.as_ref().ok())
    {
        return Ok(reply.clone());
    }
    let mut history = History::new();
    let failures =
        called.iter().filter_map(|(node, took)| Some((node.result.as_ref().err()?, *took)));
    for (status, took) in failures.clone().take(MAX_LISTED) {
        history.add(status, took);
    }
    let statuses = failures.map(|(status, _)| status);
    let status = history.into_status(missed(statuses, all, needed), method, None);
    Err(status.with_verdict(format!("quorum = {quorum}")))
}

/// The status of a call that fewer than `needed` of `all` providers have taken.
fn missed<'a>(
    failures: impl Iterator<Item = &'a Status> + Clone,
    all: usize,
    needed: usize,
) -> Status {
    let failed = failures.clone().count();
    let first = failures.clone().next();
    let text = format!(
        "{} of {all} providers succeeded, {needed} have to; the first failure: {}",
        all - failed,
        first.map_or("none", Status::message)
    );
    let code = first.map_or(rpc_core::Code::Internal, Status::code);
    let is_unsent = |s: &Status| matches!(s.delivery(), Delivery::NotSent | Delivery::Refused);
    let has_run = failed < all || !failures.clone().all(is_unsent);
    let delivery = if has_run { Delivery::MaybeSent } else { Delivery::NotSent };
    let status = Status::new(code, text).with_delivery(delivery);
    match first.and_then(Status::details) {
        Some(details) => status.with_details(details.clone()),
        None => status,
    }
}
