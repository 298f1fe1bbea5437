//! Many providers of one application that come at once, as after a deployment, each with a session of its own: how
//! long it takes until all are registered and listed, and whether their checks cost any of them its place.

use std::process::ExitCode;
use std::sync::Arc;

use registry::{Registration, Registry};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use crate::limits::{self, Limits};
use crate::measure::{cpu, quantiles};
use crate::measured::Measured;
use crate::parts::{numbers, start};
use crate::provider::{instance, service};
use crate::role::Orders;
use crate::{BoxError, USAGE};

/// How many come.
const NEWCOMERS: usize = 1000;

/// What is watched of them, in seconds: the first check of each, and those that follow.
const FIRST_CHECK: usize = 35;
const LATER: usize = 90;

/// Measures it, and prints what comes of it.
pub(crate) async fn measure(words: &[&str]) -> Result<ExitCode, BoxError> {
    let (mut count, mut url, mut words) = (NEWCOMERS, None, words.iter());
    while let Some(word) = words.next() {
        match *word {
            "--count" => count = words.next().ok_or(USAGE)?.parse()?,
            "--registry" => url = Some(*words.next().ok_or(USAGE)?),
            _ => return Err(USAGE.into()),
        }
    }
    let (measured, url) = Measured::start(url).await?;
    let mut reader = start("as-consumer", &url).await?;
    let mut newcomers = start("as-newcomers", &url).await?;
    let mut limits = Limits::default();
    println!("{count} providers at once:");
    reader.tell(&format!("follow 1 {count}")).await?;
    let registered = newcomers.ask(&format!("come {count}")).await?;
    let [p50, p99, last] = numbers(&registered)?;
    println!("  registered: p50 {p50} ms, p99 {p99} ms, the last after {last} ms");
    limits.hold(&limits::REGISTERED, last);
    let [complete, ..] = numbers::<4>(&reader.answer().await?)?;
    println!("  the list of a consumer is complete after {complete} ms");
    let mut before = measured.requests();
    tell_requests(before);
    for (what, seconds) in [("first check", FIRST_CHECK), ("later ones", LATER)] {
        let [lost, used] = numbers(&newcomers.ask(&format!("stay {seconds}")).await?)?;
        let after = measured.requests();
        println!("  {what}, {seconds} s, with {used} ms of CPU time of theirs:");
        tell_requests(after.zip(before).map(|(after, before)| after - before));
        limits.hold(&limits::LOST, lost);
        before = after;
    }
    Ok(limits.close())
}

fn tell_requests(count: Option<f64>) {
    if let Some(count) = count {
        println!("  the registry has answered {count} requests");
    }
}

/// Providers that come and stay as they are told to.
pub(crate) async fn run(url: &str) -> Result<(), BoxError> {
    println!("ready");
    let mut orders = Orders::new();
    let mut registered = Vec::new();
    while let Some((word, numbers)) = orders.next().await? {
        match (&*word, &numbers[..]) {
            ("come", [count]) => {
                let times;
                (registered, times) = come(url, *count).await?;
                println!("{}", quantiles(times));
            }
            ("stay", [seconds]) => {
                let time = Duration::from_secs(*seconds as u64);
                println!("{}", stay(&registered, time).await?);
            }
            _ => return Err(format!("no order `{word}`").into()),
        }
    }
    Ok(())
}

type Newcomer = (Arc<dyn Registry>, Registration);

/// Registers so many, each with a registry of its own; returns how long it took for each, in microseconds.
async fn come(url: &str, count: usize) -> Result<(Vec<Newcomer>, Vec<u64>), BoxError> {
    let registries = (0..count).map(|_| registry::connect(url)).collect::<Result<Vec<_>, _>>()?;
    let mut coming = JoinSet::new();
    let begun = Instant::now();
    for (number, registry) in registries.into_iter().enumerate() {
        coming.spawn(async move {
            let guard = registry.register(instance(service(0), number)).await?;
            guard.watch().wait_for(|is| *is).await?;
            let took = u64::try_from(begun.elapsed().as_micros())?;
            Ok::<_, BoxError>(((registry, guard), took))
        });
    }
    let come = coming.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(come.into_iter().unzip())
}

/// How often one of them is not registered any more within this time, and the CPU time in milliseconds.
async fn stay(registered: &[Newcomer], time: Duration) -> Result<String, BoxError> {
    let before = cpu()?;
    let mut watching = JoinSet::new();
    for (_, guard) in registered {
        watching.spawn(losses(guard.watch(), time));
    }
    let lost: usize = watching.join_all().await.into_iter().sum();
    Ok(format!("{lost} {}", (cpu()? - before).as_millis()))
}

async fn losses(mut registered: watch::Receiver<bool>, time: Duration) -> usize {
    let mut lost = 0;
    let mut end = std::pin::pin!(sleep(time));
    loop {
        let changed = tokio::select! {
            () = &mut end => return lost,
            changed = registered.changed() => changed,
        };
        match changed {
            Ok(()) if *registered.borrow_and_update() => {}
            Ok(()) => lost += 1,
            Err(_) => return lost + 1,
        }
    }
}
