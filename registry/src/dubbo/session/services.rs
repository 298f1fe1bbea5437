//! Every service that a registry lists, from both levels. A folder that cannot be read costs no other: it is
//! told with the reason.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use rpc_core::{Error, InstancePool, ServiceKey};

use super::super::merged::{ReadRecord, merge};
use super::super::paths::{TreePaths, is_segment};
use super::super::tree::{NodeName, ReadOf};
use super::applications::{KnownProcess, Processes};
use super::list_maker::read_one;
use super::providers::{ProviderNodes, Providers, applications};
use super::read::ListReader;
use crate::sound::{self, UnsoundInstances};

/// How many interfaces or applications are read at the same time.
const AT_ONCE: usize = 16;

/// What was read of the folders of a level, and which could not be read, and why.
pub(super) struct ReadFolders<T> {
    pub(super) read: Vec<T>,
    pub(super) unread: UnsoundInstances,
    /// Why the level itself cannot be read, so that its folders are not known.
    pub(super) closed: Option<Error>,
}

impl<T> ReadFolders<T> {
    /// Parts what was read from what could not be.
    ///
    /// # Errors
    /// None of the folders can be read.
    fn of(folders: Vec<(NodeName, Result<T, Error>)>) -> Result<Self, Error> {
        let (mut read, mut unread, mut first) = (Vec::new(), UnsoundInstances::default(), None);
        for (name, outcome) in folders {
            match outcome {
                Ok(one) => read.push(one),
                Err(error) => {
                    unread.add(format!("{}: {error}", sound::plain(&name)));
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            Some(error) if read.is_empty() => Err(error),
            _ => Ok(Self { read, unread, closed: None }),
        }
    }

    /// A level that cannot be read.
    fn closed(error: Error) -> Self {
        Self { read: Vec::new(), unread: UnsoundInstances::default(), closed: Some(error) }
    }

    fn is_whole(&self) -> bool {
        self.unread.count == 0 && self.closed.is_none()
    }
}

impl ListReader {
    /// The services with at least one provider. What cannot be read of some folders is logged.
    ///
    /// # Errors
    /// As [`both_levels`](Self::both_levels).
    pub(super) async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        let levels = (self.services_of_interfaces(), self.services_of_applications());
        let (interfaces, applications) = self.both_levels(levels.0, levels.1).await?;
        let mut unread = interfaces.unread;
        unread.join(&applications.unread);
        self.layout.told.unread(&self.layout.address, &unread);
        let closed = [("interface", interfaces.closed), ("application", applications.closed)];
        for (level, closed) in closed {
            let Some(error) = closed else { continue };
            self.layout.told.closed(&self.layout.address, level, &error);
        }
        let services: BTreeSet<ServiceKey> =
            interfaces.read.into_iter().chain(applications.read).collect();
        Ok(services.into_iter().collect())
    }

    /// What was read of both levels; one that cannot be read costs not the other.
    ///
    /// # Errors
    /// The session is lost, or what can be read is nothing.
    pub(super) async fn both_levels<A, B>(
        &self,
        interfaces: impl Future<Output = Result<ReadFolders<A>, Error>>,
        applications: impl Future<Output = Result<ReadFolders<B>, Error>>,
    ) -> Result<(ReadFolders<A>, ReadFolders<B>), Error> {
        let (interfaces, applications) = match tokio::join!(interfaces, applications) {
            (Err(error), Err(_)) => return Err(error),
            (Err(error), Ok(other)) if other.read.is_empty() => return Err(error),
            (Ok(other), Err(error)) if other.read.is_empty() => return Err(error),
            (interfaces, applications) => (
                interfaces.unwrap_or_else(ReadFolders::closed),
                applications.unwrap_or_else(ReadFolders::closed),
            ),
        };
        if !interfaces.is_whole() || !applications.is_whole() {
            // A session that is lost meanwhile fails for what is read last, and that is not the folder.
            self.check_session().await?;
        }
        Ok((interfaces, applications))
    }

    /// Fails if nothing can be read any more.
    async fn check_session(&self) -> Result<(), Error> {
        let levels = [self.paths.interfaces(), self.paths.applications()];
        let mut failed = Ok(());
        for level in levels {
            match self.tree.children(level, ReadOf::Names).await {
                Ok(_) => return Ok(()),
                Err(error) => failed = Err(error),
            }
        }
        failed
    }

    async fn services_of_interfaces(&self) -> Result<ReadFolders<ServiceKey>, Error> {
        let services = |providers: &Providers| -> BTreeSet<ServiceKey> {
            providers.iter().map(|provider| provider.instance.service.clone()).collect()
        };
        let ReadFolders { read, unread, closed } = self.each_interface(services).await?;
        Ok(ReadFolders { read: read.into_iter().flatten().collect(), unread, closed })
    }

    /// What `read` makes of the providers of every interface.
    pub(super) async fn each_interface<T>(
        &self,
        read: impl Fn(&Providers) -> T + Sync,
    ) -> Result<ReadFolders<T>, Error> {
        let folders = self.tree.children(self.paths.interfaces(), ReadOf::Names).await?;
        let folders = folders.into_iter().map(|folder| folder.name);
        let interfaces = folders.filter(|name| TreePaths::interface_of(name).is_some());
        let reads = interfaces.map(|name| {
            // As the server has it: Go encodes a name in another way than Java.
            let path = format!("{}/{name}/providers", self.paths.interfaces());
            let read = &read;
            let reading = async move {
                let nodes = self.tree.children(&path, ReadOf::Names).await?;
                Ok(read(&ProviderNodes::new(&Arc::default()).read(nodes).await?))
            };
            async move { (name, reading.await) }
        });
        let reads: Vec<_> = reads.collect();
        ReadFolders::of(stream::iter(reads).buffer_unordered(AT_ONCE).collect().await)
    }

    async fn services_of_applications(&self) -> Result<ReadFolders<ServiceKey>, Error> {
        let mut services = BTreeSet::new();
        let mut local = BTreeSet::new();
        let read = |application, processes: &Processes| (application, services_of(processes));
        let ReadFolders { read, mut unread, closed } = self.each_application(read).await?;
        for (application, (read, is_whole)) in read {
            services.extend(read);
            if !is_whole {
                local.insert(application);
            }
        }
        if !local.is_empty() {
            match self.services_mapped_to(&local).await {
                Ok(mapped) => services.extend(mapped),
                Err(error) => unread.add(error.to_string()),
            }
        }
        Ok(ReadFolders { read: services.into_iter().collect(), unread, closed })
    }

    /// What `read` makes of the processes of every application, whose name it is given.
    pub(super) async fn each_application<T>(
        &self,
        read: impl Fn(String, &Processes) -> T + Sync,
    ) -> Result<ReadFolders<T>, Error> {
        let folders = self.tree.children(self.paths.applications(), ReadOf::Names).await?;
        let reads = folders.into_iter().map(|folder| {
            let (name, read) = (folder.name, &read);
            async move {
                let processes = self.read_processes(name.to_string()).await;
                let read = processes.map(|processes| read(name.to_string(), &processes));
                (name, read)
            }
        });
        let reads: Vec<_> = reads.collect();
        ReadFolders::of(stream::iter(reads).buffer_unordered(AT_ONCE).collect().await)
    }

    /// The interfaces that are mapped to applications some of whose processes do not say what they serve.
    async fn services_mapped_to(
        &self,
        local: &BTreeSet<String>,
    ) -> Result<BTreeSet<ServiceKey>, Error> {
        let mappings = self.tree.children(&self.paths.mappings(), ReadOf::Values).await?;
        let is_theirs =
            |value: &[u8]| applications(Some(value)).names.iter().any(|name| local.contains(name));
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
    let is_whole = processes.iter().all(is_read);
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
    let mut pool = InstancePool::default();
    let mut read = |process: &KnownProcess| read_one(&every(), process, &mut pool);
    processes.iter().map(&mut read).collect()
}
