//! Lists this process as a consumer of the services that it watches, so that people see who calls whom.
//!
//! Nothing waits for it: one task writes and removes the entries, and tries again what fails. It counts the
//! entries of others, too: by their number consumers spread over time what they do after a loss.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rand::seq::IteratorRandom as _;
use rpc_core::{Error, ServiceKey};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::super::layout::Layout;
use super::super::paths::TreePaths;
use super::super::provider_url::consumer_url;
use super::super::tree::NodeTree;
use crate::backend::Demand;
use crate::lock::locked;
use crate::sound::UnsoundInstances;

/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Limit of one operation.
const LIMIT: Duration = Duration::from_secs(5);

/// How many services the consumers are counted of each time, chosen at random.
const COUNTED: usize = 4;

/// How long the consumers are not counted again for each that there was, once they are no longer coming in: servers
/// that do not count name them all, which makes two names a second.
const UNCOUNTED_FOR_ONE: Duration = Duration::from_millis(500);

/// The same for however many.
const LONGEST_UNCOUNTED: Duration = Duration::from_secs(600);

/// The services that this process watches in a session.
///
/// Its task begins with the first of them and ends with the session.
#[derive(Debug)]
pub(super) struct Consumers {
    tree: Arc<dyn NodeTree>,
    layout: Arc<Layout>,
    paths: Arc<TreePaths>,
    /// How many watches there are of each.
    watched: watch::Sender<BTreeMap<ServiceKey, usize>>,
    /// How many consumers there are of the service that has the most; 0 while that is not known.
    peers: Arc<AtomicUsize>,
    /// How often the entries are checked.
    check: Duration,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A watch of a service, for as long as it runs.
pub(super) struct Consuming {
    consumers: Arc<Consumers>,
    service: ServiceKey,
}

impl Consumers {
    pub(super) fn new(
        tree: &Arc<dyn NodeTree>,
        layout: &Arc<Layout>,
        paths: &Arc<TreePaths>,
        demand: &Demand,
    ) -> Arc<Self> {
        Arc::new(Self {
            tree: Arc::clone(tree),
            layout: Arc::clone(layout),
            paths: Arc::clone(paths),
            watched: watch::Sender::default(),
            peers: Arc::default(),
            check: demand.reconcile,
            task: Mutex::default(),
        })
    }

    /// Lists this process as a consumer of `service` until the result is dropped; `None` if consumers are
    /// not to be listed.
    pub(super) fn enter(self: &Arc<Self>, service: &ServiceKey) -> Option<Consuming> {
        if !self.layout.registers_consumers {
            return None;
        }
        self.watched.send_modify(|watched| *watched.entry(service.clone()).or_default() += 1);
        let mut task = locked(&self.task);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            let entries = Entries {
                tree: Arc::clone(&self.tree),
                layout: Arc::clone(&self.layout),
                paths: Arc::clone(&self.paths),
                written: BTreeMap::new(),
                peers: Arc::clone(&self.peers),
                check: self.check,
                uncounted_until: Instant::now(),
            };
            *task = Some(tokio::spawn(entries.keep(self.watched.subscribe())));
        }
        Some(Consuming { consumers: Arc::clone(self), service: service.clone() })
    }

    /// How many consumers share the services of this one, if that is known.
    pub(super) fn peers(&self) -> Option<usize> {
        Some(self.peers.load(Ordering::Relaxed)).filter(|peers| *peers > 0)
    }

    /// Ends its task; the entries end with the session.
    pub(super) fn end(&self) {
        if let Some(task) = locked(&self.task).take() {
            task.abort();
        }
    }
}

impl Drop for Consuming {
    fn drop(&mut self) {
        self.consumers.watched.send_modify(|watched| {
            if let Some(count) = watched.get_mut(&self.service) {
                *count -= 1;
                if *count == 0 {
                    watched.remove(&self.service);
                }
            }
        });
    }
}

/// The entries as they are in the tree.
struct Entries {
    tree: Arc<dyn NodeTree>,
    layout: Arc<Layout>,
    paths: Arc<TreePaths>,
    written: BTreeMap<ServiceKey, Entry>,
    peers: Arc<AtomicUsize>,
    check: Duration,
    uncounted_until: Instant,
}

struct Entry {
    /// The address of this machine that it names. Its path follows from that, and is long.
    host: Arc<str>,
    /// Whether the registry has confirmed it.
    is_there: bool,
    /// Whether it may go: one of a session before waits until the watches of that are back.
    may_go: bool,
}

