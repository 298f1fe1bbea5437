//! Follows lists, and calls while it does.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use dubhe::prelude::*;
use registry::Registry;
use rpc_core::{Snapshot, Subscription};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::BoxError;
use crate::measure::{allocated, cpu, memory_kib, now_us, quantiles};
use crate::provider::{CHANGED, service};
use crate::role::Orders;

/// Longest time until lists are complete.
const LIMIT: Duration = Duration::from_secs(120);

/// What is called.
#[dubhe::service(name = "scale.Echo")]
pub trait Echo {
    /// The same number.
    #[rpc(idempotent)]
    async fn echo(&self, number: u64) -> Result<u64>;
}

pub(crate) async fn run(url: &str) -> Result<(), BoxError> {
    let registry = registry::connect(url)?;
    let mut followed = Vec::new();
    let mut consumer: Option<(Consumer, EchoClient)> = None;
    println!("ready");
    let mut orders = Orders::new();
    while let Some((word, numbers)) = orders.next().await? {
        match (&*word, &numbers[..]) {
            ("follow", [services, each]) => {
                println!("{}", follow(&registry, &mut followed, *services, *each).await?);
            }
            ("lags", [seconds]) => {
                let time = Duration::from_secs(*seconds as u64);
                println!("{}", lags(&mut followed[0], time).await?);
            }
            ("idle", [seconds]) => {
                let before = cpu()?;
                sleep(Duration::from_secs(*seconds as u64)).await;
                println!("{}", (cpu()? - before).as_millis());
            }
            ("memory", []) => println!("{}", memory_kib()?),
            ("leave", []) => {
                followed.clear();
                println!("left");
            }
            ("calls", until) => {
                let (_, client) = match &consumer {
                    Some(made) => made,
                    None => {
                        let made = Consumer::new(url).set("registry.cache", false).build()?;
                        let client = made.client().await?;
                        consumer.insert((made, client))
                    }
                };
                let done = match until {
                    [seconds] => calls(client, sleep(Duration::from_secs(*seconds as u64))).await,
                    // Until the next order, whatever it is.
                    _ => calls(client, async { drop(orders.next().await) }).await,
                };
                println!("{done}");
            }
            _ => return Err(format!("no order `{word}`").into()),
        }
    }
    Ok(())
}

/// Follows the lists of the first services until each has `each` instances: the time that takes and the CPU
/// time, in milliseconds, and the memory of an instance in bytes, as allocated and of the process.
async fn follow(
    registry: &Arc<dyn Registry>,
    followed: &mut Vec<Subscription>,
    services: usize,
    each: usize,
) -> Result<String, BoxError> {
    let (before, worked, begun) = ((allocated(), memory_kib()?), cpu()?, Instant::now());
    let mut following = JoinSet::new();
    for number in 0..services {
        let registry = Arc::clone(registry);
        following.spawn(async move {
            let mut subscription = registry.subscribe(&service(number)).await?;
            while subscription.latest().instances.len() < each {
                let next = timeout(LIMIT, subscription.next()).await;
                next.map_err(|_| "a list is not complete")?.ok_or("the registry has gone")?;
            }
            Ok::<_, BoxError>((number, subscription))
        });
    }
    let mut all = following.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (took, worked) = (begun.elapsed(), cpu()? - worked);
    all.sort_by_key(|(number, _)| *number);
    followed.extend(all.into_iter().map(|(_, subscription)| subscription));
    // What reading took is given back.
    sleep(Duration::from_secs(1)).await;
    let grown = memory_kib()?.saturating_sub(before.1) * 1024;
    let taken = allocated().saturating_sub(before.0);
    let took = took.as_secs_f64() * 1e3;
    let count = services * each;
    Ok(format!("{took:.0} {} {} {}", worked.as_millis(), taken / count, grown / count as u64))
}

/// The times from changes to the lists that have them, and the CPU time in milliseconds meanwhile.
async fn lags(list: &mut Subscription, time: Duration) -> Result<String, BoxError> {
    let before = cpu()?;
    let mut seen = changes(&list.latest());
    let (mut lags, end) = (Vec::new(), Instant::now() + time);
    while let Ok(Some(snapshot)) = tokio::time::timeout_at(end, list.next()).await {
        let now = now_us();
        for (address, changed) in changes(&snapshot) {
            if seen.insert(address, changed).is_some_and(|old| old != changed) {
                lags.push(now.saturating_sub(changed));
            }
        }
    }
    let (count, used) = (lags.len(), cpu()? - before);
    Ok(format!("{count} {} {}", quantiles(lags), used.as_millis()))
}

/// When each instance was changed last.
fn changes(snapshot: &Snapshot) -> HashMap<Arc<str>, u64> {
    let changed = |metadata: &str| metadata.parse().unwrap_or(0);
    let all = snapshot.instances.iter();
    all.map(|one| (one.address.clone(), one.metadata.get(CHANGED).map_or(0, |at| changed(at))))
        .collect()
}

/// Calls 1,000 times a second until it is the end: how many failed, and how long the others took.
async fn calls(client: &EchoClient, end: impl Future<Output = ()>) -> String {
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut end = pin!(end);
    let mut running = JoinSet::new();
    loop {
        let due = tokio::select! {
            () = &mut end => break,
            due = ticks.tick() => due,
        };
        let client = client.clone();
        running.spawn(async move {
            let answer = client.echo(1).await;
            (answer.is_ok(), u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX))
        });
    }
    let ended = running.join_all().await;
    let failed = ended.iter().filter(|(is_ok, _)| !is_ok).count();
    let took = ended.iter().filter(|(is_ok, _)| *is_ok).map(|(_, took)| *took).collect();
    format!("{failed} {}", quantiles(took))
}
