//! Dubhe: Dubbo-style RPC for Rust. Annotate a trait, and it becomes a service that other
//! processes discover and call, with balancing and fault tolerance around every call.
//!
//! - [`service`], [`message`], [`error`]: the attributes that make the contract
//! - [`Provider`] serves, [`Consumer`] calls; both are set up by one [`config`]
//! - [`testing`]: a provider and a consumer for a test, apart from everything else
//! - [`Extensions`]: codecs, registries, balancers and policies of your own
//! - [`guide`]: how things are done, a page each
//!
//! Features: the codecs `protobuf`, `msgpack` and `json` (all on); `dns`, `etcd`, `nacos` and
//! `zookeeper`, the registries of these schemes; `store`, a registry server that keeps its data on
//! disk; `yaml`, rules of a config centre in YAML, which `etcd` and `zookeeper` switch on;
//! `uuid`, `chrono` and `serde_json`, by which `uuid::Uuid`, `DateTime<Utc>` and `TimeDelta` of
//! chrono, and `serde_json::Value` travel in messages.
//!
//! The README shows a first call; `docs/` has configuration, wire format and architecture.
//!
//! ```
//! use dubhe::prelude::*;
//!
//! #[dubhe::service]
//! trait Greeter {
//!     #[rpc(idempotent)]
//!     async fn hello(&self, name: String) -> Result<String>;
//! }
//!
//! struct Me;
//!
//! impl Greeter for Me {
//!     async fn hello(&self, name: String) -> Result<String> {
//!         Ok(format!("hi {name}"))
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! // `memory://` is a registry inside this process; `dev://` is one for this machine.
//! let provider = Provider::new("memory://shop").set("provider.port", 0).set("provider.notice", "0s");
//! let running = provider.serve(GreeterServer::new(Me)).start().await?;
//!
//! let greeter = GreeterClient::connect("memory://shop").await?;
//! assert_eq!(greeter.hello("bob".into()).await?, "hi bob");
//! running.shutdown().await;
//! # Ok(())
//! # }
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod address;
pub mod config;
mod consumer;
pub mod describe;
mod diagnose;
mod dynamic;
mod explain;
mod extensions;
pub mod guide;
mod handlers;
mod interceptor;
mod layers;
mod live;
mod local;
mod machine;
mod policy;
mod provider;
mod registered;
mod route;
mod rules;
mod serving;
mod setup;
mod signal;
pub mod testing;

pub use protocols::DrainReport;
pub use registry::ListedConsumer;
#[doc(hidden)]
pub use rpc_core::__private;
pub use rpc_core::client::{CallOptions, ServiceClient};
pub use rpc_core::message::{Element, Field};
pub use rpc_core::server::{CallContext, Handler};
pub use rpc_core::status::{AttemptFailure, Details};
pub use rpc_core::transport::TransportAddr;
pub use rpc_core::{
    AttemptLog, AttemptOutcome, AttemptRecord, Body, BoxInvoker, CallExtensions, CallId,
    ChannelState, Code, Codec, Codecs, Deadline, Delivery, Error, Extension, GateState, Instance,
    Invocation, Invoker, LostRegistry, Metadata, MetadataValue, Method, MethodKind, MethodMetrics,
    Metrics, NodeResult, ParseServiceKeyError, Peer, Reply, ReplyMetadata, RequestId, Result,
    ServiceKey, Source, Status, StreamSender, Streaming, Trouble,
};
pub use rpc_macros::{error, message, service};

pub use self::consumer::{Connect, Consumer, ConsumerBuilder};
pub use self::dynamic::DynamicClient;
pub use self::explain::{DisabledInstance, MethodExplanation, ServiceRules};
pub use self::extensions::{ExtensionKind, Extensions};
pub use self::interceptor::{Interceptor, interceptor};
pub use self::layers::Scope;
pub use self::provider::{Provider, RunningProvider};
pub use cluster::policy::Choice;
pub use cluster::{
    Backlog, DirectoryState, Dropped, EndpointHealth, ExplainedEndpoint, Explanation, HealthState,
    RouterStep,
};