impl Entries {
    /// Keeps them as `watched` says; ends with the session.
    async fn keep(mut self, mut watched: watch::Receiver<BTreeMap<ServiceKey, usize>>) {
        let of_before = self.layout.own.of_consumers().into_iter();
        let inherited = |(service, host)| (service, Entry { host, is_there: false, may_go: false });
        self.written.extend(of_before.map(inherited));
        let host = host_towards(&self.layout.servers).await.into();
        let mut next_check = Instant::now() + self.check;
        loop {
            let services: BTreeSet<ServiceKey> =
                watched.borrow_and_update().keys().cloned().collect();
            self.remove_all_but(&services).await;
            self.write(&services, &host).await;
            let is_done = self.written.values().all(|entry| entry.is_there)
                && self.written.len() == services.len();
            self.count(&services).await;
            let retry = (!is_done).then(|| Instant::now() + RETRY);
            let again = retry.map_or(next_check, |retry| retry.min(next_check));
            tokio::select! {
                changed = watched.changed() => if changed.is_err() { return },
                () = sleep_until(again) => {
                    // Between checks only what is missing is written, and what is too many removed.
                    let is_check = again == next_check;
                    for entry in self.written.values_mut() {
                        entry.may_go = true;
                        entry.is_there &= !is_check;
                    }
                    if is_check {
                        next_check = Instant::now() + self.check;
                    }
                }
            }
        }
    }

    /// Counts the consumers of some services, unless that was done lately.
    async fn count(&mut self, services: &BTreeSet<ServiceKey>) {
        if services.is_empty() || Instant::now() < self.uncounted_until {
            return;
        }
        let chosen: Vec<_> = services.iter().sample(&mut rand::rng(), COUNTED);
        let before = self.peers.load(Ordering::Relaxed);
        let mut most = 0;
        for service in chosen {
            let counted = timeout(LIMIT, self.tree.count(&self.paths.consumers(service))).await;
            // An error leaves what is known: it may have been of the service that has the most.
            most = most.max(counted.ok().and_then(Result::ok).unwrap_or(before));
        }
        self.peers.store(most, Ordering::Relaxed);
        // While they come in, nobody has seen all.
        if most <= before.saturating_add(before / 8) {
            let each = u32::try_from(most).unwrap_or(u32::MAX);
            let rest = UNCOUNTED_FOR_ONE.saturating_mul(each).min(LONGEST_UNCOUNTED);
            self.uncounted_until = Instant::now() + rest;
        }
    }

    async fn remove_all_but(&mut self, services: &BTreeSet<ServiceKey>) {
        let is_gone =
            |(service, entry): &(&ServiceKey, &Entry)| entry.may_go && !services.contains(*service);
        let gone = self.written.iter().filter(is_gone).map(|(service, _)| service.clone());
        for service in gone.collect::<Vec<_>>() {
            let path = self.path(&service, &self.written[&service].host);
            if let Ok(Ok(())) = timeout(LIMIT, self.tree.remove_owned(&path)).await {
                self.written.remove(&service);
                self.layout.own.remove_consumer(&service);
            }
        }
    }

    /// Writes what is not known to be there. What fails is logged, once in a while as long as it does.
    async fn write(&mut self, services: &BTreeSet<ServiceKey>, host: &Arc<str>) {
        let mut unlisted = UnsoundInstances::default();
        for service in services {
            if self.written.get(service).is_some_and(|entry| entry.is_there) {
                continue;
            }
            // Noted before it is written: it may have been when that fails.
            let entry = Entry { host: Arc::clone(host), is_there: false, may_go: true };
            self.layout.own.add_consumer(service, host);
            self.written.insert(service.clone(), entry);
            let path = self.path(service, host);
            let put = timeout(LIMIT, self.tree.put_owned(&path, Bytes::new())).await;
            match put.unwrap_or_else(|_| Err(silent())) {
                Ok(()) => {
                    if let Some(entry) = self.written.get_mut(service) {
                        entry.is_there = true;
                    }
                }
                Err(error) => unlisted.add(format!("{service}: {error}")),
            }
        }
        // The loss of a session is told by who opens the next.
        if self.tree.reason().is_none() {
            self.layout.told.unlisted(&self.layout.address, &unlisted);
        }
    }

    /// The path of the entry at `service` that names this address.
    fn path(&self, service: &ServiceKey, host: &str) -> String {
        let started = (self.layout.own.started_ms, std::process::id());
        let url = consumer_url(service, &self.layout.application, host, started);
        format!("{}/{}", self.paths.consumers(service), url.to_node_name())
    }
}

fn silent() -> Error {
    Error::unreachable(format!("the registry has not answered within {} s", LIMIT.as_secs()))
}

/// The address of this machine on the way to the first of `servers` that it can reach; nothing is sent.
async fn host_towards(servers: &[String]) -> String {
    for server in servers {
        for any in ["0.0.0.0:0", "[::]:0"] {
            let ask = async {
                let socket = UdpSocket::bind(any).await.ok()?;
                socket.connect(server).await.ok()?;
                Some(socket.local_addr().ok()?.ip().to_string())
            };
            if let Ok(Some(host)) = timeout(LIMIT, ask).await {
                return host;
            }
        }
    }
    "127.0.0.1".to_owned()
}
