//! What each provider answered to a call that went to all of them.
//!
//! A broadcast is a call like any other until it reaches the cluster's policy; the policy leaves
//! the answers in the [`NodeReplies`] of the invocation, for callers that want more than one reply.

use std::sync::{Arc, Mutex, PoisonError};

use crate::reply::Reply;
use crate::status::Status;

/// The outcome of a call at one provider.
///
/// ```
/// use rpc_core::{NodeResult, Status};
///
/// fn failed(nodes: &[NodeResult<u32>]) -> Vec<String> {
///     let failures = nodes.iter().filter_map(|node| Some((node, node.result.as_ref().err()?)));
///     failures.map(|(node, why)| format!("{}: {why}", node.address)).collect()
/// }
///
/// let nodes = [
///     NodeResult { address: "a:1".into(), result: Ok(7) },
///     NodeResult { address: "b:1".into(), result: Err(Status::unavailable("it drains")) },
/// ];
/// assert_eq!(failed(&nodes), ["b:1: unavailable: it drains"]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NodeResult<T, E = Status> {
    /// The provider, as `host:port`.
    pub address: Arc<str>,
    /// The provider's answer, or the failure of the call there.
    pub result: Result<T, E>,
}

impl<T, E> NodeResult<T, E> {
    /// Converts the error of the result.
    pub fn map_err<F>(self, into: impl FnOnce(E) -> F) -> NodeResult<T, F> {
        NodeResult { address: self.address, result: self.result.map_err(into) }
    }
}

/// The place where a broadcast stores the answer of each provider; clones share it.
#[derive(Debug, Clone, Default)]
pub struct NodeReplies(Arc<Mutex<Option<Vec<NodeResult<Reply>>>>>);

impl NodeReplies {
    /// Stores the answers, in place of earlier ones.
    pub fn put(&self, replies: Vec<NodeResult<Reply>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(replies);
    }

    /// Takes the answers; `None` if the call never reached a provider.
    #[must_use]
    pub fn take(&self) -> Option<Vec<NodeResult<Reply>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
