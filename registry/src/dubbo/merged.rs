//! One list of a service from both levels: provider URLs, and the records of applications.
//!
//! A process that registers at both levels is listed once, as its record has it. A process that only
//! one level knows is listed too: nothing is lost because its application has other processes, or older
//! ones, at the other level.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::iter;
use std::sync::Arc;

use rpc_core::{Instance, InstancePool, ServiceKey};

use super::application::instances_of;
use super::metadata_info::MetadataInfo;
use super::process::{NEAR_MS, join_urls};
use super::provider_url::ReadProvider;
use super::service_instance::ServiceInstance;
use super::service_rules::{foreign_protocol, satisfies};
use super::shared_instances::{PlacedInstances, SharedTurns};
use super::url::join_address;
use crate::sound::{self, UnsoundInstances};

/// The metadata key under which an instance says why it cannot be called.
pub(crate) const UNREAD: &str = "dubhe.unread";

/// A process of an application that may serve a service, as a consumer of that service sees it.
///
/// There are as many as processes, so it takes little memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReadRecord {
    /// One of ours with one instance of the wanted service, which has its application and its only address.
    Own(Arc<Instance>),
    Other(Box<OtherRecord>),
}

/// A process of which there is more to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OtherRecord {
    application: Box<str>,
    /// Where it is.
    addresses: Box<[Arc<str>]>,
    is_ours: bool,
    services: RecordServices,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RecordServices {
    /// As many as there are service keys that are wanted; none if it serves others only.
    Read(Box<[Arc<Instance>]>),
    /// As many as could be read, and what could not.
    Part(Box<(Box<[Arc<Instance>]>, UnsoundInstances)>),
    /// The process itself keeps what it serves; this is what can be shown of it.
    Local(Arc<Instance>),
    /// The registry has the revision no more, or not yet.
    Missing,
}

/// The result of [`merge`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Every instance, each process once for each service key; unsorted.
    pub(crate) instances: Vec<Arc<Instance>>,
    pub(crate) remarks: Remarks,
}

/// What there is to say of a merged list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remarks {
    /// What is not listed, or listed and not called, and why.
    pub(crate) notes: Vec<Note>,
    /// What records say of services and cannot be read.
    pub(crate) left_out: UnsoundInstances,
}

/// Why processes of an application are not called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// The application, or the empty string.
    pub(crate) application: String,
    /// The reason.
    pub(crate) why: NotCalled,
    /// How many of its processes.
    pub(crate) count: usize,
}

/// A reason for not calling a process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NotCalled {
    /// Its metadata has to be asked of it in a protocol that we do not speak.
    LocalMetadata,
    /// The registry has no metadata of its revision, or none that can be read.
    NoMetadata,
    /// It speaks protocols that we do not.
    Foreign(Vec<String>),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, application) = (self.count, sound::plain(&self.application));
        match &*application {
            "" => write!(f, "{count} without application not called: ")?,
            name => write!(f, "{count} of application `{name}` not called: ")?,
        }
        match &self.why {
            NotCalled::LocalMetadata => f.write_str(
                "services unread: local metadata (set metadata-type=remote there, or register-mode=all)",
            ),
            NotCalled::NoMetadata => {
                f.write_str(
                    "services unread: the registry has no metadata of their revision that can be read",
                )
            }
            NotCalled::Foreign(protocols) => {
                write!(f, "they speak {}", sound::plain(protocols.join(", ")))
            }
        }
    }
}

// === impl ReadRecord ===

impl ReadRecord {
    /// What `record` means to those who want `wanted`. Its `metadata` is what the registry has under its
    /// revision; a record with services of its own, or with local metadata, needs none.
    pub(crate) fn new(
        wanted: &ServiceKey,
        record: &ServiceInstance,
        metadata: Option<&MetadataInfo>,
        pool: &mut InstancePool,
    ) -> Self {
        let read = |(instances, left_out): (Vec<Instance>, UnsoundInstances)| {
            let instances = instances.into_iter().map(Arc::new).collect();
            match left_out.count {
                0 => RecordServices::Read(instances),
                _ => RecordServices::Part(Box::new((instances, left_out))),
            }
        };
        let services = match metadata.or(record.services.as_deref()) {
            _ if record.revision().is_none() => RecordServices::Read(Box::default()),
            Some(metadata) => read(instances_of(wanted, record, metadata, pool)),
            None if record.has_remote_metadata() => RecordServices::Missing,
            None => RecordServices::Local(Arc::new(shown(wanted, record))),
        };
        let ports = record.endpoints().into_iter().map(|endpoint| endpoint.port);
        let ports: BTreeSet<u16> = [record.port].into_iter().chain(ports).collect();
        let addresses = ports.iter().map(|port| join_address(&record.host, *port).into());
        Self::shortened(OtherRecord {
            application: (&*record.application).into(),
            addresses: addresses.collect(),
            is_ours: record.is_ours(),
            services,
        })
    }

