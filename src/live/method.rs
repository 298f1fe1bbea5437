//! The plan of a method: the layers, policy, routers and balancer of its calls by the settings in
//! force.

use std::fmt;
use std::sync::Arc;

use cluster::Picker;
use cluster::load_balance::LoadBalance;
use cluster::policy::{Choice, ClusterPolicy};
use rpc_core::client::Plan;
use rpc_core::{BoxInvoker, Codecs, Error, FilterScope, Method};

use super::service::UsedService;
use super::shared::{Draft, Filters, is_same, wrap};
use super::swap::Swap;
use crate::config::MethodConfig;
use crate::consumer::Inner;
use crate::policy;

/// The path of the calls of one method, and the settings that it was made from.
#[derive(Clone)]
pub(crate) struct Made {
    settings: MethodConfig,
    balancer: Arc<dyn LoadBalance>,
    policy: Arc<dyn ClusterPolicy>,
    filters: Filters,
    call: Way,
    broadcast: Way,
}

/// The path from the layers of a consumer to its connections.
#[derive(Clone)]
struct Way {
    /// Policy, routers and balancer.
    cluster: BoxInvoker,
    /// The invoker with filters around it.
    filtered: BoxInvoker,
    /// The program's own layers, if any, and the path inside them. They are made once, because
    /// their state must not be reset.
    layered: Option<(BoxInvoker, Arc<Swap>)>,
}

impl Way {
    fn invoker(&self) -> BoxInvoker {
        self.layered.as_ref().map_or(&self.filtered, |(outer, _)| outer).clone()
    }

    fn follow(&self) {
        if let Some((_, inside)) = &self.layered {
            inside.set(self.filtered.clone());
        }
    }
}

impl Made {
    /// Lets layers that stay send their calls this way.
    pub(super) fn follow(&self) {
        self.call.follow();
        self.broadcast.follow();
    }
}

impl Draft<'_> {
    /// The path of calls of `method` by `settings`. Parts that are unchanged since `before` are
    /// kept, with their state.
    pub(crate) fn method(
        &mut self,
        inner: &Inner,
        used: &UsedService,
        method: &Arc<Method>,
        settings: MethodConfig,
        before: Option<&Made>,
    ) -> Result<Made, Error> {
        // Always requested, because parts that are not requested are dropped.
        let routers = self.routers(&settings.routers)?;
        let filters = self.filters(&settings.filters)?;
        if let Some(before) = before.filter(|before| before.settings == settings) {
            return Ok(before.clone());
        }
        let policy = match before.filter(|before| before.has_policy(&settings)) {
            Some(before) => before.policy.clone(),
            None => policy::of_method(self.extensions, &settings, method, self.context)?,
        };
        let balancer = self.balancer(&settings, before)?;
        let ways = match before.filter(|before| before.has_cluster(&settings)) {
            Some(before) => [before.call.cluster.clone(), before.broadcast.cluster.clone()],
            None => {
                let directory = used.directory.clone();
                let picker = inner.picker_of(directory, method, routers, balancer.clone());
                let everyone = self.extensions.broadcast(&settings.cluster.value, self.context)?;
                [policy.layer(picker.clone()), everyone.layer(picker)]
            }
        };
        let is_filtered_so =
            |before: &&Made| before.has_cluster(&settings) && is_same(&before.filters, &filters);
        let same = before.filter(is_filtered_so);
        let scope = FilterScope::of_calls(method);
        let way = |cluster: BoxInvoker, of: fn(&Made) -> &Way| {
            let filtered = match same {
                Some(same) => of(same).filtered.clone(),
                None => wrap(&filters, &scope, cluster.clone()),
            };
            let layered = match before {
                Some(before) => of(before).layered.clone(),
                None => inner.around_calls(method.service(), &filtered),
            };
            Way { cluster, filtered, layered }
        };
        let [call, broadcast] = ways;
        let call = way(call, |made| &made.call);
        let broadcast = way(broadcast, |made| &made.broadcast);
        Ok(Made { settings, balancer, policy, filters, call, broadcast })
    }

    /// Sends the attempts of a call of `method` by `settings`; the caller brings the policy.
    pub(crate) fn picker(
        &mut self,
        inner: &Inner,
        used: &UsedService,
        method: &Method,
        settings: &MethodConfig,
    ) -> Result<Picker, Error> {
        let routers = self.routers(&settings.routers)?;
        let balancer = self.balancer(settings, None)?;
        Ok(inner.picker_of(used.directory.clone(), method, routers, balancer))
    }

    /// The endpoints that the policy in `settings` calls.
    pub(crate) fn choice(&self, method: &Method, settings: &MethodConfig) -> Result<Choice, Error> {
        let policy = policy::of_method(self.extensions, settings, method, self.context)?;
        Ok(policy.choice())
    }

    /// The balancer that `settings` choose; the one from `before`, if the choice is the same.
    fn balancer(
        &self,
        settings: &MethodConfig,
        before: Option<&Made>,
    ) -> Result<Arc<dyn LoadBalance>, Error> {
        let chosen = &settings.loadbalance;
        match before.filter(|before| before.settings.loadbalance.value == chosen.value) {
            Some(before) => Ok(before.balancer.clone()),
            None => {
                let made = self.extensions.load_balance(&chosen.value, self.context);
                made.map_err(|error| self.config.blame(&chosen.key, error))
            }
        }
    }
}

impl Made {
    fn has_policy(&self, settings: &MethodConfig) -> bool {
        self.settings.cluster == settings.cluster && self.settings.retries == settings.retries
    }

    fn has_cluster(&self, settings: &MethodConfig) -> bool {
        self.has_policy(settings)
            && self.settings.routers == settings.routers
            && self.settings.loadbalance.value == settings.loadbalance.value
    }

    /// The plan of calls that go this way, written in `codecs` or those that the settings prefer.
    pub(crate) fn plan(&self, inner: &Inner, codecs: Option<&Codecs>) -> Result<Plan, Error> {
        let preferred = &self.settings.codec.value;
        let codecs = match codecs {
            Some(codecs) => codecs.clone(),
            None => inner
                .codecs
                .preferring(preferred)
                .ok_or_else(|| Error::unknown_name("codec", preferred, inner.codecs.names()))?,
        };
        Ok(Plan {
            invoker: self.call.invoker(),
            broadcast: self.broadcast.invoker(),
            timeout: self.settings.timeout.value,
            timeout_set_by: self.settings.timeout_set_by().into(),
            codecs,
            trace: self.settings.trace_context.value,
            access_log: self.settings.access_log.value,
        })
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").field("settings", &self.settings).finish_non_exhaustive()
    }
}
