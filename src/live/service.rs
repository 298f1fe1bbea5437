//! A service in use: its directory, and the extensions that its methods share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use cluster::{AttemptLayers, Directory, DirectoryOptions, Overrides};
use rpc_core::{BuildContext, Connector, Error, Instance, ServiceKey, Subscription};

use super::shared::{AttemptFilters, Draft, LiveShared};
use crate::config::{Config, InstanceRules};
use crate::consumer::Inner;
use crate::rules::{Effects, FollowedRule, InstanceOrder};

/// One service that a consumer calls; lives as long as one of its clients.
#[derive(Debug)]
pub(crate) struct UsedService {
    pub(crate) key: ServiceKey,
    pub(crate) directory: Arc<Directory>,
    pub(crate) context: BuildContext,
    /// What is followed at config centres for it.
    pub(crate) rules: Vec<Arc<FollowedRule>>,
    kept: Mutex<Kept>,
}

/// The choices of the settings in force.
#[derive(Debug)]
struct Kept {
    shared: LiveShared,
    attempts: AttemptFilters,
    rules: InstanceRules,
    /// What rules of config centres order for instances.
    orders: Arc<[InstanceOrder]>,
}

/// The choices of settings that are about to be in force.
#[derive(Debug)]
pub(super) struct NextService {
    pub(super) shared: LiveShared,
    pub(super) attempts: AttemptFilters,
}

impl UsedService {
    /// A service that follows `subscription` by `config`.
    pub(crate) fn new(
        inner: &Inner,
        config: &Config,
        key: ServiceKey,
        subscription: Subscription,
        followed: Vec<Arc<FollowedRule>>,
        options: DirectoryOptions,
    ) -> Result<Arc<Self>, Error> {
        let listed: Arc<OnceLock<Weak<Directory>>> = Arc::default();
        let context = inner.context().for_service(key.clone());
        let context = context.with_instances({
            let listed = listed.clone();
            move || instances_of(&listed)
        });
        let mut draft =
            Draft::new(&inner.extensions, config, &key, &context, LiveShared::default());
        let attempts = draft.attempt_filters()?;
        let shared = draft.into_shared();
        let rules = config.instance_rules(&key);
        let options = DirectoryOptions {
            layers: attempts.inside(inner.around_attempts()),
            overrides: overrides(&rules, &Arc::default()),
            ..options
        };
        let connector: Arc<dyn Connector> = inner.connector.clone();
        let directory = Directory::follow(key.clone(), subscription, connector, options);
        let directory = Arc::new(directory);
        // The cell is new, so it is empty.
        let _ = listed.set(Arc::downgrade(&directory));
        let kept = Mutex::new(Kept { shared, attempts, rules, orders: Arc::default() });
        Ok(Arc::new(Self { key, directory, context, rules: followed, kept }))
    }

    /// Extensions of its methods by `config`, beginning with those it has.
    pub(crate) fn draft<'a>(&'a self, inner: &'a Inner, config: &'a Config) -> Draft<'a> {
        let before = self.kept().shared.clone();
        Draft::new(&inner.extensions, config, &self.key, &self.context, before)
    }

    /// Keeps the extensions of one more client.
    pub(crate) fn keep(&self, made: LiveShared) {
        self.kept().shared.extend(made);
    }

    /// Puts the consequences of `config` in force.
    pub(super) fn follow(
        &self,
        config: &Config,
        effects: &Effects,
        next: NextService,
        layers: AttemptLayers,
    ) {
        let (rules, orders) = (config.instance_rules(&self.key), effects.instances(&self.key));
        let mut kept = self.kept();
        if !kept.attempts.is(&next.attempts) {
            self.directory.set_layers(next.attempts.inside(layers));
        }
        if kept.rules != rules || kept.orders != orders {
            self.directory.set_overrides(overrides(&rules, &orders));
        }
        self.directory.set_ejection(config.consumer.ejection.rules());
        *kept = Kept { shared: next.shared, attempts: next.attempts, rules, orders };
    }

    /// What rules of config centres order for its instances, the weakest first.
    pub(crate) fn orders(&self) -> Arc<[InstanceOrder]> {
        self.kept().orders.clone()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn instances_of(directory: &OnceLock<Weak<Directory>>) -> Vec<Instance> {
    let directory = directory.get().and_then(Weak::upgrade);
    let endpoints = directory.map(|directory| directory.endpoints()).unwrap_or_default();
    endpoints.iter().map(|endpoint| endpoint.instance().clone()).collect()
}

fn overrides(rules: &InstanceRules, orders: &Arc<[InstanceOrder]>) -> Overrides {
    // A list is taken as it is, without copies of its instances.
    if rules.is_empty() && orders.is_empty() {
        return Overrides::default();
    }
    let (rules, orders) = (rules.clone(), Arc::clone(orders));
    Overrides::new(move |instance| {
        InstanceOrder::apply(&orders, instance, |instance| rules.apply(instance))
    })
}
