//! Looking at what a consumer sees: services, instances, and why a call goes where it goes.

use std::sync::Arc;
use std::time::Duration;

use cluster::Explanation;
use registry::{ConfigCenter, ListedConsumer};
use rpc_core::{
    Body, Deadline, Error, Instance, Invocation, LostRegistry, Method, ServiceKey, Status, runtime,
};
use serde_json::Value;

use crate::config::{MethodConfig, Setting};
use crate::consumer::Consumer;
use crate::describe::MethodDescription;
use crate::dynamic::Json;
use crate::rules::InstanceOrder;
use crate::setup::set_up;

/// How a call of one method would be made now, and why so.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MethodExplanation {
    /// The method that is called.
    pub method: Arc<Method>,
    /// The settings in force and their sources.
    pub settings: MethodConfig,
    /// The endpoints, the reason for each that is left out, and the balancer's scores of the
    /// others.
    pub call: Explanation,
    /// The instances among those that this consumer disables, and the setting that does so.
    pub disabled: Vec<DisabledInstance>,
    /// How often this consumer has sent a call again so far, of all its services.
    pub resends: u64,
    /// The config centres that do not answer, as in [`ServiceRules::unheard`].
    pub unheard: Vec<LostRegistry>,
}

/// What rules of config centres order for a service.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceRules {
    /// What they order for its calls, and for its instances, which are named as the rule does.
    pub settings: Vec<Setting>,
    /// The config centres that do not answer at present, each once, and why: whether they have rules, or
    /// others by now, is not known. Empty if all do.
    pub unheard: Vec<LostRegistry>,
}

/// An instance that gets no call, whatever it publishes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DisabledInstance {
    /// The instance as the registry lists it.
    pub instance: Instance,
    /// The setting that disables it, such as `consumer.instances."10.0.0.1".disabled`; `None` if it
    /// has changed meanwhile.
    pub by: Option<Setting>,
}

impl Consumer {
    /// Every service that has an instance now, sorted, as the registry lists them.
    ///
    /// # Errors
    /// The registry does not answer.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the question to the registry.
    pub async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        runtime::whole()?;
        self.0.registry.services().await
    }

    /// The instances of `service` now, as the registry lists them; whether they can be called is
    /// another matter.
    ///
    /// # Errors
    /// The registry does not answer.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the question to the registry.
    pub async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>, Error> {
        runtime::whole()?;
        self.0.registry.list(service).await
    }

    /// The processes that call `service` now, sorted, as the registry lists them; `None` if it does not keep who
    /// they are. ZooKeeper, etcd and Nacos do, of consumers that register themselves, which is the default.
    ///
    /// # Errors
    /// The registry does not answer.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the question to the registry.
    pub async fn consumers(
        &self,
        service: &ServiceKey,
    ) -> Result<Option<Vec<ListedConsumer>>, Error> {
        runtime::whole()?;
        self.0.registry.consumers(service).await
    }

    /// The config centres whose rules it follows, the strongest first: those of its registries that
    /// have one, unless `registry.use_as_config_center` is false.
    #[must_use]
    pub fn config_centers(&self) -> &[Arc<dyn ConfigCenter>] {
        self.0.governance.centres()
    }

    /// What rules of config centres order at present for `service`. Waits at most a second for the config
    /// centre.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn rules(&self, service: &ServiceKey) -> Result<ServiceRules, Error> {
        let used = self.0.service(service).await?;
        let mut settings = self.0.config.load().ordered(service);
        settings.extend(InstanceOrder::settings(&used.orders()));
        Ok(ServiceRules { settings, unheard: self.0.governance.unheard(&used.rules) })
    }

    /// How a call of this method of `service` with these arguments (null for none in particular,
    /// else in the order of [`DynamicClient::arguments`](crate::DynamicClient::arguments))
    /// would be made now. Nothing is sent; what is shown of
    /// load and connections is what calls of this consumer have left. Waits at most `timeout` for
    /// the registry's first word.
    ///
    /// # Errors
    /// The registry was shut down; settings that cannot work.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn explain(
        &self,
        service: &ServiceKey,
        method: &MethodDescription,
        arguments: Value,
        timeout: Duration,
    ) -> Result<MethodExplanation, Status> {
        let deadline = Deadline::after(timeout);
        let used = self.0.service(service).await.map_err(set_up)?;
        used.directory.wait_ready(deadline).await;
        let config = self.0.config.load_full();
        let settings = config.method(service, &method.name, &self.defaults_of(method));
        let codecs = self.0.extensions.codecs("json").map_err(set_up)?;
        let method = Arc::new(method.method(service, codecs.first()));
        let mut draft = used.draft(&self.0, &config);
        let picker = draft.picker(&self.0, &used, &method, &settings).map_err(set_up)?;
        let choice = draft.choice(&method, &settings).map_err(set_up)?;
        let body = Body::typed(Json(arguments));
        let mut invocation = Invocation::new(method.clone(), body, deadline);
        invocation.codecs = Some(codecs);
        let call = picker.explain(&invocation, choice);
        let orders = used.orders();
        let disabled = call.disabled.iter().map(|instance| DisabledInstance {
            instance: Instance::clone(instance),
            by: InstanceOrder::disabling(&orders, instance)
                .or_else(|| config.disables(service, &instance.address)),
        });
        let (disabled, resends) = (disabled.collect(), self.resends());
        let unheard = self.0.governance.unheard(&used.rules);
        Ok(MethodExplanation { method, settings, call, disabled, resends, unheard })
    }
}
