//! Every service that a registry lists, from both levels.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use rpc_core::{Error, InstancePool, ServiceKey};

use super::super::merged::{ReadRecord, merge};
use super::super::paths::{TreePaths, is_segment};
use super::super::tree::ReadOf;
use super::applications::Processes;
use super::providers::{ProviderReader, applications};
use super::read::ListReader;

/// How many interfaces or applications are read at the same time.
const AT_ONCE: usize = 16;

impl ListReader {
    /// The services with at least one provider.
    pub(super) async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        let (of_interfaces, of_applications) =
            tokio::try_join!(self.services_of_interfaces(), self.services_of_applications())?;
        let services: BTreeSet<ServiceKey> =
            of_interfaces.into_iter().chain(of_applications).collect();
        Ok(services.into_iter().collect())
    }

    async fn services_of_interfaces(&self) -> Result<BTreeSet<ServiceKey>, Error> {
        let folders = self.tree.children(self.paths.interfaces(), ReadOf::Names).await?;
        let folders = folders.into_iter().map(|folder| folder.name);
        let interfaces = folders.filter(|name| TreePaths::interface_of(name).is_some());
        let reads = interfaces.map(|name| {
            // As the server has it: Go encodes a name in another way than Java.
            let path = format!("{}/{name}/providers", self.paths.interfaces());
            async move {
                let nodes = self.tree.children(&path, ReadOf::Names).await?;
                let known = ProviderReader::default().read(&nodes).known;
                let services = known.iter().map(|provider| provider.instance.service.clone());
                Ok(services.collect::<BTreeSet<_>>())
            }
        });
        let reads: Vec<_> = reads.collect();
        stream::iter(reads).buffer_unordered(AT_ONCE).try_concat().await
    }

    async fn services_of_applications(&self) -> Result<BTreeSet<ServiceKey>, Error> {
        let folders = self.tree.children(self.paths.applications(), ReadOf::Names).await?;
        let names = folders.into_iter().map(|folder| folder.name.to_string());
        let reads: Vec<_> = names.map(|name| self.services_of(name)).collect();
        let read: Vec<(String, BTreeSet<ServiceKey>, bool)> =
            stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut services = BTreeSet::new();
        let mut unread = BTreeSet::new();
        for (application, read, is_whole) in read {
            services.extend(read);
            if !is_whole {
                unread.insert(application);
            }
        }
        if !unread.is_empty() {
            services.extend(self.services_mapped_to(&unread).await?);
        }
        Ok(services)
    }

    /// The services of one application, and whether those of all of its processes could be read.
    async fn services_of(
        &self,
        application: String,
    ) -> Result<(String, BTreeSet<ServiceKey>, bool), Error> {
        let Processes { known, .. } = self.read_processes(application.clone()).await?;
        let every = ServiceKey::with_parts("*", "*", "*");
        let mut pool = InstancePool::default();
        let mut read_record = |process: &super::applications::KnownProcess| {
            ReadRecord::new(&every, &process.record, process.metadata.as_deref(), &mut pool)
        };
        let records: Vec<ReadRecord> = known.iter().map(&mut read_record).collect();
        let services = merge(&every, [], &records).instances;
        let services = services.into_iter().map(|instance| instance.service.clone());
        let is_read = |process: &super::applications::KnownProcess| {
            process.metadata.is_some() || process.record.services.is_some()
        };
        let is_whole = known.iter().all(is_read);
        // One whose services are unread stands under the name that was asked for.
        let services = services.filter(|service| service.interface() != "*").collect();
        Ok((application, services, is_whole))
    }

    /// The interfaces that are mapped to applications some of whose processes do not say what they serve.
    async fn services_mapped_to(
        &self,
        unread: &BTreeSet<String>,
    ) -> Result<BTreeSet<ServiceKey>, Error> {
        let mappings = self.tree.children(&self.paths.mappings(), ReadOf::Values).await?;
        let is_theirs =
            |value: &[u8]| applications(Some(value)).iter().any(|name| unread.contains(name));
        let theirs = mappings.iter().filter(|node| is_theirs(&node.value));
        let names = theirs.filter(|node| is_segment(&node.name)).map(|node| Arc::clone(&node.name));
        Ok(names.filter_map(|name| name.parse::<ServiceKey>().ok()).collect())
    }
}
