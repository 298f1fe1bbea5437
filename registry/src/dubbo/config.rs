//! The config centre of a tree: a text is the value of `/dubbo/config/<group>/<key>`, as Dubbo's
//! clients and consoles keep rules; those of the group [`OVERRIDES`] are made of the children of
//! `/dubbo/<interface>/configurators`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rpc_core::{Error, ServiceKey};
use tokio::sync::watch;

use super::escape::decode;
use super::layout::Layout;
use super::paths::TreePaths;
use super::tree::{NodeTree, ReadOf, TreeNode};
use crate::config_center::{ConfigSession, ConfigUpdates, OVERRIDES};

/// The texts below the root of a tree.
#[derive(Debug)]
pub(super) struct TreeConfig {
    paths: Arc<TreePaths>,
    tree: Arc<dyn NodeTree>,
    layout: Arc<Layout>,
}

/// Where a text is.
enum TextPlace {
    /// It is the value of this path.
    Value(String),
    /// It is made of the children of the service's folder of overrides.
    Overrides(ServiceKey),
}

impl TreeConfig {
    /// The texts of a registry.
    pub(super) fn new(
        tree: &Arc<dyn NodeTree>,
        layout: &Arc<Layout>,
        paths: &Arc<TreePaths>,
    ) -> Self {
        Self { paths: Arc::clone(paths), tree: Arc::clone(tree), layout: Arc::clone(layout) }
    }

    /// Dubbo writes keys as they are; neither has a `/` in it.
    fn place(&self, key: &str, group: &str) -> TextPlace {
        if group != OVERRIDES {
            return TextPlace::Value(format!("{}/config/{group}/{key}", self.paths.interfaces()));
        }
        let mut parts = key.split(':');
        let mut next = || parts.next().unwrap_or_default();
        let (interface, version, group) = (next(), next(), next());
        TextPlace::Overrides(ServiceKey::with_parts(interface, group, version))
    }

    /// The overrides among the children of a service, as a JSON list in the order of their names. The others
    /// are told.
    fn overrides(&self, service: &ServiceKey, nodes: &[TreeNode]) -> Option<Bytes> {
        let (mut urls, mut others) = (Vec::new(), Vec::new());
        for node in nodes {
            match override_of(&node.name) {
                Some(url) => urls.push(url),
                None => others.push(&*node.name),
            }
        }
        self.layout.told.no_overrides(&self.layout.address, service, &others);
        urls.sort_unstable();
        (!urls.is_empty()).then(|| serde_json::Value::from(urls).to_string().into())
    }
}

/// The override that a name stands for, if it does.
fn override_of(name: &str) -> Option<String> {
    let url = decode(name, true).ok()?;
    ["override://", "absent://"].iter().any(|scheme| url.starts_with(scheme)).then_some(url)
}

#[async_trait]
impl ConfigSession for TreeConfig {
    async fn get(&self, key: &str, group: &str) -> Result<Option<Bytes>, Error> {
        match self.place(key, group) {
            TextPlace::Value(path) => self.tree.value(&path).await,
            TextPlace::Overrides(service) => {
                let path = self.paths.overrides(&service);
                Ok(self.overrides(&service, &self.tree.children(&path, ReadOf::Names).await?))
            }
        }
    }

    async fn watch(&self, key: &str, group: &str, updates: &ConfigUpdates) -> Result<(), Error> {
        let service = match self.place(key, group) {
            TextPlace::Value(path) => return self.tree.watch_value(&path, updates).await,
            TextPlace::Overrides(service) => service,
        };
        let path = self.paths.overrides(&service);
        let newest = watch::Sender::new(None);
        let mut children = newest.subscribe();
        let mut watching = self.tree.watch_children(&path, ReadOf::Names, &newest);
        loop {
            let ended = tokio::select! {
                biased;
                _ = children.changed() => None,
                ended = &mut watching => Some(ended),
            };
            if let Some(nodes) = &*children.borrow_and_update() {
                updates.put(self.overrides(&service, nodes));
            }
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    async fn publish(&self, key: &str, group: &str, value: Option<Bytes>) -> Result<(), Error> {
        let TextPlace::Value(path) = self.place(key, group) else {
            return Err(Error::invalid_config(format!(
                "overrides of `{key}` are only read, write the rule under `{key}.configurators` of the \
                 group `dubbo`"
            )));
        };
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
    use crate::dubbo::layout::RecordForm;
    use crate::dubbo::memory_tree::MemoryStore;
    use crate::{RegistryParams, RegistryUrl};

    const RULE: &str = "shop.Stock:1.0.0:.configurators";

    /// A store, and the texts of a session with it below `root`.
    fn opened(root: &str) -> (Arc<MemoryStore>, TreeConfig) {
        let store = Arc::<MemoryStore>::default();
        let tree: Arc<dyn NodeTree> = store.open();
        let address = format!("zookeeper://127.0.0.1?group={root}");
        let (url, params) = (RegistryUrl::parse(&address).unwrap(), RegistryParams::new(address));
        let layout = Layout::of(&url, &params, RecordForm::Curator, 2181).unwrap();
        let config = TreeConfig::new(&tree, &Arc::new(layout), &Arc::new(TreePaths::new(root)));
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
        let mut newest = updates.subscribe();
        let watching = config.watch(RULE, "dubbo", &updates);
        let changing = async {
            newest.wait_for(|newest| newest.value == Some(Some(rule.clone()))).await.unwrap();
            store.write(path, "enabled: false");
            let other = Bytes::from_static(b"enabled: false");
            newest.wait_for(|newest| newest.value == Some(Some(other.clone()))).await.unwrap();
            config.publish(RULE, "dubbo", None).await.unwrap();
            newest.wait_for(|newest| newest.value == Some(None)).await.unwrap();
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

    #[tokio::test]
    async fn overrides_beside_the_providers_of_an_interface_are_one_text() {
        let (store, config) = opened("dubbo");
        let (key, folder) = ("shop.Stock:1.0.0:blue", "/dubbo/shop.Stock/configurators");
        assert_eq!(config.get(key, OVERRIDES).await.unwrap(), None);
        let updates = ConfigUpdates::default();
        let mut newest = updates.subscribe();
        let watching = config.watch(key, OVERRIDES, &updates);
        let urls = [
            "absent://0.0.0.0/shop.Stock?timeout=1",
            "override://0.0.0.0/shop.Stock?timeout=5",
            "override://10.0.0.5:1/shop.Stock?weight=7",
        ];
        let changing = async {
            newest.wait_for(|newest| newest.value == Some(None)).await.unwrap();
            for url in urls.iter().rev().chain(["route://0.0.0.0/shop.Stock?a=b", "nothing"].iter())
            {
                store.write(&format!("{folder}/{}", super::super::escape::encode_form(url)), "");
            }
            store.write(&format!("{folder}/%ff"), "");
            let all = Bytes::from(serde_json::json!(urls).to_string());
            newest.wait_for(|newest| newest.value == Some(Some(all.clone()))).await.unwrap();
            assert_eq!(config.get(key, OVERRIDES).await.unwrap(), Some(all));
        };
        tokio::select! {
            ended = watching => panic!("{ended:?}"),
            () = changing => {}
        }
        let error = config.publish(key, OVERRIDES, None).await.unwrap_err().to_string();
        assert!(error.contains("are only read, write the rule under"), "{error}");
    }
}
