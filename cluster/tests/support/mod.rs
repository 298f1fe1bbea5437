//! A fleet of mock providers: channels whose answers and states the test decides.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "this is test code outside of test functions")]

pub(crate) mod health;
pub(crate) mod mock;
pub(crate) mod simulation;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dubhe_cluster::load_balance::{LoadBalance, P2c};
use dubhe_cluster::policy::ClusterPolicy;
use dubhe_cluster::router::{ChosenRouter, Router, RouterChain};
use dubhe_cluster::{
    Backlog, Candidates, Directory, DirectoryOptions, Endpoint, Picker, PickerParts, RetryBudget,
};
use rpc_core::codec::{CodecError, Limits};
use rpc_core::message::{DecodeError, Message, Problem, Read, Reader, Writer};
use rpc_core::{
    Body, BoxInvoker, Channel, Codec, Codecs, Connector, Deadline, Delivery, Instance, Invocation,
    Latest, Method, MethodKind, Reply, ServiceKey, Snapshot, Source, Status, Subscription,
};

pub(crate) use self::mock::{Answer, Mock};
use self::simulation::address;

/// All mock providers by address; connects to any.
#[derive(Debug, Default, Clone)]
pub(crate) struct Net {
    mocks: Arc<Mutex<HashMap<String, Arc<Mock>>>>,
}

impl Net {
    pub(crate) fn mock(&self, address: &str) -> Arc<Mock> {
        let mut mocks = self.mocks.lock().unwrap();
        let new = || Mock::new(address);
        mocks.entry(address.to_owned()).or_insert_with(new).clone()
    }

    pub(crate) fn total(&self) -> u64 {
        self.mocks.lock().unwrap().values().map(|m| m.calls()).sum()
    }

    /// How often a state was looked at, of all providers together.
    pub(crate) fn looked(&self) -> u64 {
        self.mocks.lock().unwrap().values().map(|mock| mock.looked()).sum()
    }

    /// How many calls each provider got.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        let mocks = self.mocks.lock().unwrap();
        let calls = mocks.iter().map(|(name, mock)| (name.clone(), mock.calls()));
        calls.collect()
    }
}

impl Connector for Net {
    fn channel(&self, instance: &Instance) -> Arc<dyn Channel> {
        self.mock(&instance.address)
    }
}

/// A directory over mock providers, and the end that pushes its snapshots.
pub(crate) struct Fleet {
    pub(crate) net: Net,
    pub(crate) directory: Arc<Directory>,
    pub(crate) push: Latest<Snapshot>,
    pub(crate) budget: Arc<RetryBudget>,
    pub(crate) backlog: Arc<Backlog>,
}

impl Fleet {
    /// A fleet whose registry lists these addresses.
    pub(crate) fn of(addresses: &[&str]) -> Self {
        Self::from(snapshot(addresses), DirectoryOptions::default())
    }

    pub(crate) fn pending() -> Self {
        Self::from(Snapshot::pending(), DirectoryOptions::default())
    }

    pub(crate) fn from(first: Snapshot, options: DirectoryOptions) -> Self {
        let net = Net::default();
        let (push, snapshots) = Latest::channel(first);
        let subscription = Subscription::new(snapshots, ());
        let connector = Arc::new(net.clone());
        let directory = Directory::follow(service(), subscription, connector, options);
        Self {
            net,
            directory: Arc::new(directory),
            push,
            budget: Arc::new(RetryBudget::default()),
            backlog: Arc::default(),
        }
    }

    pub(crate) fn mock(&self, address: &str) -> Arc<Mock> {
        self.net.mock(address)
    }

    pub(crate) fn cluster(&self, policy: impl ClusterPolicy) -> BoxInvoker {
        self.build(Arc::new(policy), Arc::new(P2c::new(Some(1))), RouterChain::default())
    }

    pub(crate) fn build(
        &self,
        policy: Arc<dyn ClusterPolicy>,
        balancer: Arc<dyn LoadBalance>,
        routers: RouterChain,
    ) -> BoxInvoker {
        policy.layer(self.picker(balancer, routers))
    }

    pub(crate) fn picker(&self, balancer: Arc<dyn LoadBalance>, routers: RouterChain) -> Picker {
        Picker::new(PickerParts {
            directory: self.directory.clone(),
            routers,
            balancer,
            budget: self.budget.clone(),
            backlog: self.backlog.clone(),
            seed: Some(1),
        })
    }

    /// Pushes a live list and lets the directory take it over.
    pub(crate) async fn push(&self, next: Snapshot) {
        self.push.send(next);
        settle().await;
    }

    /// Addresses of all endpoints.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let endpoints = self.directory.endpoints();
        endpoints.iter().map(|e| e.address().to_string()).collect()
    }

    pub(crate) fn in_flight(&self) -> u32 {
        let endpoints = self.directory.endpoints();
        endpoints.iter().map(|e| e.load().in_flight()).sum()
    }
}

/// Lets every task run that can, without moving the clock.
pub(crate) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn service() -> ServiceKey {
    ServiceKey::new("shop.Inventory")
}

