//! The parts of the measurement, and the table that it prints.

use crate::BoxError;
use crate::USAGE;
use crate::measured::Measured;
use crate::role::Role;

/// How much there is of each.
struct Sizes {
    wide: (usize, usize),
    long: usize,
    churning: usize,
    seconds: usize,
}

const FULL: Sizes = Sizes { wide: (1000, 20), long: 10_000, churning: 5_000, seconds: 20 };
const QUICK: Sizes = Sizes { wide: (100, 20), long: 1_000, churning: 500, seconds: 3 };

pub(crate) async fn run(words: &[&str]) -> Result<(), BoxError> {
    let (mut sizes, mut url, mut words) = (FULL, None, words.iter());
    while let Some(word) = words.next() {
        match *word {
            "--quick" => sizes = QUICK,
            "--registry" => url = Some(*words.next().ok_or(USAGE)?),
            _ => return Err(USAGE.into()),
        }
    }
    let (mut measured, url) = Measured::start(url).await?;
    let mut provider = Role::start("as-provider", Some(&url))?;
    provider.answer().await?;
    wide(&url, &mut provider, &sizes).await?;
    churn(&url, &mut provider, &mut measured, &sizes).await?;
    long(&url, &mut provider, &sizes).await
}

async fn consumer(url: &str) -> Result<Role, BoxError> {
    let mut consumer = Role::start("as-consumer", Some(url))?;
    consumer.answer().await?;
    Ok(consumer)
}

/// Many services of few instances.
async fn wide(url: &str, provider: &mut Role, sizes: &Sizes) -> Result<(), BoxError> {
    let (services, each) = sizes.wide;
    provider.ask(&format!("fill {services} {each}")).await?;
    let mut consumer = consumer(url).await?;
    let answer = consumer.ask(&format!("follow {services} {each}")).await?;
    let [took, memory] = numbers(&answer)?;
    println!("{services} services of {each}: complete in {took} ms, {memory} bytes an instance");
    let [idle] = numbers(&consumer.ask("idle 5").await?)?;
    println!("  while nothing changes: {:.2} % of a core", idle / 50.0);
    provider.ask("clear").await?;
    Ok(())
}

/// One long list, of which one in a hundred changes each second.
async fn churn(
    url: &str,
    provider: &mut Role,
    measured: &mut Measured,
    sizes: &Sizes,
) -> Result<(), BoxError> {
    let (count, seconds) = (sizes.churning, sizes.seconds);
    provider.ask(&format!("fill 1 {count}")).await?;
    let mut consumer = consumer(url).await?;
    consumer.ask(&format!("follow 1 {count}")).await?;
    let before = measured.cpu().await?;
    consumer.tell(&format!("lags {}", seconds + 1)).await?;
    provider.ask(&format!("churn {} {seconds}", count / 100)).await?;
    let answer = consumer.answer().await?;
    let [seen, p50, p99, max, cpu] = numbers(&answer)?;
    let share = |ms: f64| ms / 10.0 / seconds as f64;
    println!("{count} instances, 1 % changes each second: {seen} changes seen");
    println!("  from change to list: p50 {p50} ms, p99 {p99} ms, at most {max} ms");
    println!("  consumer: {:.1} % of a core", share(cpu));
    if let (Some(before), Some(after)) = (before, measured.cpu().await?) {
        println!("  registry: {:.1} % of a core", share(after - before));
    }
    provider.ask("clear").await?;
    Ok(())
}

/// One very long list, and calls meanwhile.
async fn long(url: &str, provider: &mut Role, sizes: &Sizes) -> Result<(), BoxError> {
    let (count, seconds) = (sizes.long, sizes.seconds);
    let mut consumer = consumer(url).await?;
    consumer.ask("calls 1").await?;
    let [before] = numbers(&consumer.ask("memory").await?)?;
    let [failed, p50, p99, max] = numbers(&consumer.ask(&format!("calls {seconds}")).await?)?;
    println!("calls, 1,000 each second, beside a list of one: {failed} failed");
    println!("  p50 {p50} ms, p99 {p99} ms, at most {max} ms");
    consumer.tell(&format!("calls {seconds}")).await?;
    provider.ask(&format!("fill 1 {count}")).await?;
    let [failed, p50, p99, max] = numbers(&consumer.answer().await?)?;
    println!("calls while the list grows to {count}: {failed} failed");
    println!("  p50 {p50} ms, p99 {p99} ms, at most {max} ms");
    let [after] = numbers(&consumer.ask("memory").await?)?;
    let each = (after - before) * 1024.0 / count as f64;
    println!("  with an endpoint for each: {each:.0} bytes an instance");
    let mut reader = self::consumer(url).await?;
    let [took, memory] = numbers(&reader.ask(&format!("follow 1 {count}")).await?)?;
    println!("1 service of {count}: complete in {took} ms, {memory} bytes an instance");
    provider.ask("clear").await?;
    Ok(())
}

fn numbers<const N: usize>(answer: &str) -> Result<[f64; N], BoxError> {
    let numbers = answer.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    numbers.try_into().map_err(|_| format!("`{answer}` is not {N} numbers").into())
}
