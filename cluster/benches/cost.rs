//! What the cluster layer costs a call: nanoseconds and allocations on top of the bare channel.
//!
//! `cargo xtask bench cluster [--quick] [name…]`
//!
//! For every balancer (under failover) and every policy (over p2c), or for those named, at 3, 100
//! and 10,000 instances. The channels answer at once, so what is measured is directory, choice,
//! load, spans that nobody reads, policy; no socket, no codec, no stub. What is taken off is what
//! as many bare channels cost, called in the same order: of ten thousand, a bare one is cold too.
//! The time is the median of many short runs, so that a busy machine disturbs it little;
//! allocations are counted and exact.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints a table")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dubhe_cluster::router::RouterChain;
use dubhe_cluster::{
    Directory, DirectoryOptions, Picker, PickerParts, RetryBudget, load_balance, policy,
};
use rpc_core::message::{Message, Read, Reader, Writer};
use rpc_core::{
    Body, BoxInvoker, Changes, Channel, ChannelState, Connector, Deadline, Instance, Invocation,
    Invoke, Latest, Method, MethodKind, Params, Reply, ReplyFuture, ServiceKey, Snapshot, Source,
    Subscription,
};
use tokio::time::Instant;

/// Numbers of instances.
const SIZES: [usize; 3] = [3, 100, 10_000];

/// What a call may cost: nanoseconds and allocations on top of the channel.
const AIM: (f64, f64) = (300.0, 2.0);

/// Policies that send a call to several instances, and so cost several calls.
const SEND_SEVERAL: [&str; 2] = ["forking", "broadcast"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let quick = args.iter().any(|arg| arg == "--quick");
    let named: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let is_asked = |name: &str| named.is_empty() || named.iter().any(|asked| *asked == name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bare = Bare::measure(quick).await;
        println!(
            "on top of the channels, at {SIZES:?} instances; the aim: {} ns, {} allocations",
            AIM.0, AIM.1
        );
        let mut over = Vec::new();
        for name in load_balance::builtin().names().filter(|name| is_asked(name)) {
            over.extend(row("balancer", name, "failover", name, &bare, quick).await);
        }
        for name in policy::builtin().names().filter(|name| is_asked(name)) {
            over.extend(row("policy", name, name, "p2c", &bare, quick).await);
        }
        over.retain(|name| !SEND_SEVERAL.contains(name));
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

/// In which order channels are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// By lot.
    Drawn,
    InTurn,
    /// The first alone.
    First,
}

impl Order {
    /// That in which a balancer or a policy calls them.
    fn of(name: &str) -> Self {
        match name {
            "roundrobin" => Self::InTurn,
            "available" => Self::First,
            _ => Self::Drawn,
        }
    }
}

/// What bare channels cost, for each order and size.
struct Bare(Vec<(Order, [Cost; SIZES.len()])>);

impl Bare {
    /// Measures them, and prints it.
    async fn measure(quick: bool) -> Self {
        let mut costs = Vec::new();
        for order in [Order::Drawn, Order::InTurn, Order::First] {
            let (mut of_order, mut cells) = ([Cost::default(); SIZES.len()], String::new());
            for (cost, size) in of_order.iter_mut().zip(SIZES) {
                *cost = measure(&BoxInvoker::from_invoke(Channels::new(order, size)), quick).await;
                cells += &format!(" | {:>9.0} ns {:>8.1} alloc", cost.nanos, cost.allocations);
            }
            println!("{:<25}{cells}", format!("bare channels, {order:?}"));
            costs.push((order, of_order));
        }
        Self(costs)
    }

    fn of(&self, order: Order) -> [Cost; SIZES.len()] {
        self.0.iter().find(|(of, _)| *of == order).unwrap().1
    }
}

/// What a call costs.
#[derive(Debug, Clone, Copy, Default)]
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
    bare: &Bare,
    quick: bool,
) -> Option<&'static str> {
    let (mut cells, mut most) = (String::new(), 0.0_f64);
    for (size, bare) in SIZES.into_iter().zip(bare.of(Order::of(name))) {
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
    let mut calls = Calls { call: call(), made: 0 };
    // Fills caches, rings and lists; and shows how many calls make a run of about a millisecond.
    for _ in 0..50 {
        invoker.invoke(calls.next()).await.unwrap();
    }
    let begun = Instant::now();
    for _ in 0..50 {
        invoker.invoke(calls.next()).await.unwrap();
    }
    let one = begun.elapsed() / 50;
    let calls_of_run = (1_000_000 / one.as_nanos().max(1)).clamp(5, 5_000) as usize;
    let mut runs = Vec::new();
    for _ in 0..if quick { 15 } else { 101 } {
        let begun = Instant::now();
        for _ in 0..calls_of_run {
            invoker.invoke(calls.next()).await.unwrap();
        }
        runs.push(begun.elapsed().as_nanos() as f64 / calls_of_run as f64);
    }
    runs.sort_by(f64::total_cmp);
    let counted = 100;
    let allocated = allocation_counter::measure(|| {
        // Every answer is ready, so nothing here waits for the runtime.
        for _ in 0..counted {
            let _ = now_or_never(invoker.invoke(calls.next()));
        }
    });
    let allocations = allocated.count_total as f64 / f64::from(counted);
    Cost { nanos: runs[runs.len() / 2], allocations }
}

