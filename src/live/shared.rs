//! Extensions that the methods of a service share: made once for each setting that chooses them,
//! and kept while it does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use cluster::AttemptLayers;
use cluster::router::{ChosenRouter, Router, RouterChain};
use rpc_core::{
    BoxInvoker, BuildContext, Error, Filter, FilterScope, Invocation, Invoke, ReplyFuture,
    ServiceKey,
};

use crate::config::{Config, Decided, Selector};
use crate::extensions::Extensions;

/// Extensions of one kind, by the key of the setting that chose them.
#[derive(Debug)]
pub(crate) struct Kept<P: ?Sized>(BTreeMap<String, Vec<(Selector, Arc<P>)>>);

impl<P: ?Sized> Kept<P> {
    /// The extensions that `chosen` names: made now, unless they exist here or in `before`.
    pub(crate) fn of(
        &mut self,
        before: &Self,
        chosen: &Decided<Vec<Selector>>,
        make: impl Fn(&Selector) -> Result<Arc<P>, Error>,
    ) -> Result<Vec<(Selector, Arc<P>)>, Error> {
        if let Some(known) = self.0.get(&chosen.key) {
            return Ok(known.clone());
        }
        let mut left = before.0.get(&chosen.key).cloned().unwrap_or_default();
        let made = chosen.value.iter().map(|selector| {
            let known = left.iter().position(|(known, _)| known == selector);
            match known {
                Some(at) => Ok(left.remove(at)),
                None => Ok((selector.clone(), make(selector)?)),
            }
        });
        let made = made.collect::<Result<Vec<_>, Error>>()?;
        self.0.insert(chosen.key.clone(), made.clone());
        Ok(made)
    }

    fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

impl<P: ?Sized> Default for Kept<P> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<P: ?Sized> Clone for Kept<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Filters in their order, the first outermost.
pub(crate) type Filters = Vec<Arc<dyn Filter>>;

/// Extensions and filters that the methods of one service share.
#[derive(Debug, Default, Clone)]
pub(crate) struct LiveShared {
    routers: Kept<dyn Router>,
    filters: Kept<dyn Filter>,
}

impl LiveShared {
    /// Adds everything from `more` that is missing.
    pub(super) fn extend(&mut self, more: Self) {
        self.routers.extend(more.routers);
        self.filters.extend(more.filters);
    }
}

/// Filters around attempts: those of the service, and of the methods that have their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct AttemptFilters {
    of_service: Filters,
    of_methods: Vec<(String, Filters)>,
}

impl AttemptFilters {
    /// Whether they are the same objects.
    pub(super) fn is(&self, other: &Self) -> bool {
        let (own, others) = (&self.of_methods, &other.of_methods);
        is_same(&self.of_service, &other.of_service)
            && own.len() == others.len()
            && own.iter().zip(others).all(|((a, of_a), (b, of_b))| a == b && is_same(of_a, of_b))
    }

    /// These filters inside `layers`.
    pub(super) fn inside(&self, layers: AttemptLayers) -> AttemptLayers {
        if self.of_service.is_empty() && self.of_methods.is_empty() {
            return layers;
        }
        let filters = self.clone();
        layers.wrap(move |instance, inner| {
            let scope = FilterScope::of_attempts(instance);
            let others = wrap(&filters.of_service, &scope, inner.clone());
            if filters.of_methods.is_empty() {
                return others;
            }
            let own = filters.of_methods.iter();
            let own = own.map(|(name, own)| (name.clone(), wrap(own, &scope, inner.clone())));
            BoxInvoker::from_invoke(ByMethod { own: own.collect(), others })
        })
    }
}

/// Whether these are the same filter objects.
pub(crate) fn is_same(a: &Filters, b: &Filters) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}

/// `inner` with `filters` around it.
pub(crate) fn wrap(filters: &Filters, scope: &FilterScope<'_>, inner: BoxInvoker) -> BoxInvoker {
    filters.iter().rev().fold(inner, |inner, filter| filter.wrap(scope, inner))
}

/// The filters of methods that have their own, and those of the others.
struct ByMethod {
    own: Vec<(String, BoxInvoker)>,
    others: BoxInvoker,
}

impl Invoke for ByMethod {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let name = invocation.method().name();
        let own = self.own.iter().find(|(method, _)| method == name);
        own.map_or(&self.others, |(_, own)| own).invoke(invocation)
    }
}

/// Extensions of one service being made from settings that may not be in force yet.
pub(crate) struct Draft<'a> {
    pub(super) extensions: &'a Extensions,
    pub(super) config: &'a Config,
    pub(super) service: &'a ServiceKey,
    pub(super) context: &'a BuildContext,
    before: LiveShared,
    shared: LiveShared,
}

impl<'a> Draft<'a> {
    /// A draft from `config`; extensions from `before` are kept if they are still chosen.
    pub(crate) fn new(
        extensions: &'a Extensions,
        config: &'a Config,
        service: &'a ServiceKey,
        context: &'a BuildContext,
        before: LiveShared,
    ) -> Self {
        Self { extensions, config, service, context, before, shared: LiveShared::default() }
    }

    /// Everything that was made or kept.
    pub(crate) fn into_shared(self) -> LiveShared {
        self.shared
    }

    /// The routers that a setting chooses.
    pub(crate) fn routers(
        &mut self,
        chosen: &Decided<Vec<Selector>>,
    ) -> Result<RouterChain, Error> {
        let make = |selector: &Selector| self.extensions.router(selector, self.context);
        let made = self.shared.routers.of(&self.before.routers, chosen, make);
        let made = made.map_err(|error| self.config.blame(&chosen.key, error))?;
        let set_by: Arc<str> = format!("{} ({})", chosen.key, chosen.origin).into();
        let routers = made.into_iter().map(|(selector, router)| {
            let name = selector.name.as_str().into();
            ChosenRouter { router, name, set_by: set_by.clone() }
        });
        Ok(RouterChain::new(routers.collect()))
    }

    /// The filters that a setting chooses.
    pub(crate) fn filters(&mut self, chosen: &Decided<Vec<Selector>>) -> Result<Filters, Error> {
        let make = |selector: &Selector| self.extensions.filter(selector, self.context);
        let made = self.shared.filters.of(&self.before.filters, chosen, make);
        let made = made.map_err(|error| self.config.blame(&chosen.key, error))?;
        Ok(made.into_iter().map(|(_, filter)| filter).collect())
    }

    /// The filters around attempts.
    pub(crate) fn attempt_filters(&mut self) -> Result<AttemptFilters, Error> {
        let (of_service, of_methods) = self.config.attempt_filters(self.service);
        let of_service = self.filters(&of_service)?;
        let of_methods = of_methods.into_iter();
        let of_methods = of_methods.map(|(name, chosen)| Ok((name, self.filters(&chosen)?)));
        Ok(AttemptFilters { of_service, of_methods: of_methods.collect::<Result<_, Error>>()? })
    }
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({})", self.service)
    }
}
