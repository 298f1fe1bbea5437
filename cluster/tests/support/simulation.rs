//! A cluster on a virtual clock: calls arrive at random, providers misbehave by a script, and each
//! second tells who got what. The same seed gives the same run.

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::DirectoryOptions;
use dubhe_cluster::load_balance::{LoadBalance, builtin};
use dubhe_cluster::policy::Failfast;
use dubhe_cluster::router::RouterChain;
use rpc_core::{ChannelState, Params};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::Instant;

use super::{Answer, Fleet, call, snapshot};

/// How long a healthy provider takes, about.
pub(crate) const HEALTHY: Answer = Answer::Around(Duration::from_millis(10));

/// Keys that calls are made with.
const KEYS: u64 = 10_000;

/// What happens to a provider.
#[derive(Clone)]
pub(crate) enum Event {
    /// It answers like this from now on.
    Answers(Answer),
    /// It is gone: connection and instance.
    Leaves,
    /// It is there again, as a new instance that nobody knows.
    Joins,
}

/// What is simulated.
#[derive(Clone)]
pub(crate) struct Simulation {
    pub(crate) instances: usize,
    /// Calls a second, at most 1000.
    pub(crate) rate: u64,
    pub(crate) seconds: usize,
    pub(crate) seed: u64,
    /// At which second what happens to whom, in order.
    pub(crate) script: Vec<(usize, usize, Event)>,
}

/// What happened in one second.
#[derive(Debug, Default, Clone)]
pub(crate) struct Second {
    /// Calls that each provider got.
    pub(crate) calls: Vec<u64>,
    /// Of the calls that arrived in it and succeeded.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) failed: u64,
}

/// The balancer of this name, with the seed if it takes one.
pub(crate) fn seeded(name: &str, seed: u64) -> Arc<dyn LoadBalance> {
    let mut params = Params::new();
    params.insert("seed".to_owned(), seed.into());
    let balancer = builtin().build(name, params);
    balancer.or_else(|_| builtin().build(name, Params::new())).unwrap()
}

/// The same in every run for the same seed (splitmix64).
pub(crate) struct Rolls(pub(crate) u64);

impl Rolls {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// When a call arrived, and how long it took if it succeeded.
type Ended = (usize, Option<Duration>);

impl Simulation {
    /// Runs it with this balancer; needs a paused clock.
    pub(crate) async fn run(&self, balancer: Arc<dyn LoadBalance>) -> Vec<Second> {
        let all: Vec<String> = (0..self.instances).map(address).collect();
        let mut present = vec![true; self.instances];
        let names: Vec<&str> = all.iter().map(String::as_str).collect();
        // Balancers alone: nobody else takes out those that fail.
        let options = DirectoryOptions { ejection: None, ..DirectoryOptions::default() };
        let fleet = Fleet::from(snapshot(&names), options);
        all.iter().for_each(|address| fleet.mock(address).answer(HEALTHY));
        let cluster = fleet.build(Arc::new(Failfast), balancer, RouterChain::default());
        let (ends, mut ended) = channel::<Ended>(100_000);
        let mut rolls = Rolls(self.seed);
        let mut seconds = vec![Second::default(); self.seconds];
        for (at, second) in seconds.iter_mut().enumerate() {
            for (_, whom, event) in self.script.iter().filter(|(when, ..)| *when == at) {
                self.happen(&fleet, &mut present, *whom, event).await;
            }
            let before = counts(&fleet, &all);
            for _ in 0..1000 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                if rolls.below(1000) < self.rate {
                    let mut call = call();
                    call.hash_key = Some(rolls.below(KEYS));
                    tokio::spawn(note(at, cluster.invoke(call), ends.clone()));
                }
            }
            let after = counts(&fleet, &all);
            second.calls = after.iter().zip(before).map(|(after, before)| after - before).collect();
        }
        drop(ends);
        while let Some((at, latency)) = ended.recv().await {
            match latency {
                Some(latency) => seconds[at].latencies.push(latency),
                None => seconds[at].failed += 1,
            }
        }
        seconds
    }

    async fn happen(&self, fleet: &Fleet, present: &mut [bool], whom: usize, event: &Event) {
        let mock = fleet.mock(&address(whom));
        match event {
            Event::Answers(answer) => return mock.answer(answer.clone()),
            Event::Leaves => mock.set_state(ChannelState::Down),
            Event::Joins => mock.set_state(ChannelState::Ready),
        }
        present[whom] = matches!(event, Event::Joins);
        let there: Vec<String> =
            (0..self.instances).filter(|index| present[*index]).map(address).collect();
        let there: Vec<&str> = there.iter().map(String::as_str).collect();
        fleet.push(snapshot(&there)).await;
    }
}

async fn note(at: usize, call: rpc_core::ReplyFuture, ends: Sender<Ended>) {
    let begun = Instant::now();
    let latency = call.await.is_ok().then(|| begun.elapsed());
    ends.send((at, latency)).await.unwrap();
}

/// Of provider `index`, so that the order of addresses is that of numbers.
pub(crate) fn address(index: usize) -> String {
    format!("p{index:05}:1")
}

fn counts(fleet: &Fleet, all: &[String]) -> Vec<u64> {
    all.iter().map(|address| fleet.mock(address).calls()).collect()
}

/// The share that each provider had of all calls in these seconds.
pub(crate) fn shares(seconds: &[Second]) -> Vec<f64> {
    let mut sums = vec![0_u64; seconds[0].calls.len()];
    for second in seconds {
        sums.iter_mut().zip(&second.calls).for_each(|(sum, calls)| *sum += calls);
    }
    let total: u64 = sums.iter().sum();
    sums.iter().map(|sum| *sum as f64 / total.max(1) as f64).collect()
}

/// The latency that 99 of 100 calls of these seconds did not pass.
pub(crate) fn p99(seconds: &[Second]) -> Duration {
    let mut all: Vec<Duration> = seconds.iter().flat_map(|s| s.latencies.clone()).collect();
    all.sort_unstable();
    all.get((all.len() * 99 / 100).min(all.len().saturating_sub(1))).copied().unwrap_or_default()
}
