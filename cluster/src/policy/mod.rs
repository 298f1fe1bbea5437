//! Cluster policies: what to do when an attempt fails.
//!
//! A policy is a tower [`Layer`] over the [`Picker`]: what comes out is the cluster invoker, a
//! service of invocations. So it is chosen by name, or put into a `ServiceBuilder` by a program.
//! [`rpc_core::status::may_resend`] and [`may_resend_later`](rpc_core::status::may_resend_later) alone
//! decide whether a call may be sent again; policies add limits, the budget and the deadline.

mod available;
mod broadcast;
mod failback;
mod failfast;
mod failover;
mod failsafe;
mod forking;
mod hedge;
mod history;
mod log_throttle;

use std::fmt;
use std::sync::Arc;

use rpc_core::{BoxInvoker, Error, ExtensionPoint, Method};
use tower_layer::Layer;

pub use self::available::Available;
pub use self::broadcast::{Broadcast, BroadcastConfig};
pub use self::failback::{Failback, FailbackConfig};
pub use self::failfast::Failfast;
pub use self::failover::{Failover, FailoverConfig};
pub use self::failsafe::Failsafe;
pub use self::forking::{Forking, ForkingConfig};
pub use self::history::History;
use crate::picker::Picker;

/// How many instances one call tries before it gives up, however many there are.
const MAX_TRIED: usize = 64;

/// What to do when an attempt fails: a tower layer that sends calls through a [`Picker`].
///
/// A policy starts attempts by [`Picker::attempt`] and asks [`rpc_core::status::may_resend`] after
/// each failure. It keeps three promises, which the contract tests check: no attempt starts after the
/// deadline, a call that may have run is sent again only if its method is idempotent, and dropping the
/// call cancels its attempts.
///
/// ```
/// use dubhe_cluster::policy::ClusterPolicy;
/// use dubhe_cluster::{Attempt, Picker};
/// use rpc_core::status::{Resend, may_resend};
/// use rpc_core::{BoxInvoker, Invocation, Invoke, ReplyFuture};
/// use tokio::time::Instant;
/// use tower_layer::Layer;
///
/// /// Sends a call that certainly did not run once more, elsewhere.
/// #[derive(Debug)]
/// struct Twice;
///
/// impl Layer<Picker> for Twice {
///     type Service = BoxInvoker;
///
///     fn layer(&self, picker: Picker) -> BoxInvoker {
///         BoxInvoker::from_invoke(TwiceInvoker(picker))
///     }
/// }
///
/// impl ClusterPolicy for Twice {}
///
/// struct TwiceInvoker(Picker);
///
/// impl Invoke for TwiceInvoker {
///     fn invoke(&self, call: Invocation) -> ReplyFuture {
///         let picker = self.0.clone();
///         Box::pin(async move {
///             let mut attempt = Attempt::first(call, Instant::now());
///             match picker.attempt(attempt.clone()).await {
///                 Err(failed) if may_resend(&failed, &attempt.invocation) == Resend::Free => {
///                     attempt.excluded.extend(failed.address().map(Into::into));
///                     attempt.number = 2;
///                     attempt.now = Instant::now();
///                     picker.attempt(attempt).await
///                 }
///                 done => done,
///             }
///         })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    note = "a policy implements `Debug`, `tower_layer::Layer<Picker, Service = BoxInvoker>` and \
            `ClusterPolicy`"
)]
pub trait ClusterPolicy:
    Layer<Picker, Service = BoxInvoker> + fmt::Debug + Send + Sync + 'static
{
    /// Checks that it can serve calls of `method`. Called when a client is made, before any call.
    /// Accepts every method by default.
    ///
    /// # Errors
    /// What the method lacks, naming it, and the remedy.
    #[allow(unused_variables, reason = "the names are for who reads and who implements it")]
    fn check(&self, method: &Method) -> Result<(), Error> {
        Ok(())
    }

    /// Whether it sends a call to every provider; `false` by default.
    ///
    /// For a method that is not idempotent, such a policy must be chosen for the method or its service
    /// explicitly, because every other policy runs a call at most once. It also serves
    /// `client.broadcast()`, so it stores each provider's answer in the
    /// [`NodeReplies`](rpc_core::NodeReplies) of the invocation's extensions.
    fn calls_everyone(&self) -> bool {
        false
    }

    /// The endpoints that a call is sent to, for tools to show; changes no call. The default: all of
    /// them if it [calls everyone](Self::calls_everyone), otherwise one that the balancer selects.
    fn choice(&self) -> Choice {
        if self.calls_everyone() { Choice::Everyone } else { Choice::Balanced }
    }

    /// Returns this policy with the `retries` that are set beside its name; `None`, the default, if it
    /// has no such parameter.
    #[allow(unused_variables, reason = "the names are for who reads and who implements it")]
    fn with_retries(&self, retries: u32) -> Option<Arc<dyn ClusterPolicy>> {
        None
    }
}

/// The endpoints that a policy sends a call to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// Candidates that the balancer selects.
    Balanced,
    /// The first candidate in the order of addresses; nothing is compared.
    First,
    /// Every endpoint that routers leave, whatever its connection, health and weight.
    Everyone,
}

/// The policies that come with Dubhe.
///
/// ```
/// let names: Vec<_> = dubhe_cluster::policy::builtin().names().collect();
/// let seven = "available broadcast failback failfast failover failsafe forking";
/// assert_eq!(names.join(" "), seven);
/// ```
///
/// Each is built from its parameters, which configuration writes beside the name, as in
/// `cluster = { name = "forking", forks = 3 }`:
///
/// ```
/// let policies = dubhe_cluster::policy::builtin();
/// let build = |name, params: serde_json::Value| {
///     policies.build(name, params.as_object().cloned().unwrap_or_default())
/// };
/// assert!(build("forking", serde_json::json!({ "forks": 3 })).is_ok());
///
/// let unknown = build("forking", serde_json::json!({ "fork": 3 })).unwrap_err().to_string();
/// assert!(unknown.contains("forks"), "{unknown}");
/// let impossible = build("forking", serde_json::json!({ "forks": 0 })).unwrap_err().to_string();
/// assert!(impossible.contains("0 asks no provider"), "{impossible}");
/// ```
#[must_use]
pub fn builtin() -> ExtensionPoint<dyn ClusterPolicy> {
    ExtensionPoint::new("cluster")
        .with::<Available>()
        .with::<Broadcast>()
        .with::<Failback>()
        .with::<Failfast>()
        .with::<Failover>()
        .with::<Failsafe>()
        .with::<Forking>()
}

/// The check of policies that send a call to several, or later: what streams can be read once.
fn needs_one_message(policy: &str, method: &Method) -> Result<(), Error> {
    if !method.kind().is_streaming() {
        return Ok(());
    }
    Err(Error::invalid_config(format!(
        "`{policy}` cannot make calls of {}, which is {}: a stream goes to one provider, and once; \
         choose another policy for this method, such as failover",
        method.path(),
        method.kind()
    )))
}

/// The check of policies that answer in place of a failure.
fn needs_fallback(policy: &str, method: &Method) -> Result<(), Error> {
    if method.fallback().is_some() {
        return Ok(());
    }
    Err(Error::invalid_config(format!(
        "`{policy}` has nothing to answer in place of a failure of {}, which returns neither `()`, \
         an `Option` nor a collection: add `#[rpc(fallback = \"…\")]` with the answer as JSON to \
         it, or choose another policy for this method",
        method.path()
    )))
}
