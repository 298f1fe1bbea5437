//! Guides: one page for each thing that is done with Dubhe, beside the reference of its types.
//!
//! - [`tutorial`]: three crates, from an empty folder to a call through a registry
//! - [`testing`]: plain structs, mocks, a provider and a consumer in one test, paused time
//! - [`layers`]: middleware at three positions, tower's own layers, readiness, filters
//! - [`evolving`]: which changes of a contract old and new peers survive, and which are silent
//! - [`errors`]: what a failed call tells, typed errors, deadlines, when a call is sent again
//! - [`deployment`]: addresses, containers, the drain, limits of the system, the allocator
//! - [`observability`]: log lines, spans, metrics, trace context
//!
//! - [`configuration`]: every key, its default, and which source wins
//! - [`policies`]: what happens when an attempt of a call fails
//! - [`streams`]: methods that take or return many values
//! - [`extending`]: codecs, balancers, policies, routers, registries and filters of a program's own
//!
//! # Pages of the repository
//!
//! `docs/` in the repository has further pages: `reliability.md` (what callers may count on when things
//! fail), `balancers.md`, `wire.md` (frames and forms of messages), `guarantees.md` (each promise with
//! its test), `architecture.md`, and `adr/` (decisions).
//!
//! The guides are files there, too. Their code is compiled and run with the tests of the
//! documentation. Links between them are definitions: the first of a name counts, so those here, which
//! lead to modules, replace those of the files, which lead to files.

/// [testing]: crate::guide::testing
/// [errors]: crate::guide::errors
/// [layers]: crate::guide::layers
/// [evolving]: crate::guide::evolving
/// [deployment]: crate::guide::deployment
/// [observability]: crate::guide::observability
///
#[doc = include_str!("../../docs/guide/tutorial.md")]
pub mod tutorial {}

/// [layers-as-services]: crate::guide::layers#clients-and-policies-as-tower-services
/// [evolving-test]: crate::guide::evolving#test-it
///
#[doc = include_str!("../../docs/guide/testing.md")]
///
/// **Reference**: [`testing`](crate::testing), [`CallContext`](crate::CallContext),
/// [`Status`](crate::Status), [`Extensions::with_seed`](crate::Extensions::with_seed).
pub mod testing {}

/// [extending-a-filter]: crate::guide::extending#a-filter
///
#[doc = include_str!("../../docs/guide/layers.md")]
///
/// **Reference**: [`interceptor`](fn@crate::interceptor), [`Invocation`](crate::Invocation),
/// [`Reply`](crate::Reply), [`Invoker`](crate::Invoker), [`BoxInvoker`](crate::BoxInvoker),
/// [`Scope`](crate::Scope), [`Filter`](crate::extend::Filter), [`Invoke`](crate::extend::Invoke),
/// [`Picker`](crate::extend::Picker).
pub mod layers {}

#[doc = include_str!("../../docs/guide/evolving.md")]
///
/// **Reference**: [`service`](macro@crate::service), [`message`](macro@crate::message),
/// [`error`](macro@crate::error), [`extend::Message`](crate::extend::Message).
pub mod evolving {}

/// [policies]: crate::guide::policies
/// [access-log]: crate::guide::observability#access-log
///
#[doc = include_str!("../../docs/guide/errors.md")]
///
/// **Reference**: [`Status`](crate::Status), [`Code`](crate::Code), [`Delivery`](crate::Delivery),
/// [`AttemptLog`](crate::AttemptLog), [`CallOptions`](crate::CallOptions), [`Error`](crate::Error),
/// [`extend::may_resend`](crate::extend::may_resend), [`error`](macro@crate::error).
pub mod errors {}

/// [configuration]: crate::guide::configuration
/// [layers]: crate::guide::layers
/// [observability]: crate::guide::observability
///
#[doc = include_str!("../../docs/guide/deployment.md")]
///
/// **Reference**: [`Provider::run`](crate::Provider::run),
/// [`RunningProvider::shutdown`](crate::RunningProvider::shutdown),
/// [`DrainReport`](crate::DrainReport), [`embedded`](crate::embedded),
/// [`config`](crate::config).
pub mod deployment {}

#[doc = include_str!("../../docs/guide/observability.md")]
///
/// **Reference**: [`Metrics`](crate::Metrics), [`CallId`](crate::CallId),
/// [`TraceBridge`](crate::extend::TraceBridge), [`TraceContext`](crate::extend::TraceContext).
pub mod observability {}

/// [balancers]: crate::guide#pages-of-the-repository
/// [balancers-weights-and-warm-up]: crate::guide#pages-of-the-repository
/// [extending-a-filter]: crate::guide::extending#a-filter
/// [observability-access-log]: crate::guide::observability#access-log
/// [observability-trace-context]: crate::guide::observability#trace-context
/// [policies]: crate::guide::policies
/// [reliability-ejection]: crate::guide#pages-of-the-repository
/// [reliability-the-gate]: crate::guide#pages-of-the-repository
/// [streams]: crate::guide::streams
/// [streams-inside-a-process]: crate::guide::streams#inside-a-process
/// [wire-from-a-web-page]: crate::guide#pages-of-the-repository
/// [wire-limits]: crate::guide#pages-of-the-repository
/// [wire-shares]: crate::guide#pages-of-the-repository
///
#[doc = include_str!("../../docs/configuration.md")]
///
/// **Reference**: [`config`](crate::config), [`Config`](crate::config::Config), [`Sources`](crate::config::Sources).
pub mod configuration {}

/// [configuration]: crate::guide::configuration
/// [extending-a-cluster-policy]: crate::guide::extending#a-cluster-policy
/// [extending-clients-and-policies-as-tower-services]: crate::guide::extending#clients-and-policies-as-tower-services
/// [reliability-ejection]: crate::guide#pages-of-the-repository
/// [reliability-failures-of-a-dependency]: crate::guide#pages-of-the-repository
/// [reliability-overload]: crate::guide#pages-of-the-repository
/// [reliability-policies-and-balancers]: crate::guide#pages-of-the-repository
///
#[doc = include_str!("../../docs/policies.md")]
///
/// **Reference**: [`extend::ClusterPolicy`](crate::extend::ClusterPolicy), [`NodeResult`](crate::NodeResult),
/// [`Backlog`](crate::Backlog).
pub mod policies {}

/// [adr-0026]: crate::guide#pages-of-the-repository
///
#[doc = include_str!("../../docs/streams.md")]
///
/// **Reference**: [`Streaming`](crate::Streaming), [`StreamSender`](crate::StreamSender).
pub mod streams {}

/// [balancers]: crate::guide#pages-of-the-repository
/// [configuration-changes-while-a-program-runs]: crate::guide::configuration#changes-while-a-program-runs
/// [layers]: crate::guide::layers
/// [policies]: crate::guide::policies
///
#[doc = include_str!("../../docs/extending.md")]
///
/// **Reference**: [`Extensions`](crate::Extensions), [`extend`](crate::extend), [`Extension`](crate::Extension).
pub mod extending {}
