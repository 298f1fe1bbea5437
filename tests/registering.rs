//! How a provider of several services registers them, as its registry sees it.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dubhe::extend::{
    Backend, BuildContext, Demand, Extension, Listing, Pace, Registry, RegistryParams, Session,
    Updates, supervise,
};
use dubhe::prelude::*;
use dubhe::{Error, Extensions, Instance, ServiceKey};
use tokio::sync::Barrier;

#[dubhe::service(name = "test.Bread")]
trait Bread {
    async fn bake(&self) -> Result<()>;
}

#[dubhe::service(name = "test.Cake")]
trait Cake {
    async fn bake(&self) -> Result<()>;
}

#[dubhe::service(name = "test.Pie")]
trait Pie {
    async fn bake(&self) -> Result<()>;
}

struct Baker;

impl Bread for Baker {
    async fn bake(&self) -> Result<()> {
        Ok(())
    }
}

impl Cake for Baker {
    async fn bake(&self) -> Result<()> {
        Ok(())
    }
}

impl Pie for Baker {
    async fn bake(&self) -> Result<()> {
        Ok(())
    }
}

/// A registry that confirms three registrations together, once all of them have come.
#[derive(Debug, Clone)]
struct Together(Arc<Barrier>);

impl Extension<dyn Registry> for Together {
    const NAME: &'static str = "together";
    type Config = RegistryParams;

    fn build(config: RegistryParams, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
        Ok(supervise(Arc::new(Self(Arc::new(Barrier::new(3)))), &config))
    }
}

#[async_trait]
impl Backend for Together {
    fn address(&self) -> String {
        "together://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        Ok(Arc::new(self.clone()))
    }

    fn pace(&self) -> Pace {
        // Who registers waits for the confirmation, and does so for long.
        let long = Duration::from_secs(600);
        Pace { settle: long, request_timeout: long, ..Pace::default() }
    }

    fn is_local(&self) -> bool {
        true
    }
}

#[async_trait]
impl Session for Together {
    async fn register(&self, _: &Instance) -> Result<(), Error> {
        self.0.wait().await;
        Ok(())
    }

    async fn unregister(&self, _: &Instance) -> Result<(), Error> {
        Ok(())
    }

    async fn watch(&self, _: &ServiceKey, _: &Updates) -> Result<(), Error> {
        std::future::pending().await
    }

    async fn fetch(&self, _: &ServiceKey) -> Result<Listing, Error> {
        Ok(Listing::default())
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        Ok(Vec::new())
    }

    async fn closed(&self) {
        std::future::pending().await
    }
}

#[tokio::test]
async fn the_services_of_a_provider_are_registered_together() {
    let extensions = Extensions::default().with_registry::<Together>();
    let provider = support::provider("together://", "").extensions(extensions);
    let provider = provider.serve(BreadServer::new(Baker)).serve(CakeServer::new(Baker));
    let starting = provider.serve(PieServer::new(Baker)).start();
    let running = support::soon(starting).await.unwrap();
    assert!(running.is_registered());
    running.shutdown().await;
}
