//! The parts of the measurement, and the table that it prints.

use std::process::ExitCode;

use tokio::time::{Duration, Instant, sleep};

use crate::BoxError;
use crate::USAGE;
use crate::limits::{self, Limits};
use crate::measured::Measured;
use crate::role::Role;

/// How much there is of each.
struct Sizes {
    wide: (usize, usize),
    long: usize,
    churning: usize,
    seconds: usize,
    /// Long enough for what is done again and again though nothing changes.
    idle: usize,
}

const FULL: Sizes =
    Sizes { wide: (1000, 20), long: 10_000, churning: 5_000, seconds: 20, idle: 35 };
const QUICK: Sizes = Sizes { wide: (100, 20), long: 1_000, churning: 500, seconds: 3, idle: 5 };

/// How long after it is complete a list still belongs to its beginning: Nacos pushes it once more, a second later.
const BEGINNING: Duration = Duration::from_secs(5);

/// Less CPU time than this, in milliseconds, is not compared: it is counted in ticks of ten.
const LEAST_CPU: f64 = 20.0;

/// The number of a service that nobody follows.
const ELSEWHERE: usize = 5000;

pub(crate) async fn run(words: &[&str]) -> Result<ExitCode, BoxError> {
    let (mut sizes, mut url, mut words) = (FULL, None, words.iter());
    while let Some(word) = words.next() {
        match *word {
            "--quick" => sizes = QUICK,
            "--registry" => url = Some(*words.next().ok_or(USAGE)?),
            _ => return Err(USAGE.into()),
        }
    }
    let (mut measured, url) = Measured::start(url).await?;
    let _provider = start("as-provider", &url).await?;
    let mut filler = start("as-filler", &url).await?;
    let mut limits = Limits::default();
    wide(&url, &mut filler, &sizes, &mut limits).await?;
    let each = churn(&url, &mut filler, &mut measured, &sizes, &mut limits).await?;
    calls(&url, &mut filler, &sizes, &mut limits).await?;
    let twice = long(&url, &sizes, &mut limits).await?;
    limits.hold(&limits::LINEAR, twice / each);
    Ok(limits.close())
}

pub(crate) async fn start(role: &'static str, url: &str) -> Result<Role, BoxError> {
    let mut started = Role::start(role, Some(url))?;
    started.answer().await?;
    Ok(started)
}

