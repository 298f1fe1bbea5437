//! The config centre of a tree: a text is the value of `/dubbo/config/<group>/<key>`, as Dubbo's
//! clients and consoles keep rules.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rpc_core::Error;

use super::tree::NodeTree;
use crate::config_center::{ConfigSession, ConfigUpdates};

/// The texts below the root of a tree.
#[derive(Debug)]
pub(super) struct TreeConfig {
    /// Without `/`.
    root: Arc<str>,
    tree: Arc<dyn NodeTree>,
}

impl TreeConfig {
    /// The texts below `root`, which is that of the registry, without `/`.
    pub(super) fn new(root: &Arc<str>, tree: &Arc<dyn NodeTree>) -> Self {
        Self { root: Arc::clone(root), tree: Arc::clone(tree) }
    }

    /// Dubbo writes keys as they are; neither has a `/` in it.
    fn path(&self, key: &str, group: &str) -> String {
        format!("/{}/config/{group}/{key}", self.root)
    }
}

#[async_trait]
impl ConfigSession for TreeConfig {
    async fn get(&self, key: &str, group: &str) -> Result<Option<Bytes>, Error> {
        self.tree.value(&self.path(key, group)).await
    }

    async fn watch(&self, key: &str, group: &str, updates: &ConfigUpdates) -> Result<(), Error> {
        self.tree.watch_value(&self.path(key, group), updates.sender()).await
    }

    async fn publish(&self, key: &str, group: &str, value: Option<Bytes>) -> Result<(), Error> {
        let path = self.path(key, group);
        // Every reader takes an empty text for none, and Nacos keeps no empty one.
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return self.tree.remove_lasting(&path).await;
        };
        let edit = |present: Option<&[u8]>| (present != Some(&value[..])).then(|| value.clone());
        self.tree.edit(&path, &edit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dubbo::memory_tree::MemoryStore;

    const RULE: &str = "shop.Stock:1.0.0:.configurators";

    /// A store, and the texts of a session with it below `root`.
    fn opened(root: &str) -> (Arc<MemoryStore>, TreeConfig) {
        let store = Arc::<MemoryStore>::default();
        let tree: Arc<dyn NodeTree> = store.open();
        let config = TreeConfig::new(&root.into(), &tree);
        (store, config)
    }

    #[tokio::test]
    async fn a_text_is_the_value_of_the_node_that_dubbo_reads() {
        let (store, config) = opened("dubbo");
        let rule = Bytes::from_static(b"enabled: true");
        config.publish(RULE, "dubbo", Some(rule.clone())).await.unwrap();
        let path = "/dubbo/config/dubbo/shop.Stock:1.0.0:.configurators";
        assert_eq!(store.read(path).as_deref(), Some("enabled: true"));
        // It outlives the session.
        assert_eq!(store.owner(path), None);
        assert_eq!(config.get(RULE, "dubbo").await.unwrap(), Some(rule.clone()));

        let updates = ConfigUpdates::default();
        let mut newest = updates.sender().subscribe();
        let watching = config.watch(RULE, "dubbo", &updates);
        let changing = async {
            newest.wait_for(|newest| *newest == Some(Some(rule.clone()))).await.unwrap();
            store.write(path, "enabled: false");
            let other = Bytes::from_static(b"enabled: false");
            newest.wait_for(|newest| *newest == Some(Some(other.clone()))).await.unwrap();
            config.publish(RULE, "dubbo", None).await.unwrap();
            newest.wait_for(|newest| *newest == Some(None)).await.unwrap();
        };
        tokio::select! {
            ended = watching => panic!("{ended:?}"),
            () = changing => {}
        }
    }

    #[tokio::test]
    async fn taking_away_what_is_not_there_makes_no_node() {
        let (store, config) = opened("shop");
        config.publish("a", "dubbo", None).await.unwrap();
        assert_eq!(store.read("/shop/config/dubbo/a"), None);
    }
}
