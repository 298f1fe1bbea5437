//! `service/method` to the handler that answers it: the table of a provider.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use crate::access_log::{AccessLog, Line, LiveAccessLog};
use crate::codec::Codecs;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::invoker::{BoxInvoker, Invoke, ReplyFuture};
use crate::method::{Method, MethodKind};
use crate::metrics::{MethodMetrics, Metrics};
use crate::peer::Peer;
use crate::server::blocking::Watched;
use crate::server::first_polls::FirstPolls;
use crate::server::gate::{Gates, MethodGate};
use crate::server::handler::Handler;
use crate::server::load_report::MachineLoad;
use crate::service_key::ServiceKey;
use crate::status::{Delivery, Status};
use crate::trace::TraceBridge;
use crate::trail::CallId;

/// Everything a provider serves.
#[derive(Debug)]
pub struct Dispatcher {
    /// By `service/method`, as bytes: what is found needs no check that it is UTF-8.
    routes: HashMap<Box<[u8]>, Arc<Route>, RandomState>,
    services: Vec<ServiceKey>,
    codecs: Codecs,
    metrics: Metrics,
    machine: Option<MachineLoad>,
    bridge: Option<Arc<dyn TraceBridge>>,
    gates: Arc<Gates>,
    ungated: HashSet<String>,
    /// Of calls that come not so far as to a method.
    access_log: LiveAccessLog,
}

/// A call that was turned away before it was one of a method.
#[derive(Debug, Clone, Copy)]
pub struct TurnedAway<'a> {
    /// The method that was called, as `service/method`, as far as that is known.
    pub path: Option<&'a str>,
    /// The caller.
    pub peer: &'a Peer,
    /// Its id in the caller's logs.
    pub id: Option<CallId>,
    /// The reason.
    pub status: &'a Status,
}

/// One method in the table.
pub struct Route {
    method: Arc<Method>,
    invoker: BoxInvoker,
    metrics: MethodMetrics,
    machine: Option<MachineLoad>,
    bridge: Option<Arc<dyn TraceBridge>>,
    access_log: LiveAccessLog,
    /// What limits its calls once work is futile, unless it is configured away.
    gate: Option<MethodGate>,
    /// Counts polls of its handlers for the watcher of threads.
    watched: Watched,
    first_polls: FirstPolls,
    /// Whether a handler has not been ready at its first poll.
    waits: AtomicBool,
}

impl Dispatcher {
    /// An empty table that answers in these codecs.
    #[must_use]
    pub fn new(codecs: Codecs, metrics: Metrics) -> Self {
        let gates = Gates::new(Instant::now());
        let (routes, services, ungated) = Default::default();
        let (machine, bridge) = (None, None);
        let access_log = LiveAccessLog::default();
        Self { routes, services, codecs, metrics, machine, bridge, gates, ungated, access_log }
    }

    /// Leaves the method at `service/method` without a gate: all of its calls run, however many
    /// come. For services added after it.
    pub fn leave_open(&mut self, path: impl Into<String>) {
        self.ungated.insert(path.into());
    }

    /// Reports the load of the machine to callers that ask, for services added after it. `machine`
    /// returns the load in percent of all processors, `None` if it is not known. It is called for
    /// every answer that reports it, so it must not wait.
    #[must_use]
    pub fn with_machine_load(
        mut self,
        machine: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) -> Self {
        self.machine = Some(MachineLoad::new(machine));
        self
    }

    /// Makes spans continue the traces of their callers by `bridge`, for services added after it.
    #[must_use]
    pub fn with_trace_bridge(mut self, bridge: Arc<dyn TraceBridge>) -> Self {
        self.bridge = Some(bridge);
        self
    }

    /// Adds every method of `handler` under `service`. `layer` wraps each in the layers of position
    /// *provider*; each of them goes around [`within_layer`](super::within_layer), because
    /// otherwise the handler sees the call as it arrived.
    ///
    /// # Errors
    /// The service is already in the table.
    pub fn add(
        &mut self,
        service: ServiceKey,
        handler: Arc<dyn Handler>,
        mut layer: impl FnMut(&Arc<Method>, BoxInvoker) -> BoxInvoker,
    ) -> Result<(), Error> {
        if self.services.contains(&service) {
            return Err(Error::invalid_config(format!(
                "service {service} is served twice; give one of them a group or a version"
            )));
        }
        for (index, described) in handler.descriptor().methods.iter().enumerate() {
            let (name, kind) = (described.name, described.kind);
            let method = Method::new(service.clone(), name, kind, described.idempotent);
            let method = Arc::new(method.with_signature(described.signature));
            let bound = Bound { handler: handler.clone(), index };
            let invoker = layer(&method, BoxInvoker::from_invoke(bound));
            let metrics = self.metrics.method(&method);
            let path = method.path().clone();
            let waits = AtomicBool::new(false);
            let (machine, bridge) = (self.machine.clone(), self.bridge.clone());
            // A one-way call has nobody who would come back.
            let gated = kind == MethodKind::Unary && !self.ungated.contains(&*path);
            let gate =
                || MethodGate::new(path.clone(), self.gates.clone(), self.metrics.gate(&method));
            let gate = gated.then(gate);
            let watched = Watched::new(path.clone());
            let first_polls = FirstPolls::since(Instant::now());
            let route = Route {
                method,
                invoker,
                metrics,
                machine,
                bridge,
                access_log: LiveAccessLog::default(),
                gate,
                watched,
                first_polls,
                waits,
            };
            self.routes.insert(path.as_bytes().into(), Arc::new(route));
        }
        self.services.push(service);
        Ok(())
    }

