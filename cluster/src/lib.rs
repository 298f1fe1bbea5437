//! From a list of instances to one chosen provider, and what to do when it fails.
//!
//! A call passes: [`ClusterPolicy`](policy::ClusterPolicy) (what to do on failure), a tower layer
//! over the [`Picker`], which takes the candidates of the [`Directory`], narrows them by its
//! [`RouterChain`](router::RouterChain), lets a [`LoadBalance`](load_balance::LoadBalance) select
//! one [`Endpoint`], and sends the call there.
//!
//! This crate never encodes, never opens a socket and never talks to a registry: it is given
//! snapshots, and channels by a [`Connector`](rpc_core::Connector). The first attempt of a call
//! costs one allocation, takes no lock and does nothing proportional to the number of instances,
//! unless a router, a balancer or its weights ask for it.
//!
//! Balancers, policies and routers are extensions: one type that implements the role
//! ([`LoadBalance`](load_balance::LoadBalance), [`ClusterPolicy`](policy::ClusterPolicy),
//! [`Router`](router::Router)) and [`Extension`](rpc_core::Extension), and one line in the `builtin()`
//! beside the role. A program outside of this crate adds its own to a consumer instead.
//!
//! # Example
//!
//! The facade assembles these parts from configuration. By hand, and with a network that is a match
//! on the address:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use dubhe_cluster::load_balance::RoundRobin;
//! use dubhe_cluster::policy::Failover;
//! use dubhe_cluster::router::RouterChain;
//! use dubhe_cluster::{
//!     Backlog, Directory, DirectoryOptions, Picker, PickerParts, RetryBudget,
//! };
//! use rpc_core::message::Returned;
//! use rpc_core::{
//!     Body, Changes, Channel, ChannelState, Connector, Deadline, Delivery, Instance, Invocation,
//!     Invoke, Method, MethodKind, Reply, ReplyFuture, ServiceKey, Snapshot, Source, Status,
//!     Subscription,
//! };
//! use tower_layer::Layer;
//!
//! /// A connection to a provider that answers 7, except at `a:1`, where nothing listens.
//! #[derive(Debug)]
//! struct Line(Arc<str>);
//!
//! impl Invoke for Line {
//!     fn invoke(&self, _: Invocation) -> ReplyFuture {
//!         let answer = match &*self.0 {
//!             "a:1" => Err(Status::unavailable("refused").with_delivery(Delivery::NotSent)),
//!             _ => Ok(Reply::new(Returned(7_u64))),
//!         };
//!         Box::pin(async { answer })
//!     }
//! }
//!
//! impl Channel for Line {
//!     fn address(&self) -> &Arc<str> {
//!         &self.0
//!     }
//!
//!     fn state(&self) -> ChannelState {
//!         ChannelState::Ready
//!     }
//!
//!     fn report_to(&self, _: &Changes) {}
//! }
//!
//! #[derive(Debug)]
//! struct Net;
//!
//! impl Connector for Net {
//!     fn channel(&self, instance: &Instance) -> Arc<dyn Channel> {
//!         Arc::new(Line(instance.address.clone()))
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stock = ServiceKey::new("shop.Stock");
//! let listed = ["a:1", "b:1"].map(|address| Instance::new(stock.clone(), address, "start-1"));
//! let list = Snapshot::new(listed.to_vec(), Source::Live);
//! // The sender is what a registry holds, to push further lists.
//! let (_registry, snapshots) = rpc_core::Latest::channel(list);
//! let subscription = Subscription::new(snapshots, ());
//! let options = DirectoryOptions::default();
//! let directory = Directory::follow(stock.clone(), subscription, Arc::new(Net), options);
//!
//! let backlog = Arc::new(Backlog::default());
//! let picker = Picker::new(PickerParts {
//!     directory: Arc::new(directory),
//!     routers: RouterChain::default(),
//!     balancer: Arc::new(RoundRobin::new()),
//!     budget: Arc::new(RetryBudget::default()),
//!     backlog: backlog.clone(),
//!     seed: None,
//! });
//! let stock_calls = Failover::default().layer(picker);
//!
//! let count = Arc::new(Method::new(stock, "count", MethodKind::Unary, true));
//! for _ in 0..2 {
//!     let deadline = Deadline::after(Duration::from_secs(1));
//!     let call = Invocation::new(count.clone(), Body::typed(Returned(1_u64)), deadline);
//!     // Whichever of the two is asked first, the call succeeds.
//!     let reply = stock_calls.invoke(call).await?;
//!     assert_eq!(reply.body.into_message::<Returned<u64>>()?.0, 7);
//! }
//! # Ok(())
//! # }
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod attempt;
mod backlog;
mod budget;
mod candidates;
mod dice;
mod directory;
mod endpoint;
mod explain;
pub mod load_balance;
mod picker;
pub mod policy;
pub mod router;
mod shortlist;

pub use self::attempt::{Attempt, AttemptFuture};
pub use self::backlog::{Backlog, BacklogFull};
pub use self::budget::RetryBudget;
pub use self::candidates::Candidates;
pub use self::directory::{
    DISABLED, Directory, DirectoryOptions, DirectoryState, Overrides, publishes_disabled,
};
pub use self::endpoint::ejection::{EjectionConfig, EndpointHealth, HealthState};
pub use self::endpoint::{
    AttemptLayers, DEFAULT_WARMUP, EndedCall, Endpoint, EndpointFuture, EndpointState, Load,
    WARMUP, warmed_weight,
};
pub use self::explain::{Dropped, ExplainedEndpoint, Explanation, RouterStep};
pub use self::picker::{Left, Picker, PickerParts};