pub(crate) fn instance(address: &str) -> Instance {
    Instance::new(service(), address, &format!("{address}#1"))
}

pub(crate) fn snapshot(addresses: &[&str]) -> Snapshot {
    Snapshot::new(addresses.iter().map(|a| instance(a)).collect(), Source::Live)
}

/// A call of a method that may run twice, with a second to go.
pub(crate) fn call() -> Invocation {
    call_of(true, Duration::from_secs(1))
}

/// A call of a method that must not run twice.
pub(crate) fn write() -> Invocation {
    call_of(false, Duration::from_secs(1))
}

/// A call that nothing comes back from.
pub(crate) fn one_way() -> Invocation {
    let method = Method::new(service(), "note", MethodKind::OneWay, true);
    let deadline = Deadline::after(Duration::from_secs(1));
    Invocation::new(method.into(), Body::typed(Nothing), deadline)
}

pub(crate) fn call_of(idempotent: bool, timeout: Duration) -> Invocation {
    Invocation::new(method(idempotent).into(), Body::typed(Nothing), Deadline::after(timeout))
}

/// The method that calls are of; the empty answer may stand in for its failures.
pub(crate) fn method(idempotent: bool) -> Method {
    Method::new(service(), "reserve", MethodKind::Unary, idempotent).with_fallback(Some(fallback()))
}

/// An answer in place of a failure, which tells itself from a provider's.
pub(crate) fn fallback() -> Reply {
    let mut reply = reply();
    reply.metadata.insert("fallback", "yes");
    reply
}

pub(crate) fn is_fallback(reply: &Reply) -> bool {
    reply.metadata.value("fallback").is_some()
}

pub(crate) fn reply() -> Reply {
    Reply::new(Nothing)
}

/// A failure that leaves open whether the handler ran.
pub(crate) fn maybe_sent() -> Answer {
    let status = Status::unavailable("connection reset");
    Answer::Fail(status.with_delivery(Delivery::MaybeSent))
}

/// A failure before anything was sent.
pub(crate) fn not_sent() -> Answer {
    let status = Status::unavailable("connection refused");
    Answer::Fail(status.with_delivery(Delivery::NotSent))
}

/// Candidates of these weights; each mock answers after 1 ms.
pub(crate) fn weighted(net: &Net, weights: &[u32]) -> Candidates {
    let endpoint = |(index, weight): (usize, &u32)| endpoint(net, &address(index), *weight);
    Candidates::new(weights.iter().enumerate().map(endpoint).collect())
}

/// Candidates at these addresses.
pub(crate) fn candidates_at(net: &Net, addresses: &[&str]) -> Candidates {
    Candidates::new(addresses.iter().map(|address| endpoint(net, address, 100)).collect())
}

pub(crate) fn endpoint(net: &Net, address: &str, weight: u32) -> Arc<Endpoint> {
    let mut instance = instance(address);
    instance.weight = weight;
    let channel = net.mock(&instance.address);
    Arc::new(Endpoint::new(instance, channel, &Default::default()))
}

/// A call of this key.
pub(crate) fn keyed(key: u64) -> Invocation {
    let mut call = call();
    call.hash_key = Some(key);
    call
}

/// A chain of these routers as `consumer.routers` of a file would name them.
pub(crate) fn chain(routers: Vec<(&str, Arc<dyn Router>)>) -> RouterChain {
    let chosen = |(name, router): (&str, Arc<dyn Router>)| ChosenRouter {
        router,
        name: name.into(),
        set_by: "consumer.routers (dubhe.toml:3:1)".into(),
    };
    RouterChain::new(routers.into_iter().map(chosen).collect())
}

pub(crate) fn codecs(names: &[&'static str]) -> Codecs {
    let mut codecs = names.iter().map(|name| Arc::new(Named(name)) as Arc<dyn Codec>);
    Codecs::new(codecs.next().unwrap(), codecs)
}

/// A codec that has only a name.
#[derive(Debug)]
pub(crate) struct Named(pub(crate) &'static str);

impl Codec for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn content_subtype(&self) -> &'static str {
        self.0
    }

    fn dubbo_id(&self) -> u8 {
        0
    }

    fn encode(&self, _: &dyn Message, _: &mut BytesMut) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode(&self, _: Bytes, _: &mut dyn Message, _: &mut Limits) -> Result<(), CodecError> {
        Ok(())
    }
}

/// The empty message.
#[derive(Debug, Default)]
pub(crate) struct Nothing;

impl Message for Nothing {
    fn proto_len(&self) -> usize {
        0
    }

    fn encode_proto(&self, _: &mut BytesMut) -> Result<(), Problem> {
        Ok(())
    }

    fn merge_proto(&mut self, _: Bytes, _: &mut Limits) -> Result<(), DecodeError> {
        Ok(())
    }

    fn write(&self, _: &mut dyn Writer) {}

    fn read(&mut self, _: &mut dyn Reader, _: &mut Limits) -> Read {
        Ok(())
    }
}