    fn shortened(record: OtherRecord) -> Self {
        if let (RecordServices::Read(instances), [address]) = (&record.services, &*record.addresses)
            && let [instance] = &**instances
            && instance.address == *address
            && *instance.application == *record.application
            && record.is_ours
        {
            return Self::Own(Arc::clone(instance));
        }
        Self::Other(Box::new(record))
    }

    /// Holds those of `providers` in place of equal instances, or else those that `shared` has.
    pub(crate) fn share_with(&mut self, providers: &PlacedInstances<'_>, shared: &SharedTurns) {
        for instance in self.instances_mut() {
            match providers.equal(instance) {
                Some(provider) => *instance = Arc::clone(provider),
                None => shared.take().share_of_record(instance),
            }
        }
    }

    fn instances_mut(&mut self) -> &mut [Arc<Instance>] {
        match self {
            Self::Own(instance) => std::slice::from_mut(instance),
            Self::Other(other) => match &mut other.services {
                RecordServices::Read(instances) => instances,
                RecordServices::Part(part) => &mut part.0,
                RecordServices::Local(_) | RecordServices::Missing => &mut [],
            },
        }
    }

    fn application(&self) -> &str {
        match self {
            Self::Own(instance) => &instance.application,
            Self::Other(other) => &other.application,
        }
    }

    fn is_ours(&self) -> bool {
        match self {
            Self::Own(_) => true,
            Self::Other(other) => other.is_ours,
        }
    }

    /// The instances of the wanted service, if they could be read.
    pub(crate) fn instances(&self) -> &[Arc<Instance>] {
        match self {
            Self::Own(instance) => std::slice::from_ref(instance),
            Self::Other(other) => match &other.services {
                RecordServices::Read(instances) => instances,
                RecordServices::Part(part) => &part.0,
                RecordServices::Local(_) | RecordServices::Missing => &[],
            },
        }
    }

    fn addresses(&self) -> &[Arc<str>] {
        match self {
            Self::Own(instance) => std::slice::from_ref(&instance.address),
            Self::Other(other) => &other.addresses,
        }
    }
}

/// A process whose services are unread, under the service that its application is mapped to.
fn shown(wanted: &ServiceKey, record: &ServiceInstance) -> Instance {
    let address = record.id();
    let started_ms = record.started_ms();
    let id = super::params::foreign_id(&address, started_ms);
    let mut instance = Instance::new(wanted.clone(), &address, &id);
    instance.application = (&*record.application).into();
    instance.started_ms = started_ms;
    let mut protocols = Vec::new();
    for endpoint in record.endpoints() {
        let protocol = foreign_protocol(&endpoint.protocol);
        if endpoint.port != record.port {
            let address = join_address(&record.host, endpoint.port);
            instance.endpoints.insert(protocol.clone(), address.into());
        }
        protocols.push(protocol);
    }
    if protocols.is_empty() {
        // An instance that names no protocol is taken to speak ours.
        protocols.push("unread".to_owned());
    }
    instance.protocols = protocols.into();
    instance.metadata =
        Arc::new([(UNREAD.to_owned(), "services unread: local metadata".to_owned())].into());
    instance
}

