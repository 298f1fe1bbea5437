//! Who consumes a service, for people: the entries of consumers, ours and those of others.

use rpc_core::{Error, ServiceKey};

use super::super::provider_url::{Unread, read_consumer};
use super::super::service_rules::satisfies;
use super::super::tree::{ReadOf, TreeNode};
use super::super::url::DubboUrl;
use super::read::ListReader;
use crate::listed_consumer::ListedConsumer;
use crate::off_thread::off_thread_if_long;
use crate::sound::{self, UnsoundInstances};

impl ListReader {
    /// The consumers of `service`; entries that cannot be read are left out and logged.
    ///
    /// # Errors
    /// The session is lost, or we may not read.
    pub(super) async fn consumers(
        &self,
        service: &ServiceKey,
    ) -> Result<Vec<ListedConsumer>, Error> {
        let nodes = self.tree.children(&self.paths.consumers(service), ReadOf::Names).await?;
        let (items, wanted) = (nodes.len(), service.clone());
        let (consumers, left_out) =
            off_thread_if_long(items, move || read(&nodes, &wanted)).await?;
        self.layout.told.no_consumers(&self.layout.address, service, &left_out);
        Ok(consumers)
    }
}

fn read(nodes: &[TreeNode], service: &ServiceKey) -> (Vec<ListedConsumer>, UnsoundInstances) {
    let (mut consumers, mut left_out) = (Vec::new(), UnsoundInstances::default());
    for TreeNode { name, .. } in nodes {
        let url = DubboUrl::from_node_name(name).map_err(Unread::Malformed);
        match url.and_then(|url| read_consumer(&url)) {
            Ok((wanted, consumer)) if satisfies(&wanted, service) => consumers.push(consumer),
            Ok(_) | Err(Unread::NotProvided(_)) => {}
            Err(Unread::Malformed(why)) => left_out.add(format!("{}: {why}", sound::plain(name))),
        }
    }
    (consumers, left_out)
}
