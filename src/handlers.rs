//! Filters around the handlers of a provider, which may change while it serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use rpc_core::{BoxInvoker, BuildContext, Error, Filter, FilterScope, Method, Metrics, ServiceKey};

use crate::config::{Config, Selector};
use crate::extensions::Extensions;
use crate::live::{Kept, Swap, is_same, wrap};

/// Every handler, and the filters that its service's methods share.
#[derive(Debug)]
pub(crate) struct Handlers {
    extensions: Extensions,
    context: BuildContext,
    handlers: Vec<Handler>,
    kept: BTreeMap<ServiceKey, Kept<dyn Filter>>,
}

/// One handler, inside the program's own layers.
#[derive(Debug)]
struct Handler {
    method: Arc<Method>,
    handler: BoxInvoker,
    swap: Arc<Swap>,
    filters: Vec<Arc<dyn Filter>>,
}

/// Filters by settings that are about to be in force.
pub(crate) struct NextFilters {
    kept: BTreeMap<ServiceKey, Kept<dyn Filter>>,
    /// What is different of each handler.
    of_handlers: Vec<Option<Filtered>>,
}

/// Filters of a handler, and it inside them.
type Filtered = (Vec<Arc<dyn Filter>>, BoxInvoker);

impl Handlers {
    pub(crate) fn new(extensions: &Extensions, metrics: &Metrics) -> Self {
        let context = BuildContext::default().with_seed(extensions.seed());
        let context = context.with_metrics(metrics.clone());
        Self { extensions: extensions.clone(), context, handlers: vec![], kept: BTreeMap::new() }
    }

    /// One more handler; gives what it is called through.
    pub(crate) fn add(&mut self, method: &Arc<Method>, handler: BoxInvoker) -> BoxInvoker {
        let swap = Swap::new(handler.clone());
        let (method, filters, inside) = (method.clone(), Vec::new(), swap.clone());
        self.handlers.push(Handler { method, handler, swap, filters });
        BoxInvoker::from_arc(inside)
    }

    /// The names of the methods of `service`.
    pub(crate) fn methods_of(&self, service: &ServiceKey) -> impl Iterator<Item = &str> + Clone {
        let methods = self.handlers.iter().map(|handler| &*handler.method);
        methods.filter(move |method| method.service() == service).map(Method::name)
    }

    /// What follows from `config`, without putting it in force.
    pub(crate) fn next(&self, config: &Config) -> Result<NextFilters, Error> {
        let (mut kept, nothing) = (BTreeMap::<_, Kept<_>>::new(), Kept::default());
        let of_handlers =
            self.handlers.iter().map(|Handler { method, handler, filters, .. }| {
                let service = method.service();
                let before = self.kept.get(service).unwrap_or(&nothing);
                let chosen = config.handler_filters(service, method.name());
                let context = self.context.clone().for_service(service.clone());
                let make = |selector: &Selector| self.extensions.filter(selector, &context);
                let made = kept.entry(service.clone()).or_default().of(before, &chosen, make);
                let made = made.map_err(|error| config.blame(&chosen.key, error))?;
                let chosen = made.into_iter().map(|(_, filter)| filter).collect();
                if is_same(filters, &chosen) {
                    return Ok(None);
                }
                let inside = wrap(&chosen, &FilterScope::of_handler(method), handler.clone());
                Ok(Some((chosen, inside)))
            });
        let of_handlers = of_handlers.collect::<Result<_, Error>>()?;
        Ok(NextFilters { kept, of_handlers })
    }

    /// Puts `next` in force.
    pub(crate) fn follow(&mut self, next: NextFilters) {
        self.kept = next.kept;
        for (handler, next) in self.handlers.iter_mut().zip(next.of_handlers) {
            if let Some((filters, inside)) = next {
                handler.swap.set(inside);
                handler.filters = filters;
            }
        }
    }
}
