//! A program's own tower layers, at the three positions around a call.
//!
//! *call* runs once for each call a consumer makes, *attempt* once for each provider it is sent
//! to, *provider* around each handler. A layer is for everything, or has a [`Scope`].

use std::fmt;
use std::sync::Arc;

use rpc_core::server::within_layer;
use rpc_core::{
    BoxInvoker, Error, Instance, Invocation, Invoke, Invoker, ReplyFuture, ServiceKey,
    nearest_service,
};
use tower_layer::Layer;

/// The scope of a layer: one service, or one method of it.
///
/// Made from a name, `"shop.Inventory"`, or from two, `("shop.Inventory", "reserve")`. The service
/// is named by its interface, which means every group and version, or by its whole key; the method
/// by its name on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    service: String,
    method: Option<String>,
}

impl From<&str> for Scope {
    fn from(service: &str) -> Self {
        Self { service: service.to_owned(), method: None }
    }
}

impl From<(&str, &str)> for Scope {
    fn from((service, method): (&str, &str)) -> Self {
        Self { service: service.to_owned(), method: Some(method.to_owned()) }
    }
}

impl Scope {
    fn has(&self, service: &ServiceKey) -> bool {
        self.service == service.as_str() || self.service == service.interface()
    }

    /// Whether `service`, if it is meant, has the method that is meant.
    fn check<'a>(
        &self,
        service: &ServiceKey,
        methods: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let Some(method) = self.method.as_deref().filter(|_| self.has(service)) else {
            return Ok(());
        };
        let known: Vec<&str> = methods.into_iter().collect();
        match known.contains(&method) {
            true => Ok(()),
            false => {
                let kind = format!("method of {service} in the scope of a layer");
                Err(Error::unknown_name(&kind, method, known))
            }
        }
    }
}

// === impl Layers ===

/// `None` where calls go to no single instance.
type Wrap = Arc<dyn Fn(Option<&Instance>, BoxInvoker) -> BoxInvoker + Send + Sync>;

/// Layers of one position, the first outermost; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Layers(Vec<(Option<Scope>, Wrap)>);

