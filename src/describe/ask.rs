//! The consumer's side: asks the instances of a service what it is.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cluster::DirectoryOptions;
use rpc_core::client::{CallOptions, ServiceClient, Stub, StubMethod};
use rpc_core::descriptor::MethodDescriptor;
use rpc_core::{
    Code, Deadline, Delivery, Error, Instance, Latest, Method, ServiceKey, Snapshot, Source,
    Status, Subscription, runtime,
};
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::serve::{DESCRIBE, Describe, DescribeClient};
use super::types::{GateDescription, ServiceDescription};
use crate::config::{Config, MethodConfig, MethodDefaults};
use crate::consumer::Consumer;
use crate::live::{Draft, UsedService};
use crate::setup::set_up;

/// How many instances are asked at once.
const AT_ONCE: usize = 16;

/// How many instances [`Consumer::describe_each`] asks.
const MOST: usize = 100;

/// The answer of each instance, by address.
pub type ToldEach<T> = Vec<(Arc<str>, Result<T, Status>)>;

impl Consumer {
    /// Describes `service`: its methods and types, as one of its instances has them.
    ///
    /// Instances of different versions may describe different things; see
    /// [`describe_each`](Self::describe_each). Waits at most `timeout` in all.
    ///
    /// # Errors
    /// No instance is known or can be reached; none can describe itself, because it is older or
    /// no Dubhe.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn describe(
        &self,
        service: &ServiceKey,
        timeout: Duration,
    ) -> Result<ServiceDescription, Status> {
        let deadline = Deadline::after(timeout);
        let instances = self.instances_to_ask(service, deadline).await?;
        self.ask(service, instances, deadline).await.map_err(|status| explain(status, service))
    }

    /// Asks each instance of `service` to describe itself; the result, by address, shows which can
    /// be reached. Asks the first 100, several at once, and waits at most `timeout` in all.
    ///
    /// # Errors
    /// No instance is known.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the calls.
    pub async fn describe_each(
        &self,
        service: &ServiceKey,
        timeout: Duration,
    ) -> Result<ToldEach<ServiceDescription>, Status> {
        let deadline = Deadline::after(timeout);
        let mut instances = self.instances_to_ask(service, deadline).await?;
        instances.truncate(MOST);
        Ok(self.describe_all(service, instances, deadline).await)
    }

    /// Asks the instances at `addresses` to describe themselves, all of them. Addresses that are
    /// not an instance of `service` now are left out.
    ///
    /// # Errors
    /// No instance is known.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the calls.
    pub async fn describe_at(
        &self,
        service: &ServiceKey,
        addresses: &[Arc<str>],
        timeout: Duration,
    ) -> Result<ToldEach<ServiceDescription>, Status> {
        let deadline = Deadline::after(timeout);
        let mut instances = self.instances_to_ask(service, deadline).await?;
        instances.retain(|instance| addresses.contains(&instance.address));
        Ok(self.describe_all(service, instances, deadline).await)
    }

    /// The present limits on the calls of each method of `service`, by instance: the *gate* of a
    /// method, which is off until work there is futile. Asks the first 100, some at once; waits at
    /// most `timeout` in all. An instance that is older answers `unimplemented`.
    ///
    /// # Errors
    /// No instance is known.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the calls.
    pub async fn gates(
        &self,
        service: &ServiceKey,
        timeout: Duration,
    ) -> Result<ToldEach<Vec<GateDescription>>, Status> {
        let deadline = Deadline::after(timeout);
        let mut instances = self.instances_to_ask(service, deadline).await?;
        instances.truncate(MOST);
        Ok(each(instances, |instance| {
            let (this, service) = (self.clone(), service.to_string());
            async move { Describe::gates(&this.describer(vec![instance], deadline)?, service).await }
        })
        .await)
    }

    async fn describe_all(
        &self,
        service: &ServiceKey,
        instances: Vec<Instance>,
        deadline: Deadline,
    ) -> ToldEach<ServiceDescription> {
        each(instances, |instance| {
            let (this, service) = (self.clone(), service.clone());
            async move { this.ask(&service, vec![instance], deadline).await }
        })
        .await
    }

    /// The services of each instance, by address, where the registry knows addresses alone, as
    /// `static://` does; nothing where it lists services. Asks all, 16 at once; waits at most
    /// `timeout` for each to answer.
    ///
    /// # Errors
    /// The registry does not answer.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the calls.
    pub async fn served(&self, timeout: Duration) -> Result<ToldEach<Vec<ServiceKey>>, Error> {
        // Registered nowhere: who lists it lists everything everywhere.
        let instances = self.instances(&ServiceKey::new(DESCRIBE)).await?;
        Ok(each(instances, |instance| {
            let this = self.clone();
            // Its own: dead addresses before it must not use up its time.
            let deadline = Deadline::after(timeout);
            async move {
                let client = this.describer(vec![instance], deadline)?;
                let services = Describe::services(&client).await?;
                // A key that cannot be read is none that could be called.
                Ok(services.iter().filter_map(|service| service.parse().ok()).collect())
            }
        })
        .await)
    }

    /// The service of this key, in use.
    ///
    /// # Errors
    /// It cannot be set up; registry or config centre have not answered by the deadline.
    pub(crate) async fn service_until(
        &self,
        key: &ServiceKey,
        deadline: Deadline,
    ) -> Result<Arc<UsedService>, Status> {
        runtime::with_timers()?;
        match timeout_at(deadline.instant(), self.0.service(key)).await {
            Ok(used) => used.map_err(set_up),
            Err(_) => Err(Status::deadline_exceeded(format!(
                "no instance of {key} is known in time: registry {} or its config centre has not answered; \
                 check that it is running and reachable, or wait longer",
                self.0.registry.address()
            ))
            .with_delivery(Delivery::NotSent)),
        }
    }

    /// The instances in the directory of `service`, once there are any.
    async fn instances_to_ask(
        &self,
        service: &ServiceKey,
        deadline: Deadline,
    ) -> Result<Vec<Instance>, Status> {
        let used = self.service_until(service, deadline).await?;
        let directory = &used.directory;
        directory.wait_ready(deadline).await;
        let endpoints = directory.endpoints();
        if endpoints.is_empty() {
            return Err(directory.no_instance());
        }
        Ok(endpoints.iter().map(|endpoint| endpoint.instance().clone()).collect())
    }

    /// Asks one of `instances` after the other until one describes `service`.
    async fn ask(
        &self,
        service: &ServiceKey,
        instances: Vec<Instance>,
        deadline: Deadline,
    ) -> Result<ServiceDescription, Status> {
        let client = self.describer(instances, deadline)?;
        Describe::describe(&client, service.to_string()).await
    }

    /// What asks one of `instances` after the other until one answers.
    ///
    /// They are asked through a directory of their own: that an instance cannot describe itself
    /// must not count against it when it is called.
    fn describer(
        &self,
        instances: Vec<Instance>,
        deadline: Deadline,
    ) -> Result<DescribeClient, Status> {
        let own = ServiceKey::new(DESCRIBE);
        let instances = instances.into_iter().map(|i| Instance { service: own.clone(), ..i });
        let snapshot = Snapshot::new(instances.collect(), Source::Live);
        let (kept, snapshots) = Latest::channel(snapshot);
        let subscription = Subscription::new(snapshots, kept);
        let config = self.0.config.load_full();
        let options = DirectoryOptions::default();
        let used = UsedService::new(&self.0, &config, own, subscription, Vec::new(), options);
        let used = used.map_err(set_up)?;
        let mut draft = used.draft(&self.0, &config);
        let methods = DescribeClient::DESCRIPTOR.methods.iter();
        let methods = methods.map(|described| self.asking(&used, &mut draft, described));
        let methods = methods.collect::<Result<Vec<_>, Error>>().map_err(set_up)?;
        drop(draft);
        let timeout = CallOptions::new().timeout(deadline.remaining());
        let stub = Stub::new(methods.into(), Arc::new((self.clone(), used)));
        let stub = stub.with_options(timeout);
        Ok(DescribeClient::from_stub(stub))
    }

    /// A method of [`DESCRIBE`] with the default settings, whatever those of `[consumer]` are: it
    /// is asked by the framework, and a policy chosen for the services of a program may not fit.
    /// Filters count: one may show who asks.
    fn asking(
        &self,
        used: &UsedService,
        draft: &mut Draft<'_>,
        described: &MethodDescriptor,
    ) -> Result<StubMethod, Error> {
        let MethodDescriptor { name, kind, idempotent, .. } = *described;
        let method = Arc::new(Method::new(used.key.clone(), name, kind, idempotent));
        let settings = |config: &Config| config.method(&used.key, name, &MethodDefaults::default());
        let MethodConfig { filters, .. } = settings(&self.0.config.load());
        let settings = MethodConfig { filters, ..settings(&Config::default()) };
        let made = draft.method(&self.0, used, &method, settings, None)?;
        let metrics = self.0.metrics.method(&method);
        Ok(StubMethod::new(method, metrics, made.plan(&self.0, None)?))
    }
}

