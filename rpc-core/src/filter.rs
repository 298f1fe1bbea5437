//! Filters: layers around calls that configuration chooses by name.

use std::fmt;

use crate::discovery::Instance;
use crate::invoker::BoxInvoker;
use crate::method::Method;
use crate::service_key::ServiceKey;

/// A layer around calls, made once for each setting that chooses it and each service it is for. What
/// it keeps in itself is shared by all that it wraps: a limit of 100 is one for the service, unless
/// `wrap` makes a new one for each method, or each instance.
#[diagnostic::on_unimplemented(note = "a filter implements `Debug` and `Filter::wrap`")]
pub trait Filter: fmt::Debug + Send + Sync + 'static {
    /// What is called in place of `inner`: a layer of any kind around it, as in
    /// `BoxInvoker::new(layer.layer(inner))`. Asked for each method, at the position *attempt* for each instance;
    /// asked again when the settings of a call change, so it keeps in itself what must last.
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