impl Layers {
    /// Adds a layer inside those there are.
    pub(crate) fn push<L>(&mut self, scope: Option<Scope>, layer: L)
    where
        L: Layer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.0.push((scope, Arc::new(move |_, inner| BoxInvoker::new(layer.layer(inner)))));
    }

    /// Adds layers that `make` makes for each instance, inside those there are.
    pub(crate) fn push_with<L>(&mut self, make: impl Fn(&Instance) -> L + Send + Sync + 'static)
    where
        L: Layer<BoxInvoker, Service: Invoker>,
    {
        let wrap = move |instance: Option<&Instance>, inner| match instance {
            Some(instance) => BoxInvoker::new(make(instance).layer(inner)),
            None => inner,
        };
        self.0.push((None, Arc::new(wrap)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is for `service`.
    pub(crate) fn has(&self, service: &ServiceKey) -> bool {
        self.0.iter().any(|(scope, _)| scope.as_ref().is_none_or(|scope| scope.has(service)))
    }

    /// Puts those around `inner` that are for `service`, at a position of the consumer.
    pub(crate) fn apply(&self, service: &ServiceKey, inner: BoxInvoker) -> BoxInvoker {
        self.fold(service, inner, |wrap, inner| wrap(None, inner))
    }

    /// Puts those around attempts at `instance` that are for its service.
    pub(crate) fn apply_at(&self, instance: &Instance, inner: BoxInvoker) -> BoxInvoker {
        self.fold(&instance.service, inner, |wrap, inner| wrap(Some(instance), inner))
    }

    /// Applies the layers around a handler: inside of a layer the call is as the layer left it.
    pub(crate) fn apply_to_handler(&self, service: &ServiceKey, handler: BoxInvoker) -> BoxInvoker {
        self.fold(service, handler, |wrap, inner| wrap(None, within_layer(inner)))
    }

    fn fold(
        &self,
        service: &ServiceKey,
        inner: BoxInvoker,
        put: impl Fn(&Wrap, BoxInvoker) -> BoxInvoker,
    ) -> BoxInvoker {
        self.0.iter().rev().fold(inner, |inner, (scope, wrap)| match scope {
            None => put(wrap, inner),
            Some(scope) if !scope.has(service) => inner,
            Some(Scope { method: None, .. }) => put(wrap, inner),
            Some(Scope { method: Some(method), .. }) => {
                let (method, wrapped) = (method.clone(), put(wrap, inner.clone()));
                BoxInvoker::from_invoke(ForMethod { method, wrapped, inner })
            }
        })
    }

    /// Whether every method in a scope exists, as far as it is one of `service`.
    ///
    /// # Errors
    /// The first that does not, with those that do.
    pub(crate) fn check<'a>(
        &self,
        service: &ServiceKey,
        methods: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<(), Error> {
        let mut scopes = self.0.iter().filter_map(|(scope, _)| scope.as_ref());
        scopes.try_for_each(|scope| scope.check(service, methods.clone()))
    }

    /// The service of a scope that misses `service` by a probable typing error. It is not an error:
    /// a consumer cannot know which services it will be asked for.
    pub(crate) fn misnamed(&self, service: &ServiceKey) -> Option<&str> {
        let scopes = self.0.iter().filter_map(|(scope, _)| scope.as_ref());
        let others = scopes.filter(|scope| !scope.has(service)).map(|scope| &*scope.service);
        // Another group or version is another service.
        let is_of = |name: &&str| {
            name.split_once('/').is_none_or(|(group, _)| group == service.group())
                && name.split_once(':').is_none_or(|(_, version)| version == service.version())
        };
        let others = others.filter(is_of);
        nearest_service(service.as_str(), &others.collect::<Vec<_>>())
    }

    /// Whether every scope names one of `served`.
    ///
    /// # Errors
    /// The first that does not, with those that are served.
    pub(crate) fn check_served(&self, served: &[ServiceKey]) -> Result<(), Error> {
        let mut scopes = self.0.iter().filter_map(|(scope, _)| scope.as_ref());
        match scopes.find(|scope| !served.iter().any(|service| scope.has(service))) {
            None => Ok(()),
            Some(scope) => {
                let known = served.iter().map(ServiceKey::as_str);
                Err(Error::unknown_service(
                    "service in the scope of a layer",
                    &scope.service,
                    known,
                ))
            }
        }
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layers({})", self.0.len())
    }
}

// === impl ForMethod ===

/// A layer's service for one method, what is inside it for the others.
struct ForMethod {
    method: String,
    wrapped: BoxInvoker,
    inner: BoxInvoker,
}

impl Invoke for ForMethod {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        match invocation.method().name() == self.method {
            true => self.wrapped.invoke(invocation),
            false => self.inner.invoke(invocation),
        }
    }
}

#[cfg(test)]
mod tests {
    use tower_layer::Identity;

    use super::*;

    #[test]
    fn a_scope_that_misses_a_service_by_a_slip_is_found() {
        let mut layers = Layers::default();
        layers.push(Some("shop.Stok".into()), Identity::new());
        layers.push(Some(("blue/shop.Cart", "add").into()), Identity::new());
        layers.push(Some("shop.Till:2.0.0".into()), Identity::new());
        assert_eq!(layers.misnamed(&ServiceKey::new("shop.Stock")), Some("shop.Stok"));
        assert_eq!(layers.misnamed(&ServiceKey::new("shop.Stok")), None);
        assert_eq!(layers.misnamed(&ServiceKey::with_parts("shop.Cart", "blue", "")), None);
        assert_eq!(layers.misnamed(&ServiceKey::with_parts("shop.Till", "", "1.0.0")), None);
        assert_eq!(layers.misnamed(&ServiceKey::new("bank.Transfers")), None);
    }

    #[test]
    fn a_scope_without_its_package_is_refused_with_the_service_that_is_served() {
        let mut layers = Layers::default();
        layers.push(Some("Greeter".into()), Identity::new());
        let served = [ServiceKey::with_parts("ext.Greeter", "", "1.0.0")];
        assert_eq!(
            layers.check_served(&served).unwrap_err().to_string(),
            "unknown service in the scope of a layer `Greeter` (did you mean `ext.Greeter:1.0.0`?), \
             available: ext.Greeter:1.0.0"
        );
    }
}