    /// Says which calls of the method at `service/method` leave a line in the access log, from now on;
    /// `None` is for calls that come not so far as to a method.
    pub fn set_access_log(&self, path: Option<&str>, log: AccessLog) {
        match path.and_then(|path| self.routes.get(path.as_bytes())) {
            Some(route) => route.access_log.set(log),
            None if path.is_none() => self.access_log.set(log),
            None => {}
        }
    }

    /// Leaves a line in the access log of a call that was `turned_away` before it was one of a method.
    #[cold]
    pub fn note_turned_away(&self, turned_away: &TurnedAway<'_>) {
        let TurnedAway { path, peer, id, status } = *turned_away;
        let route = path.and_then(|path| self.routes.get(path.as_bytes()));
        let log = route.map_or(&self.access_log, |route| &route.access_log).get();
        if log.tells(true) {
            let (service, method) = path.and_then(|path| path.rsplit_once('/')).unzip();
            let line = Line {
                side: "provider",
                service,
                method,
                peer: Some(peer),
                code: status.code(),
                took: Duration::ZERO,
                attempts: None,
                id,
                message: status.message(),
            };
            line.write();
        }
    }

    /// The services in the order they were added.
    #[must_use]
    pub fn services(&self) -> &[ServiceKey] {
        &self.services
    }

    /// The names of the methods of `service`, sorted.
    #[must_use]
    pub fn methods(&self, service: &ServiceKey) -> Vec<&str> {
        let routes = self.routes.values().filter(|route| route.method.service() == service);
        let mut names: Vec<&str> = routes.map(|route| route.method.name()).collect();
        names.sort_unstable();
        names
    }

    /// The codecs it answers in.
    #[must_use]
    #[inline]
    pub fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    /// The counters of its methods.
    #[must_use]
    #[inline]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The method at `service/method`.
    ///
    /// # Errors
    /// `unimplemented`, refused, naming what is missing and what there is.
    #[inline]
    pub fn route(&self, path: &str) -> Result<&Arc<Route>, Status> {
        self.routes.get(path.as_bytes()).ok_or_else(|| self.missing(path))
    }

    /// The method at `service/method`, as it came off the wire.
    ///
    /// # Errors
    /// As [`route`](Self::route); `invalid_argument`, refused, if it is not UTF-8.
    #[inline]
    pub fn route_bytes(&self, path: &[u8]) -> Result<&Arc<Route>, Status> {
        self.routes.get(path).ok_or_else(|| match std::str::from_utf8(path) {
            Ok(path) => self.missing(path),
            Err(_) => Status::invalid_argument("the name of the method is not UTF-8")
                .with_delivery(Delivery::Refused),
        })
    }

    fn missing(&self, path: &str) -> Status {
        let (service, method) = path.rsplit_once('/').unwrap_or((path, ""));
        let known = |known: Vec<&str>| known.join(", ");
        let Some(key) = self.services.iter().find(|known| known.as_str() == service) else {
            let names = known(self.services.iter().map(ServiceKey::as_str).collect());
            let service = service.escape_debug();
            return Status::service_missing(format!(
                "no service `{service}` here, available: {names}"
            ));
        };
        let (method, names) = (method.escape_debug(), known(self.methods(key)));
        let text = format!("service {service} has no method `{method}`, available: {names}");
        Status::unimplemented(text).with_delivery(Delivery::Refused)
    }
}

impl Route {
    /// The method that it answers.
    #[must_use]
    #[inline]
    pub fn method(&self) -> &Arc<Method> {
        &self.method
    }

    /// What answers it.
    #[inline]
    pub(crate) fn invoker(&self) -> &BoxInvoker {
        &self.invoker
    }

    /// The source of the machine's load, if it is reported.
    #[inline]
    pub(super) fn machine(&self) -> Option<&MachineLoad> {
        self.machine.as_ref()
    }

    /// What joins its spans to those of their callers.
    #[inline]
    pub(super) fn bridge(&self) -> Option<&Arc<dyn TraceBridge>> {
        self.bridge.as_ref()
    }

    /// Which of its calls leave a line in the access log.
    #[inline]
    pub(super) fn access_log(&self) -> AccessLog {
        self.access_log.get()
    }

    /// What limits its calls once work is futile.
    pub(super) fn gate(&self) -> Option<&MethodGate> {
        self.gate.as_ref()
    }

    /// Its counters.
    #[must_use]
    #[inline]
    pub fn metrics(&self) -> &MethodMetrics {
        &self.metrics
    }

    /// What counts polls of its handlers.
    #[inline]
    pub(super) fn watched(&self) -> &Watched {
        &self.watched
    }

    /// Whether at `now` its handlers are quick enough to be polled by the connection's own task: they
    /// take less than 20 µs on average, and none held its thread for 1 ms in the last minute.
    #[inline]
    pub fn runs_inline(&self, now: Instant) -> bool {
        self.first_polls.are_quick(now)
    }

    /// Whether its calls are known to run on after their first poll, so that they need room.
    #[inline]
    pub fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// Notes a call that was not ready at its first poll.
    #[inline]
    pub fn note_waiting(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }

    /// Notes how long a first poll took that ended at `now`.
    #[inline]
    pub fn note_first_poll(&self, took: Duration, now: Instant) {
        self.first_polls.note(took, now);
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.method.fmt(f)
    }
}

/// A handler bound to one of its methods.
struct Bound {
    handler: Arc<dyn Handler>,
    index: usize,
}

impl Invoke for Bound {
    #[inline]
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        self.handler.call(self.index, invocation)
    }
}