/// Lists `each` instances of the services from `from` to `to`.
async fn fill(filler: &mut Role, from: usize, to: usize, each: usize) -> Result<(), BoxError> {
    let begun = Instant::now();
    filler.ask(&format!("fill {from} {to} {each}")).await?;
    let count = (to - from) * each;
    println!("  ({count} instances are listed after {:.1} s)", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Follows lists and says what that costs; returns the CPU time for each instance.
async fn follow(
    reader: &mut Role,
    services: usize,
    each: usize,
    limits: &mut Limits,
) -> Result<f64, BoxError> {
    let answer = reader.ask(&format!("follow {services} {each}")).await?;
    let [took, cpu, taken, grown] = numbers(&answer)?;
    println!("  complete in {took} ms with {cpu} ms of CPU time");
    println!("  an instance takes {taken} bytes, {grown} of the process with what is free");
    limits.hold(&limits::MEMORY, taken);
    Ok(cpu.max(LEAST_CPU) / (services * each) as f64)
}

/// What a consumer uses while nothing changes, once all that its lists began with has come.
async fn idle(reader: &mut Role, seconds: usize, limits: &mut Limits) -> Result<(), BoxError> {
    sleep(BEGINNING).await;
    let [used] = numbers(&reader.ask(&format!("idle {seconds}")).await?)?;
    limits.hold(&limits::IDLE, used / 10.0 / seconds as f64);
    Ok(())
}

/// Many services of few instances.
async fn wide(
    url: &str,
    filler: &mut Role,
    sizes: &Sizes,
    limits: &mut Limits,
) -> Result<(), BoxError> {
    let (services, each) = sizes.wide;
    println!("{services} services of {each}:");
    fill(filler, 0, services, each).await?;
    let mut reader = start("as-consumer", url).await?;
    follow(&mut reader, services, each, limits).await?;
    idle(&mut reader, sizes.idle, limits).await?;
    filler.ask("clear").await?;
    Ok(())
}

/// One long list, of which one in a hundred changes each second; returns the CPU time for each instance of it.
async fn churn(
    url: &str,
    filler: &mut Role,
    measured: &mut Measured,
    sizes: &Sizes,
    limits: &mut Limits,
) -> Result<f64, BoxError> {
    let (count, seconds) = (sizes.churning, sizes.seconds);
    println!("1 service of {count}:");
    fill(filler, 0, 1, count).await?;
    let mut reader = start("as-consumer", url).await?;
    let each = follow(&mut reader, 1, count, limits).await?;
    let before = measured.cpu().await?;
    reader.tell(&format!("lags {}", seconds + 1)).await?;
    filler.ask(&format!("churn {} {seconds}", count / 100)).await?;
    let answer = reader.answer().await?;
    let [seen, p50, p99, max, cpu] = numbers(&answer)?;
    let share = |ms: f64| ms / 10.0 / seconds as f64;
    println!("  while 1 % changes each second: {seen} changes seen");
    println!("  from change to list: p50 {p50} ms, p99 {p99} ms, at most {max} ms");
    limits.hold(&limits::LAG, p99);
    limits.hold(&limits::CHURN, share(cpu));
    if let (Some(before), Some(after)) = (before, measured.cpu().await?) {
        println!("  registry: {:.1} % of a core", share(after - before));
    }
    filler.ask("clear").await?;
    Ok(each)
}

/// Calls beside a list that becomes very long, and beside one that does not although as many instances are
/// listed, which keeps the machine as busy. That very long list stays.
async fn calls(
    url: &str,
    filler: &mut Role,
    sizes: &Sizes,
    limits: &mut Limits,
) -> Result<(), BoxError> {
    let (count, seconds) = (sizes.long, sizes.seconds);
    println!("calls, 1,000 each second:");
    let mut caller = start("as-consumer", url).await?;
    caller.ask("calls 1").await?;
    let quiet = caller.ask(&format!("calls {seconds}")).await?;
    answered("beside a list of one", &quiet, limits)?;
    let elsewhere = calls_beside(&mut caller, filler, ELSEWHERE, sizes).await?;
    let elsewhere = answered("the same while others are listed elsewhere", &elsewhere, limits)?;
    filler.ask("clear").await?;
    let [before] = numbers(&caller.ask("memory").await?)?;
    let grown = calls_beside(&mut caller, filler, 0, sizes).await?;
    let grown = answered(&format!("while the list grows to {count}"), &grown, limits)?;
    limits.hold(&limits::DISTURBED, grown / elsewhere);
    let [after] = numbers(&caller.ask("memory").await?)?;
    let each = (after - before) * 1024.0 / count as f64;
    println!("  with an endpoint for each: {each:.0} bytes an instance");
    Ok(())
}

/// One very long list, which is there; returns the CPU time for each instance of it.
async fn long(url: &str, sizes: &Sizes, limits: &mut Limits) -> Result<f64, BoxError> {
    println!("1 service of {}:", sizes.long);
    let mut reader = start("as-consumer", url).await?;
    let each = follow(&mut reader, 1, sizes.long, limits).await?;
    idle(&mut reader, sizes.idle, limits).await?;
    Ok(each)
}

/// Calls while so many instances of the service `number` are listed, and a few seconds longer.
async fn calls_beside(
    caller: &mut Role,
    filler: &mut Role,
    number: usize,
    sizes: &Sizes,
) -> Result<String, BoxError> {
    caller.tell("calls").await?;
    fill(filler, number, number + 1, sizes.long).await?;
    sleep(Duration::from_secs(5)).await;
    caller.ask("enough").await
}

/// Prints how long calls took, and returns the p99. None may fail.
fn answered(what: &str, answer: &str, limits: &mut Limits) -> Result<f64, BoxError> {
    let [failed, p50, p99, max] = numbers(answer)?;
    println!("  {what}: {failed} failed, p50 {p50} ms, p99 {p99} ms, at most {max} ms");
    limits.hold(&limits::FAILED, failed);
    Ok(p99)
}

pub(crate) fn numbers<const N: usize>(answer: &str) -> Result<[f64; N], BoxError> {
    let numbers = answer.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    numbers.try_into().map_err(|_| format!("`{answer}` is not {N} numbers").into())
}
