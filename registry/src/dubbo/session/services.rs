//! Every service that a registry lists, from both levels.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use rpc_core::{Error, ServiceKey};

use super::super::merged::{ReadRecord, merge};
use super::super::paths::{TreePaths, is_segment};
use super::super::shared_instances::SharedInstances;
use super::super::tree::ReadOf;
use super::applications::{KnownProcess, Processes};
use super::list_maker::read_one;
use super::providers::{ProviderNodes, Providers, applications};
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
        let services = |providers: &Providers| -> BTreeSet<ServiceKey> {
            providers.known.iter().map(|provider| provider.instance.service.clone()).collect()
        };
        Ok(self.each_interface(services).await?.into_iter().flatten().collect())
    }

    /// What `read` makes of the providers of every interface.
    pub(super) async fn each_interface<T>(
        &self,
        read: impl Fn(&Providers) -> T + Sync,
    ) -> Result<Vec<T>, Error> {
        let folders = self.tree.children(self.paths.interfaces(), ReadOf::Names).await?;
        let folders = folders.into_iter().map(|folder| folder.name);
        let interfaces = folders.filter(|name| TreePaths::interface_of(name).is_some());
        let reads = interfaces.map(|name| {
            // As the server has it: Go encodes a name in another way than Java.
            let path = format!("{}/{name}/providers", self.paths.interfaces());
            let read = &read;
            async move {
                let nodes = self.tree.children(&path, ReadOf::Names).await?;
                Ok(read(&ProviderNodes::read(nodes).await?))
            }
        });
        let reads: Vec<_> = reads.collect();
        stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn services_of_applications(&self) -> Result<BTreeSet<ServiceKey>, Error> {
        let mut services = BTreeSet::new();
        let mut unread = BTreeSet::new();
        let read = |application, processes: &Processes| (application, services_of(processes));
        for (application, (read, is_whole)) in self.each_application(read).await? {
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

    /// What `read` makes of the processes of every application, whose name it is given.
    pub(super) async fn each_application<T>(
        &self,
        read: impl Fn(String, &Processes) -> T + Sync,
    ) -> Result<Vec<T>, Error> {
        let folders = self.tree.children(self.paths.applications(), ReadOf::Names).await?;
        let names = folders.into_iter().map(|folder| folder.name.to_string());
        let reads = names.map(|name| {
            let read = &read;
            async move {
                let processes = self.read_processes(name.clone()).await?;
                Ok(read(name, &processes))
            }
        });
        let reads: Vec<_> = reads.collect();
        stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await
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
        let names = theirs.filter(|node| is_segment(&node.name)).map(|node| node.name.clone());
        Ok(names.filter_map(|name| name.parse::<ServiceKey>().ok()).collect())
    }
}

/// The services of the processes of one application, and whether those of all could be read.
fn services_of(processes: &Processes) -> (BTreeSet<ServiceKey>, bool) {
    let records = every_record(processes);
    let services = merge(&every(), [], &records).instances;
    let services = services.into_iter().map(|instance| instance.service.clone());
    let is_read =
        |process: &KnownProcess| process.metadata.is_some() || process.record.has_services();
    let is_whole = processes.known.iter().all(is_read);
    // One whose services are unread stands under the name that was asked for.
    let services = services.filter(|service| service.interface() != "*").collect();
    (services, is_whole)
}

/// What matches every service.
pub(super) fn every() -> ServiceKey {
    ServiceKey::with_parts("*", "*", "*")
}

/// What the processes mean to who wants [`every`] service.
pub(super) fn every_record(processes: &Processes) -> Vec<ReadRecord> {
    let mut shared = SharedInstances::default();
    let mut read = |process: &KnownProcess| read_one(&every(), process, &mut shared);
    processes.known.iter().map(&mut read).collect()
}
