//! A registry of one's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dubhe::extend::{
    Backend, BuildContext, Demand, Extension, Listing, Registry, RegistryParams, Session, Updates,
    supervise,
};
use dubhe::{Error, Extensions, Instance, ServiceKey};

use crate::shop::{self, Shop, Stock, StockClient};

/// `folder://NAME/path`: each instance is a file named after its address. The name is for people.
#[derive(Debug, Clone)]
struct Folder {
    url: String,
    path: PathBuf,
}

impl Extension<dyn Registry> for Folder {
    const NAME: &'static str = "folder";
    type Config = RegistryParams;

    fn build(config: RegistryParams, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
        let rest = config.url.trim_start_matches("folder://");
        let path = rest.find('/').map_or("", |at| &rest[at..]).into();
        let folder = Self { url: config.url.clone(), path };
        Ok(supervise(Arc::new(folder), &config))
    }
}

fn unreachable(error: std::io::Error) -> Error {
    Error::unreachable(format!("the folder does not answer: {error}")).with_source(error)
}

#[async_trait]
impl Backend for Folder {
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
impl Session for Folder {
    async fn register(&self, instance: &Instance) -> Result<(), Error> {
        let text =
            serde_json::to_vec(instance).map_err(|e| Error::invalid_config(e.to_string()))?;
        tokio::fs::write(self.path.join(&*instance.address), text).await.map_err(unreachable)
    }

    async fn unregister(&self, instance: &Instance) -> Result<(), Error> {
        tokio::fs::remove_file(self.path.join(&*instance.address)).await.map_err(unreachable)
    }

    async fn watch(&self, service: &ServiceKey, updates: &Updates) -> Result<(), Error> {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        loop {
            look.tick().await;
            updates.put(self.fetch(service).await?);
        }
    }

    async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error> {
        let mut instances = Vec::new();
        let mut folder = tokio::fs::read_dir(&self.path).await.map_err(unreachable)?;
        while let Some(file) = folder.next_entry().await.map_err(unreachable)? {
            let text = tokio::fs::read(file.path()).await.unwrap_or_default();
            // A file that is being written is read whole the next time.
            instances.extend(serde_json::from_slice::<Instance>(&text));
        }
        instances.retain(|instance| instance.service == *service);
        Ok(Listing::new(0, instances))
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        Ok(Vec::new())
    }

    async fn closed(&self) {
        std::future::pending().await
    }
}

#[tokio::test]
async fn an_own_registry_is_chosen_by_its_scheme() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("folder://stock{}", folder.path().display());
    let with = || Extensions::default().with_registry::<Folder>();
    let start = |name| {
        let server = shop::StockServer::from_arc(Shop::new(name));
        shop::provider(&url).extensions(with()).serve(server).start()
    };
    let first = start("first").await.unwrap();
    assert!(first.local_addr().ip().is_loopback(), "its name was taken for a host");
    assert!(folder.path().join(first.address()).exists());

    let consumer = shop::consumer(&url).extensions(with()).build().unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    assert_eq!(stock.count(1).await.unwrap(), "first 1");

    let second = start("second").await.unwrap();
    first.shutdown().await;
    let answer = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match stock.count(2).await {
                Ok(answer) if answer.starts_with("second") => break answer,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    });
    assert_eq!(answer.await.unwrap(), "second 2");
    second.shutdown().await;

    let message = shop::consumer(&url).build().unwrap_err().to_string();
    assert!(
        message.starts_with("builder: registry.address: unknown registry `folder`"),
        "{message}"
    );
}
