//! A fleet of mock providers: channels whose answers and states the test decides.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "this is test code outside of test functions")]

pub(crate) mod health;
pub(crate) mod simulation;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dubhe_cluster::load_balance::{LoadBalance, P2c};
use dubhe_cluster::policy::ClusterPolicy;
use dubhe_cluster::router::{ChosenRouter, Router, RouterChain};
use dubhe_cluster::{
    Backlog, Candidates, Cluster, Directory, DirectoryOptions, Endpoint, RetryBudget,
};
use rpc_core::codec::{CodecError, Limits};
use rpc_core::message::{DecodeError, Message, TooDeep};
use rpc_core::{
    Body, BoxInvoker, Changes, Channel, ChannelState, Codec, Codecs, Connector, Deadline, Delivery,
    Instance, Invocation, Invoke, Listeners, Method, MethodKind, Reply, ReplyFuture, ServiceKey,
    Snapshot, Source, Status, Subscription,
};
use tokio::sync::watch;
use tokio::time::Instant;

use self::simulation::{Rolls, address};

/// What a provider does with a call.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Answers after this time.
    After(Duration),
    /// Answers after half of this time up to one and a half, as the number of the call decides.
    Around(Duration),
    /// Fails at once.
    Fail(Status),
    /// Fails after this time.
    FailAfter(Duration, Status),
    /// Never answers: the channel ends the call at its deadline.
    Hang,
}

/// A provider and the channel to it.
pub(crate) struct Mock {
    address: Arc<str>,
    state: Mutex<ChannelState>,
    answer: Mutex<Answer>,
    /// Answers for the next calls, before `answer` holds again.
    next: Mutex<Vec<Answer>>,
    calls: AtomicU64,
    codecs: Mutex<Vec<String>>,
    listeners: Listeners,
}

impl std::fmt::Debug for Mock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mock({})", self.address)
    }
}

impl Mock {
    pub(crate) fn set_state(&self, state: ChannelState) {
        *self.state.lock().unwrap() = state;
        self.listeners.note();
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.next.lock().unwrap().extend(answers);
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// Codecs of the last call, the one it is written in first.
    pub(crate) fn last_codecs(&self) -> Vec<String> {
        self.codecs.lock().unwrap().clone()
    }
}

impl Invoke for Mock {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let number = self.calls.fetch_add(1, Relaxed);
        let names = invocation.codecs.iter().flat_map(|codecs| codecs.names());
        *self.codecs.lock().unwrap() = names.map(str::to_owned).collect();
        let mut next = self.next.lock().unwrap();
        let answer = match next.is_empty() {
            true => self.answer.lock().unwrap().clone(),
            false => next.remove(0),
        };
        let seed =
            self.address.bytes().fold(number, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        let answer = match answer {
            Answer::Around(time) => {
                let thousandths = Rolls(seed).below(1000) as u32;
                Answer::After(time / 2 + time * thousandths / 1000)
            }
            other => other,
        };
        Box::pin(async move {
            let deadline = invocation.deadline.instant();
            let mut reply = reply();
            if invocation.metadata.value("lb_adaptive") == Some("mem,load") {
                let told = format!("curTime:{number},load:30.0");
                reply.metadata.insert("lb_adaptive", told);
            }
            let (time, outcome) = match answer {
                Answer::Fail(status) => return Err(status),
                Answer::FailAfter(time, status) => (time, Err(status)),
                Answer::After(time) => (time, Ok(reply)),
                Answer::Hang => (Duration::MAX, Ok(reply)),
                Answer::Around(_) => unreachable!("made certain above"),
            };
            if waited(time, deadline).await {
                return outcome;
            }
            Err(Status::deadline_exceeded("no answer in time").with_delivery(Delivery::MaybeSent))
        })
    }
}

/// Waits for this time; `false` if the deadline comes first. As channels do, it wakes who waits when
/// half of the time until then has passed.
async fn waited(time: Duration, deadline: Instant) -> bool {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    if time <= left / 2 {
        tokio::time::sleep(time).await;
        return true;
    }
    tokio::time::sleep(left / 2).await;
    let rest = tokio::time::sleep(time.min(Duration::from_secs(3600)) - left / 2);
    tokio::time::timeout_at(deadline, rest).await.is_ok()
}

impl Channel for Mock {
    fn address(&self) -> &Arc<str> {
        &self.address
    }

    fn state(&self) -> ChannelState {
        *self.state.lock().unwrap()
    }

    fn report_to(&self, changes: &Changes) {
        self.listeners.add(changes);
    }
}

/// All mock providers by address; connects to any.
#[derive(Debug, Default, Clone)]
pub(crate) struct Net {
    mocks: Arc<Mutex<HashMap<String, Arc<Mock>>>>,
}

impl Net {
    pub(crate) fn mock(&self, address: &str) -> Arc<Mock> {
        let mut mocks = self.mocks.lock().unwrap();
        let new = || {
            Arc::new(Mock {
                address: address.into(),
                state: Mutex::new(ChannelState::Ready),
                answer: Mutex::new(Answer::After(Duration::from_millis(1))),
                next: Mutex::default(),
                calls: AtomicU64::new(0),
                codecs: Mutex::default(),
                listeners: Listeners::default(),
            })
        };
        mocks.entry(address.to_owned()).or_insert_with(new).clone()
    }

    pub(crate) fn total(&self) -> u64 {
        self.mocks.lock().unwrap().values().map(|m| m.calls()).sum()
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
    pub(crate) push: watch::Sender<Snapshot>,
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
        let (push, snapshots) = watch::channel(first);
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
        Cluster {
            directory: self.directory.clone(),
            routers,
            balancer,
            policy,
            budget: self.budget.clone(),
            backlog: self.backlog.clone(),
            seed: Some(1),
        }
        .into_invoker()
    }

    /// Pushes a live list and lets the directory take it over.
    pub(crate) async fn push(&self, next: Snapshot) {
        self.push.send_replace(next);
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
    Method::new(service(), "reserve", MethodKind::Unary, idempotent).with_stand_in(Some(stand_in()))
}

/// An answer in place of a failure, which tells itself from a provider's.
pub(crate) fn stand_in() -> Reply {
    let mut reply = reply();
    reply.metadata.insert("stand-in", "yes");
    reply
}

pub(crate) fn is_stand_in(reply: &Reply) -> bool {
    reply.metadata.value("stand-in").is_some()
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

    fn encode_proto(&self, _: &mut BytesMut) -> Result<(), TooDeep> {
        Ok(())
    }

    fn merge_proto(&mut self, _: Bytes, _: &mut Limits) -> Result<(), DecodeError> {
        Ok(())
    }

    fn as_serialize(&self) -> &dyn erased_serde::Serialize {
        &()
    }

    fn merge_serde(
        &mut self,
        _: &mut dyn erased_serde::Deserializer<'_>,
        _: &mut Limits,
    ) -> Result<(), erased_serde::Error> {
        Ok(())
    }
}
