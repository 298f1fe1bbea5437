//! What a service is, as data that travels: every provider answers `dubhe.Describe/describe`.
//!
//! The description is made of the [`ServiceDescriptor`](rpc_core::descriptor::ServiceDescriptor)
//! that the macros write, so it cannot differ from what is served. Tools and
//! [`dynamic`](crate::Consumer::dynamic) calls work by it, without a stub. The service is served
//! beside those of the program and is in no registry: any peer that knows an instance can ask it,
//! also by `curl`. Another form of the same data, such as gRPC's reflection, finds its room beside
//! `serve.rs`.

mod ask;
mod collect;
mod contract;
mod difference;
mod proto;
mod serve;
mod types;

pub use self::ask::ToldEach;
pub use self::contract::Contract;
pub use self::difference::{
    BodyForm, BodyPart, ChangeKind, Difference, Effect, Finding, Peers, ReadOutcome, RolloutOrder,
    Severity,
};
pub use self::serve::DESCRIBE;
pub(crate) use self::serve::describing;
pub(crate) use self::types::fields;
pub use self::types::{
    CallKind, EnumDescription, EnumValue, FieldDescription, FieldLabel, GateDescription, GateKind,
    MessageDescription, MethodDescription, ServiceDescription, TypeDescription, TypeKind,
};
