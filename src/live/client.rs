//! A client whose methods follow the settings in force.

use std::sync::{Arc, Mutex, PoisonError};

use rpc_core::client::{Plan, Stub, StubMethod};
use rpc_core::{Codecs, Error, Method};

use super::method::Made;
use super::service::UsedService;
use super::shared::Draft;
use crate::config::{Config, MethodDefaults};
use crate::consumer::{Consumer, Inner};

/// State that a stub keeps alive, and from which its plans are made.
#[derive(Debug)]
pub(crate) struct LiveClient {
    /// Alive as long as a stub.
    _consumer: Consumer,
    pub(super) service: Arc<UsedService>,
    attributes: Vec<MethodDefaults>,
    methods: Arc<[StubMethod]>,
    /// `None` for those that settings prefer.
    codecs: Option<Codecs>,
    made: Mutex<Vec<Made>>,
}

/// The plans of a client for settings that are about to be in force.
pub(super) struct NextPlans(Vec<(Plan, Made)>);

impl LiveClient {
    /// A client of these methods of `service`, with what the attributes on its trait say of each.
    pub(super) fn new(
        consumer: Consumer,
        config: &Config,
        draft: &mut Draft<'_>,
        service: &Arc<UsedService>,
        methods: Vec<(Method, MethodDefaults)>,
        codecs: Option<Codecs>,
    ) -> Result<Arc<Self>, Error> {
        let inner = &*consumer.0;
        let (mut targets, mut attributes, mut made) = (Vec::new(), Vec::new(), Vec::new());
        for (method, attribute) in methods {
            let method = Arc::new(method);
            let settings = config.method(&service.key, method.name(), &attribute);
            let one = draft.method(inner, service, &method, settings, None)?;
            let plan = one.plan(inner, codecs.as_ref())?;
            targets.push(StubMethod::new(method.clone(), inner.metrics.method(&method), plan));
            attributes.push(attribute);
            made.push(one);
        }
        let (service, methods, made) = (service.clone(), targets.into(), Mutex::new(made));
        Ok(Arc::new(Self { _consumer: consumer, service, attributes, methods, codecs, made }))
    }

    /// A stub that keeps this alive.
    pub(crate) fn stub(self: &Arc<Self>) -> Stub {
        Stub::new(self.methods.clone(), self.clone())
    }

    /// The methods of the client.
    pub(super) fn methods(&self) -> Vec<&Method> {
        self.methods.iter().map(|target| &**target.method()).collect()
    }

    /// The plans that follow from `config`, without putting them in force.
    pub(super) fn next(
        &self,
        inner: &Inner,
        config: &Config,
        draft: &mut Draft<'_>,
    ) -> Result<NextPlans, Error> {
        let before = self.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = self.methods.iter().zip(&self.attributes).zip(&before);
        let next = all.map(|((target, attribute), before)| {
            let settings = config.method(&self.service.key, target.method().name(), attribute);
            let made =
                draft.method(inner, &self.service, target.method(), settings, Some(before))?;
            Ok((made.plan(inner, self.codecs.as_ref())?, made))
        });
        Ok(NextPlans(next.collect::<Result<_, Error>>()?))
    }

    /// Puts `next` in force.
    pub(super) fn follow(&self, next: NextPlans) {
        let mut before = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        for ((target, (plan, made)), before) in self.methods.iter().zip(next.0).zip(&mut *before) {
            made.follow();
            target.follow(plan);
            *before = made;
        }
    }
}
