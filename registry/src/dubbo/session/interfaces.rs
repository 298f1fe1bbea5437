//! Providers at the interface level: a node for each service and address, whose name is the provider's URL.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rpc_core::{Error, Instance, ServiceKey};

use super::super::paths::TreePaths;
use super::super::provider_url::provider_url;
use super::super::tree::NodeTree;
use crate::lock::locked;

/// The nodes of this process in one session.
#[derive(Debug)]
pub(super) struct InterfaceLevel {
    tree: Arc<dyn NodeTree>,
    paths: Arc<TreePaths>,
    /// Every node that may be there. There are two of one instance while its content changes.
    nodes: Mutex<BTreeMap<InstanceName, BTreeSet<String>>>,
}

/// Service, address and start.
type InstanceName = (ServiceKey, Arc<str>, Arc<str>);

impl InterfaceLevel {
    pub(super) fn new(tree: &Arc<dyn NodeTree>, paths: &Arc<TreePaths>) -> Self {
        Self { tree: Arc::clone(tree), paths: Arc::clone(paths), nodes: Mutex::default() }
    }

    /// Lists `instance`: a read if it is listed so already. Other content is put before the old is removed,
    /// so that no reader sees a gap.
    pub(super) async fn register(&self, instance: &Instance) -> Result<(), Error> {
        let path = self.path_of(instance);
        let name = name_of(instance);
        // Noted before it is written: it may have been when that fails, or is dropped.
        locked(&self.nodes).entry(name.clone()).or_default().insert(path.clone());
        self.tree.put_owned(&path, Bytes::new()).await?;
        self.remove(&name, |other| *other != path).await
    }

    /// Takes `instance` off the list.
    pub(super) async fn unregister(&self, instance: &Instance) -> Result<(), Error> {
        let name = name_of(instance);
        // Also one that this session has not written, or has forgotten to have.
        locked(&self.nodes).entry(name.clone()).or_default().insert(self.path_of(instance));
        self.remove(&name, |_| true).await
    }

    /// Removes those nodes of an instance that are not wanted any more.
    async fn remove(
        &self,
        name: &InstanceName,
        is_unwanted: impl Fn(&String) -> bool,
    ) -> Result<(), Error> {
        let unwanted: Vec<String> = {
            let nodes = locked(&self.nodes);
            let of_instance = nodes.get(name).into_iter().flatten();
            of_instance.filter(|path| is_unwanted(path)).cloned().collect()
        };
        for path in unwanted {
            self.tree.remove_owned(&path).await?;
            let mut nodes = locked(&self.nodes);
            if let Some(of_instance) = nodes.get_mut(name) {
                of_instance.remove(&path);
                if of_instance.is_empty() {
                    nodes.remove(name);
                }
            }
        }
        Ok(())
    }

    fn path_of(&self, instance: &Instance) -> String {
        let parent = self.paths.providers(instance.service.interface());
        format!("{parent}/{}", provider_url(instance).to_node_name())
    }
}

fn name_of(instance: &Instance) -> InstanceName {
    let Instance { service, address, id, .. } = instance;
    (service.clone(), Arc::clone(address), Arc::clone(id))
}
