//! Ten providers, one of them slow: what share each balancer gives it, and what callers feel.
//!
//! `cargo run --release --example balancers` takes about ten seconds. It exits with 0 only if every
//! balancer keeps to what `docs/balancers.md` says of it.

#![allow(unreachable_pub, reason = "a program for people to read")]

#[path = "../command_line.rs"]
mod command_line;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{Error, RunningProvider};
use tokio::task::JoinSet;
use tokio::time::Instant;

const REGISTRY: &str = "memory://balancers";
const PROVIDERS: usize = 10;
const CALLERS: usize = 20;
/// How long a provider takes, and the slow one.
const QUICK: Duration = Duration::from_millis(2);
const SLOW: Duration = Duration::from_millis(50);
const TIME: Duration = Duration::from_millis(900);

/// The balancers, and the largest share of the calls that the slow one may have, in percent. Those
/// that look at latency or calls in flight spare it; the others give everybody the same, and their
/// callers wait.
const BALANCERS: [(&str, f64); 7] = [
    ("p2c", 4.0),
    ("adaptive", 4.0),
    ("shortestresponse", 4.0),
    ("leastactive", 7.0),
    ("random", 25.0),
    ("roundrobin", 25.0),
    ("consistenthash", 25.0),
];

#[dubhe::service]
trait Kitchen {
    /// Cooks a dish, and says who did.
    #[rpc(idempotent)]
    async fn cook(&self, dish: u64) -> Result<u32>;
}

struct Cook {
    number: u32,
    takes: Duration,
}

impl Kitchen for Cook {
    async fn cook(&self, _dish: u64) -> Result<u32> {
        tokio::time::sleep(self.takes).await;
        Ok(self.number)
    }
}

async fn providers() -> Result<Vec<RunningProvider>, Error> {
    let mut running = Vec::new();
    for number in 0..PROVIDERS as u32 {
        let takes = if number == 0 { SLOW } else { QUICK };
        let provider = Provider::new(REGISTRY).set("provider.port", 0).set("provider.notice", "0s");
        let cook = KitchenServer::new(Cook { number, takes });
        running.push(provider.serve(cook).start().await?);
    }
    Ok(running)
}

/// Who cooked how many dishes, and how long each took.
#[derive(Default)]
struct Seen {
    by_cook: BTreeMap<u32, usize>,
    took: Vec<Duration>,
}

impl Seen {
    fn share(&self, cook: u32) -> f64 {
        let own = self.by_cook.get(&cook).copied().unwrap_or_default();
        100.0 * own as f64 / self.took.len().max(1) as f64
    }

    fn p99(&mut self) -> Duration {
        self.took.sort_unstable();
        self.took.get(self.took.len() * 99 / 100).copied().unwrap_or_default()
    }
}

/// Callers with one call at a time each, for a while.
async fn measure(balancer: &str) -> std::result::Result<Seen, Box<dyn std::error::Error>> {
    let consumer = Consumer::new(REGISTRY).set("consumer.loadbalance", balancer).build()?;
    let kitchen: KitchenClient = consumer.client().await?;
    let mut callers = JoinSet::new();
    let end = Instant::now() + TIME;
    for caller in 0..CALLERS as u64 {
        let kitchen = kitchen.clone();
        callers.spawn(async move {
            let mut seen = Vec::new();
            for dish in (caller..).step_by(CALLERS) {
                let begun = Instant::now();
                if begun > end {
                    break;
                }
                let cook = kitchen.cook(dish).await?;
                seen.push((cook, begun.elapsed()));
            }
            Ok::<_, Status>(seen)
        });
    }
    let mut all = Seen::default();
    while let Some(caller) = callers.join_next().await {
        for (cook, took) in caller?? {
            *all.by_cook.entry(cook).or_default() += 1;
            all.took.push(took);
        }
    }
    Ok(all)
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    command_line::expect_nothing("balancers");
    let (running, mut out) = (providers().await?, std::io::stdout());
    writeln!(out, "ten providers take {QUICK:?}, but the first takes {SLOW:?}\n")?;
    writeln!(out, "{:<17} {:>7} {:>18} {:>9}", "balancer", "calls", "share of the slow", "p99")?;
    let mut broken = Vec::new();
    for (balancer, most) in BALANCERS {
        let mut seen = measure(balancer).await?;
        let (calls, share, p99) = (seen.took.len(), seen.share(0), seen.p99());
        writeln!(out, "{balancer:<17} {calls:>7} {share:>16.1} % {:>6} ms", p99.as_millis())?;
        // Whoever is not told of latency goes on giving the slow one its share.
        let is_blind = most > 20.0;
        let is_kept = share <= most && (!is_blind || (share >= 3.0 && p99 >= SLOW));
        if !is_kept || seen.by_cook.len() < PROVIDERS {
            broken.push(balancer);
        }
    }
    for provider in running {
        provider.shutdown().await;
    }
    if broken.is_empty() {
        writeln!(out, "\nbalancers: each as stated")?;
        return Ok(());
    }
    Err(format!("not as stated: {}", broken.join(", ")).into())
}
