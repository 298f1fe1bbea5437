//! Filters: layers around calls that configuration chooses by name.

use std::fmt;

use crate::discovery::Instance;
use crate::invoker::BoxInvoker;
use crate::method::Method;
use crate::service_key::ServiceKey;

/// A layer around calls that configuration chooses by name.
///
/// One is made for each setting that chooses it and each service it is for. The state that it holds is
/// shared by everything that it wraps: a limit of 100 is one limit for the service, unless `wrap` makes
/// a new one for each method, or each instance.
///
/// ```
/// use rpc_core::{BoxInvoker, Filter, FilterScope, Invocation, Invoke, Position, ReplyFuture};
///
/// /// Tells providers where an attempt comes from.
/// #[derive(Debug)]
/// struct Origin(String);
///
/// impl Filter for Origin {
///     fn wrap(&self, scope: &FilterScope<'_>, inner: BoxInvoker) -> BoxInvoker {
///         if scope.position != Position::Attempt {
///             return inner;
///         }
///         BoxInvoker::from_invoke(WithOrigin(self.0.clone(), inner))
///     }
/// }
///
/// struct WithOrigin(String, BoxInvoker);
///
/// impl Invoke for WithOrigin {
///     fn invoke(&self, mut call: Invocation) -> ReplyFuture {
///         call.metadata.insert("origin", self.0.clone());
///         self.1.invoke(call)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(note = "a filter implements `Debug` and `Filter::wrap`")]
pub trait Filter: fmt::Debug + Send + Sync + 'static {
    /// Returns what is called in place of `inner`: a layer of any kind around it, as in
    /// `BoxInvoker::new(layer.layer(inner))`. Called for each method, or at the position *attempt* for
    /// each instance, and again when the settings of a call change; state that must last belongs into
    /// the filter itself.
    fn wrap(&self, scope: &FilterScope<'_>, inner: BoxInvoker) -> BoxInvoker;
}

/// The position of a filter or a layer in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Position {
    /// Once for each call that a consumer makes, around its cluster policy.
    Call,
    /// Once for each instance that a call is sent to.
    Attempt,
    /// Around each handler.
    Provider,
}

/// The scope of one layer of a filter.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct FilterScope<'a> {
    /// The position at which it runs.
    pub position: Position,
    /// The service whose calls pass.
    pub service: &'a ServiceKey,
    /// The method, if calls of one alone pass; `None` at the position *attempt*.
    pub method: Option<&'a Method>,
    /// The instance, at the position *attempt*.
    pub instance: Option<&'a Instance>,
}

impl<'a> FilterScope<'a> {
    /// Around the calls of `method`, on the consumer's side.
    #[must_use]
    pub fn of_calls(method: &'a Method) -> Self {
        let service = method.service();
        Self { position: Position::Call, service, method: Some(method), instance: None }
    }

    /// Around the attempts at `instance`.
    #[must_use]
    pub const fn of_attempts(instance: &'a Instance) -> Self {
        let (position, service) = (Position::Attempt, &instance.service);
        Self { position, service, method: None, instance: Some(instance) }
    }

    /// Around the handler of `method`.
    #[must_use]
    pub fn of_handler(method: &'a Method) -> Self {
        Self { position: Position::Provider, ..Self::of_calls(method) }
    }
}
