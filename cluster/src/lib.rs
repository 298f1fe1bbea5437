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
pub use self::directory::{Directory, DirectoryOptions, DirectoryState, Overrides};
pub use self::endpoint::ejection::{EjectionConfig, EndpointHealth, HealthState};
pub use self::endpoint::{
    AttemptLayers, DEFAULT_WARMUP, EndedCall, Endpoint, EndpointFuture, EndpointState, Load,
    WARMUP, warmed_weight,
};
pub use self::explain::{Dropped, ExplainedEndpoint, Explanation, RouterStep};
pub use self::picker::{Left, Picker, PickerParts};
