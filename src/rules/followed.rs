//! Texts of rules, followed at config centres; whoever listens is told each change.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use registry::{ConfigCenter, ConfigValue, ConfigWatch, Registry};
use rpc_core::{Error, LostRegistry, ServiceKey, runtime};
use tokio::task::{AbortHandle, JoinSet};

use super::book::{RuleKey, RuleScope};

/// Is told the text of a rule, or that there is none; says whether it listens on.
pub(crate) type Hear = Arc<dyn Fn(&RuleKey, Option<&str>) -> bool + Send + Sync>;

/// The config centres of a consumer or provider, the strongest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Centres(Vec<Arc<dyn ConfigCenter>>);

impl Centres {
    /// Those of `registries`, if they are to be used so.
    pub(crate) fn of(registries: &[Arc<dyn Registry>], are_used: bool) -> Self {
        let registries = if are_used { registries } else { &[] };
        Self(registries.iter().filter_map(|registry| registry.config_center()).collect())
    }

    pub(crate) fn as_slice(&self) -> &[Arc<dyn ConfigCenter>] {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Follows the rules of an application, unless it has no name, and of `services`. What the
    /// centres say is known when this returns, unless one does not answer within a second.
    pub(crate) async fn follow(
        &self,
        application: &str,
        services: &[ServiceKey],
        hear: &Hear,
    ) -> Vec<Arc<FollowedRule>> {
        let of_application = (!application.is_empty())
            .then(|| (RuleScope::Application, None, format!("{application}.configurators")));
        let of_services = services.iter().flat_map(|service| {
            let name = name_of(service);
            let rule = (RuleScope::Service, Some(service.clone()), format!("{name}.configurators"));
            [rule, (RuleScope::Overrides, Some(service.clone()), name)]
        });
        let mut following = JoinSet::new();
        for (scope, service, key) in of_application.into_iter().chain(of_services) {
            for (rank, centre) in self.0.iter().rev().enumerate() {
                let (service, at) = (service.clone(), centre.address().into());
                let key = RuleKey { scope, service, rank, key: key.as_str().into(), centre: at };
                let (centre, hear) = (Arc::clone(centre), Arc::clone(hear));
                following.spawn(async move { FollowedRule::begin(&*centre, key, hear).await });
            }
        }
        let mut followed = Vec::new();
        while let Some(one) = following.join_next().await {
            match one {
                Ok(Ok(rule)) => followed.push(rule),
                Ok(Err(error)) => {
                    tracing::warn!(target: "dubhe::config", %error, "a rule cannot be followed");
                }
                // It was aborted with its runtime.
                Err(_) => {}
            }
        }
        followed
    }
}

/// The name of a service in keys of rules, whose empty parts stay empty.
pub(super) fn name_of(service: &ServiceKey) -> String {
    format!("{}:{}:{}", service.interface(), service.version(), service.group())
}

/// The rule of one key at one config centre, followed as long as this lives.
pub(crate) struct FollowedRule {
    key: RuleKey,
    watch: ConfigWatch,
    hear: Hear,
    task: Mutex<Option<AbortHandle>>,
    is_followed: Arc<AtomicBool>,
}

/// Notes the end of a task, even if it never began.
struct Following(Arc<AtomicBool>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl FollowedRule {
    async fn begin(
        centre: &dyn ConfigCenter,
        key: RuleKey,
        hear: Hear,
    ) -> Result<Arc<Self>, Error> {
        let watch = centre.watch(&key.key, key.scope.group()).await?;
        let rule = Arc::new(Self {
            key,
            watch,
            hear,
            task: Mutex::default(),
            is_followed: Arc::default(),
        });
        rule.follow();
        Ok(rule)
    }

    /// Goes on in the runtime here, after another has ended in which it was followed.
    pub(crate) fn resume(&self) {
        self.watch.resume();
        self.follow();
    }

    /// Tells what is known, as is also told by a task when it comes.
    pub(crate) fn tell(&self) {
        let mut told = self.watch.latest();
        while tell(&self.key, &self.hear, &told) {
            let latest = self.watch.latest();
            // The task may have told it before the older one was told here: what is newest comes last.
            if latest == told {
                return;
            }
            told = latest;
        }
    }

    /// Its config centre, and why that does not say at present whether there is a rule, or another;
    /// `None` if it does.
    pub(crate) fn unheard(&self) -> Option<LostRegistry> {
        let error = match (self.watch.trouble(), self.watch.latest()) {
            (Some(trouble), _) => trouble.error,
            (None, ConfigValue::Pending) => "it has not answered yet".into(),
            (None, _) => return None,
        };
        Some(LostRegistry { address: Arc::clone(&self.key.centre), error })
    }

    /// Has a task tell what comes; it ends with this, its runtime, the registry, or when nobody
    /// listens.
    fn follow(&self) {
        let Ok(runtime) = runtime::with_timers() else { return };
        if self.is_followed.swap(true, Ordering::AcqRel) {
            return;
        }
        let following = Following(Arc::clone(&self.is_followed));
        let (key, hear, mut values) = (self.key.clone(), self.hear.clone(), self.watch.values());
        let task = runtime.spawn(async move {
            let _following = following;
            while values.changed().await.is_ok() {
                let value = values.borrow_and_update().clone();
                if !tell(&key, &hear, &value) {
                    return;
                }
            }
        });
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
    }
}

/// Tells a value; says whether somebody listens on.
fn tell(key: &RuleKey, hear: &Hear, value: &ConfigValue) -> bool {
    match value {
        ConfigValue::Set(text) => hear(key, Some(text)),
        ConfigValue::Absent => hear(key, None),
        _ => true,
    }
}

impl Drop for FollowedRule {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        task.take().inspect(AbortHandle::abort);
    }
}

impl fmt::Debug for FollowedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FollowedRule").field(&self.key).field(&self.watch).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use rpc_core::Latest;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_rule_that_comes_while_an_older_one_is_told_is_told_last() {
        let text = |text: &str| ConfigValue::Set(text.into());
        let values = Latest::new(text("old"));
        let (told, is_told) = mpsc::channel();
        let (heard, order) = (Arc::new(Mutex::new(Vec::new())), values.clone());
        let (log, is_told) = (Arc::clone(&heard), Mutex::new(is_told));
        let hear: Hear = Arc::new(move |_, text| {
            let text = text.unwrap().to_owned();
            if text == "old" && log.lock().unwrap().is_empty() {
                // The task tells the newer one before this one is put in force.
                order.send(ConfigValue::Set("new".into()));
                is_told.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
            }
            log.lock().unwrap().push(text);
            told.send(()).is_ok()
        });
        let trouble = Latest::new(None).subscribe();
        let rule = FollowedRule {
            key: RuleKey {
                scope: RuleScope::Application,
                service: None,
                rank: 0,
                key: "till.configurators".into(),
                centre: "memory://".into(),
            },
            watch: ConfigWatch::new(values.subscribe(), trouble, || false),
            hear,
            task: Mutex::default(),
            is_followed: Arc::default(),
        };
        rule.follow();
        rule.tell();
        let heard = heard.lock().unwrap().clone();
        assert_eq!(heard.last().unwrap(), "new", "{heard:?}");
    }
}