/// The list of `wanted` from what both levels have.
pub(crate) fn merge<'a>(
    wanted: &ServiceKey,
    providers: impl IntoIterator<Item = &'a ReadProvider>,
    records: impl IntoIterator<Item = &'a ReadRecord>,
) -> Merged {
    let records: Vec<&ReadRecord> = records.into_iter().collect();
    let mut merging = Merging::default();
    for record in &records {
        merging.add_read(record);
    }
    let known: HashSet<&str> =
        records.iter().flat_map(|record| record.addresses()).map(|address| &**address).collect();
    let left: Vec<&ReadProvider> = providers
        .into_iter()
        .filter(|provider| {
            let Instance { service, address, application, .. } = &*provider.instance;
            let is_left_over = provider.may_be_left_over
                && merging.usable.contains(&**application)
                && !known.contains(&**address);
            satisfies(wanted, service) && !merging.covers(provider) && !is_left_over
        })
        .collect();
    for provider in left.iter().filter(|provider| provider.is_ours) {
        merging.list(provider.instance.clone());
    }
    let foreign = left.iter().filter(|provider| !provider.is_ours);
    for instance in join_urls(foreign.map(|provider| &provider.instance)) {
        merging.list_foreign(instance);
    }
    for record in &records {
        merging.add_unread(record);
    }
    merging.finish()
}

/// A list in the making.
#[derive(Default)]
struct Merging<'a> {
    instances: Vec<Arc<Instance>>,
    /// Every address of the instances, that of each protocol too.
    addresses: HashSet<Arc<str>>,
    /// The start of the instance of each service there. One address may have any number of services.
    starts: HashMap<(Arc<str>, ServiceKey), u64>,
    /// Applications of which a record tells an instance.
    usable: HashSet<&'a str>,
    notes: BTreeMap<(String, NotCalled), usize>,
    left_out: UnsoundInstances,
}

impl<'a> Merging<'a> {
    fn list(&mut self, instance: Arc<Instance>) {
        for address in iter::once(&instance.address).chain(instance.endpoints.values()) {
            let place = (Arc::clone(address), instance.service.clone());
            self.starts.entry(place).or_insert(instance.started_ms);
            self.addresses.insert(Arc::clone(address));
        }
        self.instances.push(instance);
    }

    /// The start of the instance of `service` at `address`, if there is one.
    fn start_of(&self, service: &ServiceKey, address: &Arc<str>) -> Option<u64> {
        self.starts.get(&(Arc::clone(address), service.clone())).copied()
    }

    /// Whether an instance is listed that is this one, and not its predecessor at the address.
    fn covers(&self, provider: &ReadProvider) -> bool {
        let ReadProvider { instance, is_ours, .. } = provider;
        let latest = |started_ms: u64| {
            if *is_ours { started_ms } else { started_ms.saturating_add(NEAR_MS) }
        };
        self.start_of(&instance.service, &instance.address)
            .is_some_and(|started_ms| instance.started_ms <= latest(started_ms))
    }

    fn list_foreign(&mut self, instance: Arc<Instance>) {
        self.note(&instance.application, NotCalled::Foreign(instance.protocols.to_vec()));
        self.list(instance);
    }

    fn note(&mut self, application: &str, why: NotCalled) {
        *self.notes.entry((application.to_owned(), why)).or_default() += 1;
    }

    fn add_read(&mut self, record: &'a ReadRecord) {
        if let ReadRecord::Other(other) = record
            && let RecordServices::Part(part) = &other.services
        {
            self.left_out.join(&part.1);
        }
        for instance in record.instances() {
            self.usable.insert(record.application());
            // Go has one record for each port of a process, and each names them all.
            match self.start_of(&instance.service, &instance.address) {
                Some(_) => {}
                None if record.is_ours() => self.list(instance.clone()),
                None => self.list_foreign(instance.clone()),
            }
        }
    }

    fn add_unread(&mut self, record: &ReadRecord) {
        let ReadRecord::Other(other) = record else { return };
        let is_listed = other.addresses.iter().any(|address| self.addresses.contains(address));
        match &other.services {
            RecordServices::Read(_) | RecordServices::Part(_) => {}
            // Its provider URL tells what its record does not.
            _ if is_listed => {}
            RecordServices::Local(instance) => {
                self.note(&other.application, NotCalled::LocalMetadata);
                self.list(instance.clone());
            }
            RecordServices::Missing => self.note(&other.application, NotCalled::NoMetadata),
        }
    }

    fn finish(mut self) -> Merged {
        self.instances.shrink_to_fit();
        let note = |((application, why), count)| Note { application, why, count };
        let notes = self.notes.into_iter().map(note).collect();
        let remarks = Remarks { notes, left_out: self.left_out };
        Merged { instances: self.instances, remarks }
    }
}
