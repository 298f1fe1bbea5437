//! What the cluster layer costs a call: nanoseconds and allocations on top of the bare channel.
//!
//! `cargo xtask bench cluster [--quick]`
//!
//! For every balancer (under failover) and every policy (over p2c), at 3, 100 and 10,000
//! instances. The channel answers at once, so what is measured is directory, choice, load, spans
//! that nobody reads, policy; no socket, no codec, no stub. The time is the median of many short
//! runs, so that a busy machine disturbs it little; allocations are counted and exact.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints a table")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dubhe_cluster::router::RouterChain;
use dubhe_cluster::{Cluster, Directory, DirectoryOptions, RetryBudget, load_balance, policy};
use rpc_core::message::Message;
use rpc_core::{
    Body, BoxInvoker, Channel, ChannelState, Connector, Deadline, Instance, Invocation, Invoke,
    Method, MethodKind, Params, Reply, ReplyFuture, ServiceKey, Snapshot, Source, Subscription,
};
use tokio::sync::watch;
use tokio::time::Instant;

/// Numbers of instances.
const SIZES: [usize; 3] = [3, 100, 10_000];

/// What a call may cost: nanoseconds and allocations on top of the channel.
const AIM: (f64, f64) = (300.0, 2.0);

/// Policies that send a call to several instances, and so cost several calls.
const SEND_SEVERAL: [&str; 2] = ["forking", "broadcast"];

/// Asks each instance for its load five times a second, in metadata: of ten thousand instances,
/// with nearly every call of a short run.
const ASKS: &str = "adaptive";

fn main() -> ExitCode {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bare = measure(&BoxInvoker::from_invoke(Answering::new("10.0.0.1:1")), quick).await;
        println!(
            "the bare channel: {:.0} ns, {:.1} allocations a call",
            bare.nanos, bare.allocations
        );
        println!(
            "on top of it, at {SIZES:?} instances; the aim: {} ns, {} allocations",
            AIM.0, AIM.1
        );
        let mut over = Vec::new();
        for name in load_balance::builtin().names() {
            over.extend(row("balancer", name, "failover", name, bare, quick).await);
        }
        for name in policy::builtin().names() {
            over.extend(row("policy", name, name, "p2c", bare, quick).await);
        }
        over.retain(|name| !SEND_SEVERAL.contains(name) && *name != ASKS);
        // Times are for people to judge, who know what else the machine does.
        match over.is_empty() {
            true => ExitCode::SUCCESS,
            false => {
                println!("more than {} allocations a call: {}", AIM.1, over.join(", "));
                ExitCode::FAILURE
            }
        }
    })
}

/// What a call costs.
#[derive(Debug, Clone, Copy)]
struct Cost {
    nanos: f64,
    allocations: f64,
}

/// Prints what one of them costs; its name, if that is too many allocations.
async fn row(
    kind: &str,
    name: &'static str,
    policy: &str,
    balancer: &str,
    bare: Cost,
    quick: bool,
) -> Option<&'static str> {
    let (mut cells, mut most) = (String::new(), 0.0_f64);
    for size in SIZES {
        let (invoker, _push) = cluster(policy, balancer, size);
        let cost = measure(&invoker, quick).await;
        let (nanos, allocations) = (cost.nanos - bare.nanos, cost.allocations - bare.allocations);
        most = most.max(allocations);
        cells += &format!(" | {nanos:>9.0} ns {allocations:>8.1} alloc");
    }
    println!("{kind:<8} {name:<16}{cells}");
    (most > AIM.1).then_some(name)
}