/// The embedded registry's server, for programs that host one, and when such a program is to end.
pub mod embedded {
    pub use crate::signal::Signals;
    pub use registry::embedded::*;
}

/// A service as data: its methods, their types and field numbers, as
/// [`ServiceClient::DESCRIPTOR`] has them.
pub mod descriptor {
    pub use rpc_core::descriptor::{
        EnumType, FieldType, MakeFallback, MessageType, MethodDescriptor, ServiceDescriptor, Shape,
        Type, VariantType,
    };
}

/// What [`Consumer::diagnose`] sees, and looking whether one address can be reached.
pub mod diagnosis {
    pub use registry::{CheckResult, Diagnosis, reach};
}

/// The names that nearly every program needs: `use dubhe::prelude::*`.
pub mod prelude {
    pub use rpc_core::client::{CallOptions, ServiceClient};
    pub use rpc_core::server::CallContext;
    pub use rpc_core::{Code, Result, Status, Streaming};

    pub use crate::consumer::{Connect, Consumer};
    pub use crate::provider::Provider;
}

/// The contracts of extensions, and the types they are written in. [`guide::extending`] has an
/// example of each.
pub mod extend {
    pub use cluster::load_balance::LoadBalance;
    pub use cluster::policy::{
        Available, Broadcast, BroadcastConfig, Choice, ClusterPolicy, Failback, FailbackConfig,
        Failfast, Failover, FailoverConfig, Failsafe, Forking, ForkingConfig, History,
    };
    pub use cluster::router::{ChosenRouter, Router, RouterChain};
    pub use cluster::{
        Attempt, AttemptFuture, AttemptLayers, BacklogFull, Candidates, Directory,
        DirectoryOptions, EjectionConfig, EndedCall, Endpoint, EndpointFuture, EndpointState, Left,
        Load, Overrides, Picker, PickerParts, RetryBudget,
    };
    pub use registry::{
        Backend, ConfigCenter, ConfigSession, ConfigUpdates, ConfigValue, ConfigWatch, Demand,
        Host, Listing, OVERRIDES, Pace, Registration, Registry, RegistryParams, RegistryUrl,
        Session, Updates, supervise,
    };
    pub use rpc_core::amount;
    pub use rpc_core::client::{Arguments, ClientConfig, Plan, Stub, StubMethod};
    pub use rpc_core::codec::{Codec, CodecError, Exceeded, Limits, MAX_DEPTH};
    pub use rpc_core::message::{
        At, DecodeError, EnumSchema, FieldSchema, KeyMut, KeyRef, Message, Positions, Problem,
        Read, ReadScope, Reader, RecordSchema, TooDeep, Value, ValueKind, Variant, VariantSchema,
        Writer, json_mapping, read_with_serde, set_string, write_with_serde,
    };
    pub use rpc_core::protocol::{
        Accepted, Protocol, ProtocolClient, Protocols, ServeFuture, Sniff, Target,
    };
    pub use rpc_core::server::{
        Answer, CallGuard, Caller, ConnectionGuard, ConnectionShare, Dispatcher, LocalGuard,
        LocalServers, Phase, Reading, Route, ServerConfig, ServerState, shutting_down,
    };
    pub use rpc_core::status::{BoxError, Repeat, Resend, may_resend, may_resend_later};
    pub use rpc_core::transport::{
        AcceptedStream, BoxTransport, Dial, DialFuture, Listen, Transport,
    };
    pub use rpc_core::{
        BuildContext, Changes, Channel, Extension, ExtensionPoint, Filter, FilterScope, Invoke,
        Latest, LatestReader, LatestRef, MessageSource, Messages, NoConfig, NoLater, NodeReplies,
        Params, Position, ReplyFuture, Snapshot, Subscription, Tally, TraceBridge, TraceContext,
    };
}