/// Asks `instances`, several at once; the answers are in the order of their addresses.
async fn each<T, F>(mut instances: Vec<Instance>, ask: impl Fn(Instance) -> F) -> ToldEach<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Status>> + Send + 'static,
{
    instances.reverse();
    let (mut asking, mut told) = (JoinSet::new(), Vec::new());
    loop {
        while asking.len() < AT_ONCE
            && let Some(instance) = instances.pop()
        {
            let (address, answer) = (instance.address.clone(), ask(instance));
            asking.spawn(async move { (address, answer.await) });
        }
        match asking.join_next().await {
            Some(Ok(answer)) => told.push(answer),
            Some(Err(error)) => tracing::warn!(
                target: "dubhe::consumer",
                %error, "asking an instance was cut off"
            ),
            None => break,
        }
    }
    told.sort_by(|(a, _), (b, _)| a.cmp(b));
    told
}

/// Adds the name of the service that no instance describes.
fn explain(status: Status, service: &ServiceKey) -> Status {
    let is_of_time = |hint: &str| hint.starts_with(Deadline::HINT);
    if status.address().is_none()
        && status.attempts().is_empty()
        && !status.hint().is_some_and(is_of_time)
    {
        return status;
    }
    let message = match status.code() {
        // The provider names the services that it does have.
        Code::NotFound => status.message().to_owned(),
        Code::Unimplemented => format!(
            "no instance of {service} describes itself: it is of an older Dubhe or of another \
             framework; call it by the client of its trait"
        ),
        _ => format!("no instance of {service} describes it: {}", status.message()),
    };
    let told = Status::new(status.code(), message)
        .with_delivery(status.delivery())
        .with_attempts(status.attempts().to_vec());
    // How long one waits for that is no setting.
    match status.hint().filter(|hint| !is_of_time(hint)) {
        Some(hint) => told.with_hint(hint),
        None => told,
    }
}