/// Calls of the same method, each of another key.
struct Calls {
    call: Invocation,
    made: u64,
}

impl Calls {
    fn next(&mut self) -> Invocation {
        self.made += 1;
        let mut call = self.call.clone();
        call.hash_key = Some(self.made);
        call
    }
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
    Invocation::new(method.into(), Body::typed(Nothing), deadline)
}

/// The invoker of one policy and one balancer over `size` instances, and the end of its list.
fn cluster(policy: &str, balancer: &str, size: usize) -> (BoxInvoker, Latest<Snapshot>) {
    let service = ServiceKey::new("bench.Echo");
    let instance = |number: usize| {
        let address = address(number);
        Instance::new(service.clone(), &address, &address)
    };
    let snapshot = Snapshot::new((0..size).map(instance).collect(), Source::Live);
    let (push, snapshots) = Latest::channel(snapshot);
    let options = DirectoryOptions::default();
    let directory =
        Directory::follow(service, Subscription::new(snapshots, ()), Arc::new(Everywhere), options);
    let picker = Picker::new(PickerParts {
        directory: Arc::new(directory),
        routers: RouterChain::default(),
        balancer: load_balance::builtin().build(balancer, Params::new()).unwrap(),
        budget: Arc::new(RetryBudget::default()),
        backlog: Arc::default(),
        seed: Some(1),
    });
    let policy = policy::builtin().build(policy, Params::new()).unwrap();
    (policy.layer(picker), push)
}

fn address(number: usize) -> String {
    format!("10.{}.{}.{}:20880", number >> 16, (number >> 8) & 255, number & 255)
}

/// Channels that are called one after the other, with nothing around them.
struct Channels {
    order: Order,
    channels: Vec<Arc<dyn Channel>>,
}

impl Channels {
    fn new(order: Order, size: usize) -> Self {
        let channel = |number| Arc::new(Answering::new(&address(number))) as Arc<dyn Channel>;
        Self { order, channels: (0..size).map(channel).collect() }
    }
}

impl Invoke for Channels {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let number = invocation.hash_key.unwrap_or_default();
        // Fibonacci hashing, which spreads numbers in a row well enough.
        let lot = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
        let index = match self.order {
            Order::Drawn => (lot * self.channels.len()) >> 32,
            Order::InTurn => number as usize % self.channels.len(),
            Order::First => 0,
        };
        self.channels[index].invoke(invocation)
    }
}

/// Connected to every address.
#[derive(Debug)]
struct Everywhere;

impl Connector for Everywhere {
    fn channel(&self, instance: &Instance) -> Arc<dyn Channel> {
        Arc::new(Answering::new(&instance.address))
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

    fn report_to(&self, _: &Changes) {}
}

/// The empty message.
#[derive(Debug, Default)]
struct Nothing;

impl Message for Nothing {
    fn proto_len(&self) -> usize {
        0
    }

    fn encode_proto(&self, _: &mut bytes::BytesMut) -> Result<(), rpc_core::message::Problem> {
        Ok(())
    }

    fn merge_proto(
        &mut self,
        _: Bytes,
        _: &mut rpc_core::codec::Limits,
    ) -> Result<(), rpc_core::message::DecodeError> {
        Ok(())
    }

    fn write(&self, _: &mut dyn Writer) {}

    fn read(&mut self, _: &mut dyn Reader, _: &mut rpc_core::codec::Limits) -> Read {
        Ok(())
    }
}
