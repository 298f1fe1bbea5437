//! A session with a registry that is a tree: providers, consumers and lists in Dubbo's layouts, over any
//! [`NodeTree`].
//!
//! | file | what it does |
//! | --- | --- |
//! | `interfaces.rs` `records.rs` | registers providers, at the interface level and at that of applications |
//! | `read.rs` `list_maker.rs` | make lists of both levels, for watches and for fetches |
//! | `made_lists.rs` | notes what lists were made of, so that a check which finds the same makes none |
//! | `shared.rs` | keeps what several lists need once |
//! | `providers.rs` `applications.rs` `read_nodes.rs` `metadata.rs` | read what nodes mean, each once |
//! | `patience.rs` | waits for lists of a server that may have forgotten them |
//! | `services.rs` | finds every service |
//! | `survey.rs` | says what stands in the tree, and what of it cannot be used |
//! | `consumers.rs` | lists this process as a consumer |
//! | `listed_consumers.rs` | finds the consumers of a service |

mod applications;
mod consumers;
mod interfaces;
mod list_maker;
mod listed_consumers;
mod made_lists;
mod metadata;
mod patience;
mod providers;
mod read;
mod read_nodes;
mod records;
mod services;
mod shared;
mod survey;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use rpc_core::{Error, Instance, ServiceKey};

use self::consumers::Consumers;
use self::interfaces::InterfaceLevel;
use self::read::ListReader;
use self::records::ApplicationLevel;
use super::config::TreeConfig;
use super::layout::{Layout, RegisterMode};
use super::paths::TreePaths;
use super::tree::NodeTree;
use crate::backend::{Demand, Listing, Session, Updates};
use crate::check::Diagnosis;
use crate::config_center::ConfigSession;
use crate::listed_consumer::ListedConsumer;

/// A session over one with a tree; it ends with that.
#[derive(Debug)]
pub(crate) struct TreeSession {
    tree: Arc<dyn NodeTree>,
    layout: Arc<Layout>,
    interfaces: InterfaceLevel,
    applications: ApplicationLevel,
    reader: ListReader,
    consumers: Arc<Consumers>,
    config: TreeConfig,
}

impl TreeSession {
    /// A session over `tree`, which is open. Nothing is read or written before first use.
    pub(crate) fn new(tree: Arc<dyn NodeTree>, layout: Arc<Layout>, demand: &Demand) -> Self {
        let paths = Arc::new(TreePaths::new(&layout.root).parting_versions(layout.parts_versions));
        Self {
            interfaces: InterfaceLevel::new(&tree, &layout, &paths),
            applications: ApplicationLevel::new(&tree, &layout, &paths),
            reader: ListReader::new(&tree, &layout, &paths, demand),
            consumers: Consumers::new(&tree, &layout, &paths, demand),
            config: TreeConfig::new(&tree, &layout, &paths),
            tree,
            layout,
        }
    }

    /// Whether `instance` is registered at the application level, which the names of its application and
    /// address decide.
    ///
    /// # Errors
    /// It cannot be, and would not be registered at all.
    fn has_record(&self, instance: &Instance) -> Result<bool, Error> {
        let has = self.layout.has_record(instance);
        match has {
            Ok(has) => Ok(has),
            Err(_) if self.layout.mode == RegisterMode::Instance => {
                self.layout.check(instance).map(|()| false)
            }
            Err(why) => {
                self.layout.told.no_record(&self.layout.address, &why);
                Ok(false)
            }
        }
    }
}

#[async_trait]
impl Session for TreeSession {
    async fn register(&self, instance: &Instance) -> Result<(), Error> {
        let has_record = self.has_record(instance)?;
        let of_interface = async {
            match self.layout.mode.writes_interfaces() {
                true => self.interfaces.register(instance).await,
                false => Ok(()),
            }
        };
        let of_application = async {
            match has_record {
                true => self.applications.register(instance).await,
                false => Ok(()),
            }
        };
        // Both, so that one level that fails does not keep the other from its due.
        let (of_interface, of_application) = tokio::join!(of_interface, of_application);
        of_both(of_interface, of_application)
    }

    async fn unregister(&self, instance: &Instance) -> Result<(), Error> {
        let of_application = async {
            match self.has_record(instance) {
                Ok(true) => self.applications.unregister(instance).await,
                Ok(false) | Err(_) => Ok(()),
            }
        };
        let of_interface = async {
            match self.layout.mode.writes_interfaces() {
                true => self.interfaces.unregister(instance).await,
                false => Ok(()),
            }
        };
        let (of_interface, of_application) = tokio::join!(of_interface, of_application);
        of_interface.and(of_application)
    }

    async fn watch(&self, service: &ServiceKey, updates: &Updates) -> Result<(), Error> {
        let _listed = self.consumers.enter(service);
        self.reader.watch(service, updates).await
    }

    async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error> {
        self.reader.fetch(service).await
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        self.reader.services().await
    }

    async fn consumers(&self, service: &ServiceKey) -> Result<Option<Vec<ListedConsumer>>, Error> {
        self.reader.consumers(service).await.map(Some)
    }

    async fn end(&self) {
        self.tree.end().await;
    }

    async fn survey(&self) -> Result<Vec<Diagnosis>, Error> {
        self.reader.survey().await
    }

    async fn closed(&self) {
        self.tree.closed().await;
    }

    fn reason(&self) -> Option<Error> {
        self.tree.reason()
    }

    fn peers(&self) -> Option<usize> {
        self.consumers.peers()
    }

    /// A backend with such sessions says so by `has_settings`.
    fn settings(&self) -> Option<&dyn ConfigSession> {
        Some(&self.config)
    }
}

/// What comes of both levels. Where one never succeeds, the other is to be tried again as soon as alone.
fn of_both(
    of_interface: Result<(), Error>,
    of_application: Result<(), Error>,
) -> Result<(), Error> {
    match (of_interface, of_application) {
        (Err(never), Err(other)) if never.is_invalid_config() => Err(other),
        (of_interface, of_application) => of_interface.and(of_application),
    }
}

impl Drop for TreeSession {
    fn drop(&mut self) {
        self.consumers.end();
    }
}