/// The median time of a call over short runs, and what it allocates.
async fn measure(invoker: &BoxInvoker, quick: bool) -> Cost {
    let call = call();
    // Fills caches, rings and lists; and shows how many calls make a run of about a millisecond.
    let begun = Instant::now();
    for _ in 0..50 {
        invoker.invoke(call.clone()).await.unwrap();
    }
    let one = begun.elapsed() / 50;
    let calls = (1_000_000 / one.as_nanos().max(1)).clamp(5, 5_000) as usize;
    let mut runs = Vec::new();
    for _ in 0..if quick { 15 } else { 101 } {
        let begun = Instant::now();
        for _ in 0..calls {
            invoker.invoke(call.clone()).await.unwrap();
        }
        runs.push(begun.elapsed().as_nanos() as f64 / calls as f64);
    }
    runs.sort_by(f64::total_cmp);
    let counted = 100;
    let allocated = allocation_counter::measure(|| {
        // Every answer is ready, so nothing here waits for the runtime.
        for _ in 0..counted {
            let _ = now_or_never(invoker.invoke(call.clone()));
        }
    });
    let allocations = allocated.count_total as f64 / f64::from(counted);
    Cost { nanos: runs[runs.len() / 2], allocations }
}

fn now_or_never<T>(mut future: std::pin::Pin<Box<dyn Future<Output = T> + Send>>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("a channel that answers at once was waited for"),
    }
}

fn call() -> Invocation {
    let method = Method::new(ServiceKey::new("bench.Echo"), "echo", MethodKind::Unary, true);
    let deadline = Deadline::after(Duration::from_secs(3600));
    let mut call = Invocation::new(method.into(), Body::typed(Nothing), deadline);
    call.hash_key = Some(42);
    call
}

/// The invoker of one policy and one balancer over `size` instances, and the end of its list.
fn cluster(policy: &str, balancer: &str, size: usize) -> (BoxInvoker, watch::Sender<Snapshot>) {
    let service = ServiceKey::new("bench.Echo");
    let instance = |number: usize| {
        let address = format!("10.{}.{}.{}:20880", number >> 16, (number >> 8) & 255, number & 255);
        Instance::new(service.clone(), &address, &address)
    };
    let snapshot = Snapshot::new((0..size).map(instance).collect(), Source::Live);
    let (push, snapshots) = watch::channel(snapshot);
    let options = DirectoryOptions::default();
    let directory =
        Directory::follow(service, Subscription::new(snapshots, ()), Arc::new(Everywhere), options);
    let invoker = Cluster {
        directory: Arc::new(directory),
        routers: RouterChain::default(),
        balancer: load_balance::builtin().build(balancer, Params::new()).unwrap(),
        policy: policy::builtin().build(policy, Params::new()).unwrap(),
        budget: Arc::new(RetryBudget::default()),
        backlog: Arc::default(),
        seed: Some(1),
    };
    (invoker.into_invoker(), push)
}

/// Connected to every address.
#[derive(Debug)]
struct Everywhere;

impl Connector for Everywhere {
    fn channel(&self, instance: &Instance) -> Arc<dyn Channel> {
        Arc::new(Answering::new(&instance.address))
    }

    fn epoch(&self) -> u64 {
        0
    }
}

/// A channel that answers at once.
#[derive(Debug)]
struct Answering(Arc<str>);

impl Answering {
    fn new(address: &str) -> Self {
        Self(address.into())
    }
}

impl Invoke for Answering {
    fn invoke(&self, _: Invocation) -> ReplyFuture {
        Box::pin(std::future::ready(Ok(Reply::new(Nothing))))
    }
}

impl Channel for Answering {
    fn address(&self) -> &Arc<str> {
        &self.0
    }

    fn state(&self) -> ChannelState {
        ChannelState::Ready
    }
}

/// The empty message.
#[derive(Debug, Default)]
struct Nothing;

impl Message for Nothing {
    fn proto_len(&self) -> usize {
        0
    }

    fn encode_proto(&self, _: &mut bytes::BytesMut) {}

    fn merge_proto(&mut self, _: Bytes) -> Result<(), rpc_core::message::DecodeError> {
        Ok(())
    }

    fn as_serialize(&self) -> &dyn erased_serde::Serialize {
        &()
    }

    fn merge_serde(
        &mut self,
        _: &mut dyn erased_serde::Deserializer<'_>,
    ) -> Result<(), erased_serde::Error> {
        Ok(())
    }
}
