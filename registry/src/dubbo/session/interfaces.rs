//! Providers at the interface level: a node for each service and address, whose name is the provider's URL.

use std::sync::Arc;

use bytes::Bytes;
use rpc_core::{Error, Instance};

use super::super::layout::Layout;
use super::super::paths::TreePaths;
use super::super::provider_url::provider_url;
use super::super::tree::NodeTree;

/// The nodes of this process in one session.
#[derive(Debug)]
pub(super) struct InterfaceLevel {
    tree: Arc<dyn NodeTree>,
    layout: Arc<Layout>,
    paths: Arc<TreePaths>,
}

impl InterfaceLevel {
    pub(super) fn new(
        tree: &Arc<dyn NodeTree>,
        layout: &Arc<Layout>,
        paths: &Arc<TreePaths>,
    ) -> Self {
        Self { tree: Arc::clone(tree), layout: Arc::clone(layout), paths: Arc::clone(paths) }
    }

    /// Lists `instance`: a read if it is listed so already. Other content is put before the old is removed,
    /// so that no reader sees a gap.
    pub(super) async fn register(&self, instance: &Instance) -> Result<(), Error> {
        let path = self.path_of(instance);
        // Noted before it is written: it may have been when that fails, or is dropped.
        self.layout.own.add_provider(instance, &path);
        self.tree.put_owned(&path, Bytes::new()).await?;
        self.remove(instance, |other| other != path).await
    }

    /// Takes `instance` off the list.
    pub(super) async fn unregister(&self, instance: &Instance) -> Result<(), Error> {
        // Also one that this process has forgotten to have written.
        self.layout.own.add_provider(instance, &self.path_of(instance));
        self.remove(instance, |_| true).await
    }

    /// Removes those nodes of an instance that are not wanted any more.
    async fn remove(
        &self,
        instance: &Instance,
        is_unwanted: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let own = &self.layout.own;
        for path in own.of_provider(instance).iter().filter(|path| is_unwanted(path)) {
            self.tree.remove_owned(path).await?;
            own.remove_provider(instance, path);
        }
        Ok(())
    }

    fn path_of(&self, instance: &Instance) -> String {
        let parent = self.paths.providers(&instance.service);
        format!("{parent}/{}", provider_url(instance).to_node_name())
    }
}
