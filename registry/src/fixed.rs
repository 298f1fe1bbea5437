//! `static://host:port,host:port`: a fixed list, the same for every service.
//!
//! For a handful of providers that never move, and for reaching one by hand. Costs nothing; notices
//! nothing. Registering succeeds and changes nothing. `?codecs=json,msgpack` and
//! `?protocols=dubbo,json` say what the providers speak, where it is not everything.

use std::sync::Arc;

use async_trait::async_trait;
use rpc_core::{BuildContext, Error, Extension, Instance, ServiceKey};

use crate::backend::{Backend, Demand, Listing, Session, Updates};
use crate::{Diagnosis, Registry, RegistryParams, RegistryUrl, supervise};

/// A fixed list of addresses, the same for every service.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), rpc_core::Error> {
/// use rpc_core::ServiceKey;
///
/// let url = "static://10.0.0.1:20880,10.0.0.2:20880?codecs=json";
/// let listed = dubhe_registry::connect(url)?.list(&ServiceKey::new("shop.Stock")).await?;
/// assert_eq!((listed.len(), &listed[0].codecs[..]), (2, &["json".to_owned()][..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Fixed {
    address: String,
    addresses: Vec<String>,
    codecs: Arc<[String]>,
    protocols: Arc<[String]>,
}

impl Extension<dyn Registry> for Fixed {
    const NAME: &'static str = "static";
    type Config = RegistryParams;

    fn build(config: RegistryParams, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
        let url = RegistryUrl::parse(&config.url)?;
        url.expect_only(false, &["codecs", "protocols"])?;
        if url.hosts.is_empty() || url.hosts.iter().any(|host| host.port.is_none()) {
            return Err(
                url.wrong("every provider needs host and port, as in static://10.0.0.1:20880")
            );
        }
        let fixed = Self {
            address: url.to_string(),
            addresses: url.hosts.iter().map(|host| host.address(0)).collect(),
            codecs: url.values("codecs").into(),
            protocols: url.values("protocols").into(),
        };
        Ok(supervise(Arc::new(fixed), &config))
    }
}

#[async_trait]
impl Backend for Fixed {
    fn address(&self) -> String {
        self.address.clone()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        Ok(Arc::new(self.clone()))
    }

    fn is_cached(&self) -> bool {
        false
    }
}

#[async_trait]
impl Session for Fixed {
    async fn register(&self, _: &Instance) -> Result<(), Error> {
        Ok(())
    }

    async fn unregister(&self, _: &Instance) -> Result<(), Error> {
        Ok(())
    }

    async fn watch(&self, service: &ServiceKey, updates: &Updates) -> Result<(), Error> {
        updates.put(self.fetch(service).await?);
        std::future::pending().await
    }

    async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error> {
        let instance = |address: &String| Instance {
            codecs: self.codecs.clone(),
            protocols: self.protocols.clone(),
            ..Instance::new(service.clone(), address, address)
        };
        Ok(Listing::new(1, self.addresses.iter().map(instance)))
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        Ok(Vec::new())
    }

    async fn survey(&self) -> Result<Vec<Diagnosis>, Error> {
        let listed = format!("{} given by hand, the same for every service", self.addresses.len());
        Ok(vec![Diagnosis::ok("layout", &self.address, listed)])
    }

    async fn closed(&self) {
        std::future::pending().await
    }
}
