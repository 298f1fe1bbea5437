//! What a provider serves: its handlers in one table, each inside its layers and filters.

use std::sync::Arc;

use rpc_core::server::{Dispatcher, Handler};
use rpc_core::{Error, Metrics, ServiceKey};

use crate::config::{Config, Gate};
use crate::describe::{DESCRIBE, describing};
use crate::extensions::Extensions;
use crate::handlers::Handlers;
use crate::layers::Layers;
use crate::live::made;
use crate::machine::Machine;

/// The table of `services` and of what describes them, and the filters around its handlers.
///
/// # Errors
/// Nothing to serve; settings or layers of what is not served.
pub(crate) fn dispatcher(
    extensions: &Extensions,
    config: &Config,
    layers: &Layers,
    services: Vec<(ServiceKey, Arc<dyn Handler>)>,
) -> Result<(Dispatcher, Handlers), Error> {
    let own = ServiceKey::new(DESCRIBE);
    check(config, layers, &services, &own)?;
    let metrics = Metrics::new("provider");
    let mut handlers = Handlers::new(extensions, &metrics);
    let mut dispatcher = empty(extensions, config, metrics)?;
    let described = services.iter().map(|(service, handler)| (service, handler));
    let json = extensions.codecs("json").ok().map(|codecs| codecs.first().clone());
    let describing = Arc::new(describing(described, json, dispatcher.metrics().clone()));
    for (service, handler) in services {
        let methods = handler.descriptor().methods;
        let names = methods.iter().map(|method| method.name);
        layers.check(&service, names.clone())?;
        config.check_handlers(&service, names.clone())?;
        for name in names.filter(|name| config.gate(&service, name) == Gate::Off) {
            dispatcher.leave_open(format!("{service}/{name}"));
        }
        let around =
            |method: &_, inner| layers.apply_to_handler(&service, handlers.add(method, inner));
        dispatcher.add(service.clone(), handler, around)?;
    }
    let around = |method: &_, inner| layers.apply_to_handler(&own, handlers.add(method, inner));
    dispatcher.add(own.clone(), describing, around)?;
    handlers.follow(made(|| handlers.next(config))?);
    follow(&dispatcher, config);
    Ok((dispatcher, handlers))
}

/// Puts in force what `config` says of calls that are served from now on, besides their filters.
pub(crate) fn follow(dispatcher: &Dispatcher, config: &Config) {
    dispatcher.set_access_log(None, config.provider.access_log);
    for service in dispatcher.services() {
        for method in dispatcher.methods(service) {
            let log = config.access_log(service, method);
            dispatcher.set_access_log(Some(&format!("{service}/{method}")), log);
        }
    }
}

/// Whether there is something to serve, and all that is set is for that.
fn check(
    config: &Config,
    layers: &Layers,
    services: &[(ServiceKey, Arc<dyn Handler>)],
    own: &ServiceKey,
) -> Result<(), Error> {
    if services.is_empty() {
        return Err(Error::invalid_config(
            "there is nothing to serve: call `.serve(YourServer::new(implementation))`",
        ));
    }
    let mut served: Vec<ServiceKey> = services.iter().map(|(key, _)| key.clone()).collect();
    config.check_served(&served)?;
    served.push(own.clone());
    layers.check_served(&served)
}

/// A table that reports the load of the machine, and joins traces if the program has a bridge.
fn empty(extensions: &Extensions, config: &Config, metrics: Metrics) -> Result<Dispatcher, Error> {
    let codecs = extensions.codecs(&config.consumer.codec)?;
    let machine = Machine::new();
    let dispatcher = Dispatcher::new(codecs, metrics);
    let dispatcher = dispatcher.with_machine_load(move || machine.load_percent());
    Ok(match extensions.trace_bridge() {
        Some(bridge) => dispatcher.with_trace_bridge(bridge.clone()),
        None => dispatcher,
    })
}
