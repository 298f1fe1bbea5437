//! The ground floor of Dubhe: the nouns of a call, the contracts between its parts, and the wire.
//!
//! This crate knows no concrete codec, registry or policy, reads no file and no environment. What
//! is where:
//!
//! - a call: [`Invocation`], [`Body`], [`Metadata`], [`Deadline`], [`Reply`], [`Status`]
//! - what is called: [`ServiceKey`], [`Method`], [`descriptor`]
//! - contracts: [`Invoker`], [`Codec`], [`Extension`], [`Message`](message::Message),
//!   [`Handler`](server::Handler)
//! - discovery's nouns: [`Instance`], [`Snapshot`], [`Subscription`], and [`Latest`], the channel in which lists come

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod access_log;
pub mod amount;
mod attempts;
mod backoff;
mod body;
mod broadcast;
mod build_context;
mod call_extensions;
mod changes;
mod channel;
pub mod client;
pub mod codec;
mod deadline;
mod decode_limits;
mod default_timeout;
pub mod descriptor;
mod discovery;
mod error;
mod extension;
mod filter;
mod invocation;
mod invoker;
mod latest;
pub mod message;
mod metadata;
mod method;
mod metrics;
pub mod panics;
mod peer;
mod port;
pub mod protocol;
mod reply;
pub mod runtime;
pub mod server;
mod service_key;
pub mod settings;
pub mod status;
mod stream;
pub mod trace;
mod trail;
pub mod transport;
mod turns;
mod waiters;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use self::access_log::AccessLog;
pub use self::attempts::{AttemptLog, AttemptOutcome, AttemptRecord};
pub use self::backoff::Backoff;
pub use self::body::Body;
pub use self::broadcast::{NodeReplies, NodeResult};
pub use self::build_context::BuildContext;
pub use self::call_extensions::CallExtensions;
pub use self::changes::{Changes, Listeners};
pub use self::channel::{Channel, ChannelState, Connector};
pub use self::codec::{Codec, Codecs};
pub use self::deadline::Deadline;
pub use self::discovery::{
    Held, Instance, InstancePool, LostRegistry, Snapshot, Source, Subscription, Trouble, WeakPool,
    ZONE, hold,
};
pub use self::error::{Error, nearest, nearest_service};
pub use self::extension::{Extension, ExtensionPoint, NoConfig, Params};
pub use self::filter::{Filter, FilterScope, Position};
pub use self::invocation::Invocation;
pub use self::invoker::{BoxInvoker, Invoke, Invoker, ReplyFuture};
pub use self::latest::{Latest, LatestReader, LatestRef, NoLater};
pub use self::metadata::{Metadata, MetadataValue};
pub use self::method::{Method, MethodKind};
pub use self::metrics::{GateState, MethodMetrics, Metrics, Tally};
pub use self::peer::Peer;
pub use self::port::{Acceptor, Port};
pub use self::protocol::{Protocol, Protocols};
pub use self::reply::{Reply, ReplyMetadata};
pub use self::service_key::{ParseServiceKeyError, ServiceKey};
pub use self::status::{Code, Delivery, Status};
pub use self::stream::{MessageSource, Messages, StreamSender, Streaming};
pub use self::trace::{TraceBridge, TraceContext, TraceForwarding};
pub use self::trail::{CallId, RequestId, SentAs, Trail};
pub use self::turns::Turns;

/// The outcome of a call: a value, or the status it failed with.
pub type Result<T, E = Status> = std::result::Result<T, E>;
