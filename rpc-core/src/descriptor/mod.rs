//! A service as data: its methods, their types and field numbers. Written by the macros, read by
//! stubs, dispatchers, tools and the `.proto` printer.
//!
//! Types are functions, not values, because a descriptor may belong to a generic service and types
//! may refer to themselves.

mod fallback;
mod proto;
mod signature;
mod types;

use std::time::Duration;

pub use self::fallback::{MakeFallback, make_fallback};
pub use self::proto::{ProtoField, ProtoFile, ProtoMethod, ProtoType, proto_name};
pub use self::signature::{ArgumentType, Signature};
pub use self::types::{EnumType, FieldType, MessageType, Shape, Type, VariantType};
use crate::error::Error;
use crate::method::MethodKind;
use crate::reply::Reply;

/// What `#[dubhe::service]` knows of a trait.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ServiceDescriptor {
    /// Interface name on the wire, such as `shop.Inventory`.
    pub interface: &'static str,
    /// Group, or the empty string.
    pub group: &'static str,
    /// Version, or the empty string.
    pub version: &'static str,
    /// The trait's doc comment.
    pub doc: &'static str,
    /// Its methods in the order of declaration; a method's place is its index.
    pub methods: &'static [MethodDescriptor],
}

/// What `#[dubhe::service]` knows of a method.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MethodDescriptor {
    /// Name on the wire.
    pub name: &'static str,
    /// The method's doc comment.
    pub doc: &'static str,
    /// How many messages go in each direction.
    pub kind: MethodKind,
    /// Whether running it twice does no harm.
    pub idempotent: bool,
    /// Timeout from the attribute.
    pub timeout: Option<Duration>,
    /// Retries from the attribute.
    pub retries: Option<u32>,
    /// Name of the cluster policy from the attribute.
    pub cluster: Option<&'static str>,
    /// The answer in place of a failure, as JSON text, for failsafe and failback.
    pub fallback: Option<&'static str>,
    /// Makes that answer, or the empty value without one.
    pub make_fallback: MakeFallback,
    /// The message its arguments form.
    pub arguments: fn() -> MessageType,
    /// Its arguments one by one, and what it returns; `None` if the descriptor does not say.
    pub signature: Option<Signature>,
    /// The message its reply forms.
    pub reply: fn() -> MessageType,
    /// The typed business error, if it has one.
    pub error: Option<fn() -> MessageType>,
}

impl ServiceDescriptor {
    /// A descriptor without group, version and doc.
    #[must_use]
    pub const fn new(interface: &'static str, methods: &'static [MethodDescriptor]) -> Self {
        Self { interface, group: "", version: "", doc: "", methods }
    }

    /// Sets the group; the empty string means none.
    #[must_use]
    pub const fn group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// Sets the version; the empty string means none.
    #[must_use]
    pub const fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// Sets the doc comment.
    #[must_use]
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }
}

impl MethodDescriptor {
    /// A unary method that is not idempotent and has no settings of its own.
    #[must_use]
    pub const fn new(
        name: &'static str,
        arguments: fn() -> MessageType,
        reply: fn() -> MessageType,
    ) -> Self {
        Self {
            name,
            doc: "",
            kind: MethodKind::Unary,
            idempotent: false,
            timeout: None,
            retries: None,
            cluster: None,
            fallback: None,
            make_fallback: |_| Ok(None),
            arguments,
            signature: None,
            reply,
            error: None,
        }
    }

    /// Sets the doc comment.
    #[must_use]
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// Sets its arguments one by one, and what it returns.
    #[must_use]
    pub const fn signature(mut self, signature: Signature) -> Self {
        self.signature = Some(signature);
        self
    }

    /// Sets the kind.
    #[must_use]
    pub const fn kind(mut self, kind: MethodKind) -> Self {
        self.kind = kind;
        self
    }

    /// Marks it as idempotent: running it twice does no harm.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Sets the timeout.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the number of retries.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Sets the cluster policy, by name.
    #[must_use]
    pub const fn cluster(mut self, cluster: &'static str) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// Sets the answer in place of a failure, as JSON text.
    #[must_use]
    pub const fn fallback(mut self, fallback: &'static str) -> Self {
        self.fallback = Some(fallback);
        self
    }

    /// Sets the function that makes the answer in place of a failure.
    #[must_use]
    pub const fn make_fallback(mut self, make_fallback: MakeFallback) -> Self {
        self.make_fallback = make_fallback;
        self
    }

    /// What the method may answer in place of a failure: its fallback, else the empty value of
    /// what it returns, if that has one.
    ///
    /// # Errors
    /// The fallback is not JSON, or does not fit what the method returns.
    pub fn fallback_reply(&self) -> Result<Option<Reply>, Error> {
        (self.make_fallback)(self.fallback).map_err(|error| {
            let (name, fallback) = (self.name, self.fallback.unwrap_or_default());
            Error::invalid_config(format!(
                "fallback = {fallback:?} of `{name}` does not fit what the method returns: {error}"
            ))
        })
    }

    /// Sets the typed business error, or removes it.
    #[must_use]
    pub const fn error(mut self, error: Option<fn() -> MessageType>) -> Self {
        self.error = error;
        self
    }
}
