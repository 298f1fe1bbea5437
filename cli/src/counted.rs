//! How many instances each service has, and of which applications, for `ls` and `doctor`. A service
//! that cannot be read costs no other.

use std::collections::{BTreeMap, BTreeSet};

use dubhe::{Consumer, Error, ServiceKey};
use tokio::time::{Instant, timeout_at};

/// After so many services in a row that cannot be listed, one of as many is tried.
const ENOUGH: usize = 50;

/// A service, counted.
#[derive(Default)]
pub(crate) struct CountedService {
    pub(crate) instances: usize,
    /// Those that have a name.
    pub(crate) applications: BTreeSet<String>,
}

/// What there is of so many services.
#[derive(Default)]
pub(crate) struct ServiceCounts {
    pub(crate) services: BTreeMap<ServiceKey, CountedService>,
    /// The services that the registry cannot list, and why.
    pub(crate) unread: Vec<(ServiceKey, Error)>,
    /// How many of the last could not be listed.
    failed_in_row: usize,
}

impl ServiceCounts {
    /// Counts `services`, one after the other, those that are left at `deadline` not.
    ///
    /// # Errors
    /// The registry does not answer any more.
    pub(crate) async fn of(
        consumer: &Consumer,
        services: &[ServiceKey],
        deadline: Option<Instant>,
    ) -> Result<Self, Error> {
        let mut all = Self::default();
        for service in services {
            let adding = all.add(consumer, service);
            match deadline {
                None => adding.await?,
                Some(deadline) => match timeout_at(deadline, adding).await {
                    Ok(added) => added?,
                    Err(_) => break,
                },
            }
        }
        Ok(all)
    }

    async fn add(&mut self, consumer: &Consumer, service: &ServiceKey) -> Result<(), Error> {
        // Of the rest now and then one is tried: names that belong together stand together.
        if self.failed_in_row >= ENOUGH
            && !self.failed_in_row.is_multiple_of(ENOUGH)
            && let Some((_, error)) = self.unread.last()
        {
            let error = error.clone();
            self.failed_in_row += 1;
            self.unread.push((service.clone(), error));
            return Ok(());
        }
        let instances = match consumer.instances(service).await {
            Ok(instances) => instances,
            Err(error) => {
                // One that has gone cannot list the others either, and each would take its time.
                self.failed_in_row += 1;
                if self.failed_in_row.is_power_of_two() {
                    consumer.services().await?;
                }
                self.unread.push((service.clone(), error));
                return Ok(());
            }
        };
        self.failed_in_row = 0;
        let counted = self.services.entry(service.clone()).or_default();
        counted.instances = instances.len();
        let applications = instances.into_iter().map(|instance| instance.application.to_string());
        counted.applications.extend(applications.filter(|name| !name.is_empty()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use dubhe::config::{Layer, Sources};
    use dubhe::diagnosis::CheckResult;
    use dubhe::extend::{
        Backend, BuildContext, Demand, Extension, Listing, Registry, RegistryParams, Session,
        Updates, supervise,
    };
    use dubhe::{Extensions, Instance};

    use super::*;

    const SERVICES: [&str; 3] = ["a.Open", "b.Locked", "c.Open"];

    const LOCKED: &str = "the folder of this application is locked";

    /// `half://`: a registry of three services, the second of which it cannot read. With a path it cannot
    /// say which services there are.
    #[derive(Debug, Clone)]
    struct HalfRead {
        url: String,
    }

    impl Extension<dyn Registry> for HalfRead {
        const NAME: &'static str = "half";
        type Config = RegistryParams;

        fn build(config: RegistryParams, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
            Ok(supervise(Arc::new(Self { url: config.url.clone() }), &config))
        }
    }

    #[async_trait]
    impl Backend for HalfRead {
        fn address(&self) -> String {
            self.url.clone()
        }

        async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
            Ok(Arc::new(self.clone()))
        }

        fn is_local(&self) -> bool {
            true
        }
    }

    #[async_trait]
    impl Session for HalfRead {
        async fn register(&self, _: &Instance) -> Result<(), Error> {
            Ok(())
        }

        async fn unregister(&self, _: &Instance) -> Result<(), Error> {
            Ok(())
        }

        async fn watch(&self, _: &ServiceKey, _: &Updates) -> Result<(), Error> {
            std::future::pending().await
        }

        async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error> {
            if service.as_str() == "b.Locked" {
                return Err(Error::unreachable(LOCKED));
            }
            let mut instance = Instance::new(service.clone(), "127.0.0.1:1", "id");
            instance.application = "shop".into();
            Ok(Listing::new(0, vec![instance]))
        }

        async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
            match &*self.url {
                "half://" => Ok(SERVICES.map(ServiceKey::new).to_vec()),
                _ => Err(Error::unreachable("the registry has gone")),
            }
        }

        async fn closed(&self) {
            std::future::pending().await
        }
    }

    fn consumer(url: &str) -> Consumer {
        let builder = Layer::new().set("registry.address", url).set("registry.cache", false);
        let sources = Sources { builder, ..Sources::default() };
        let extensions = Extensions::default().with_registry::<HalfRead>();
        Consumer::builder().sources(sources).extensions(extensions).build().unwrap()
    }

    #[tokio::test]
    async fn a_service_that_cannot_be_read_is_named_and_costs_no_other() {
        let consumer = consumer("half://");
        let services = consumer.services().await.unwrap();
        let counts = ServiceCounts::of(&consumer, &services, None).await.unwrap();
        let counted: Vec<_> = counts.services.keys().map(ServiceKey::as_str).collect();
        assert_eq!(counted, ["a.Open", "c.Open"]);
        let [(service, why)] = &counts.unread[..] else { panic!("{:?}", counts.unread) };
        assert_eq!(service.as_str(), "b.Locked");
        assert!(why.to_string().contains(LOCKED), "{why}");
        let found = crate::doctor::counted(&consumer, &services).await;
        assert_eq!(found.result, CheckResult::Warn);
        let told = "3 services; 2 instances of the 2 that can be listed, of shop; b.Locked cannot be \
                    listed: ";
        assert!(found.seen.starts_with(told), "{found}");
        assert!(found.seen.contains(LOCKED), "{found}");
    }

    #[tokio::test]
    async fn a_registry_that_has_gone_is_not_asked_for_every_service() {
        let consumer = consumer("half:///gone");
        let services = SERVICES.map(ServiceKey::new);
        let error = ServiceCounts::of(&consumer, &services, None).await.err().unwrap();
        assert!(error.to_string().contains("the registry has gone"), "{error}");
    }
}
