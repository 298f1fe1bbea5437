//! The consumer process: `as-consumer CALLERS`. Calls until its standard input closes, prints a
//! report of everything so far as a line of JSON four times a second and once at the end.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{DirectoryState, ServiceKey, Source};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::api::{Stock, StockClient};
use crate::{BoxError, parent_gone};

/// What has happened so far. Times are in microseconds and cover the time since the last report.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    pub issued: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub resent: u64,
    pub p50: u64,
    pub p99: u64,
    pub longest: u64,
    pub by_provider: BTreeMap<String, u64>,
    /// How far the list of providers is to be trusted.
    pub list: String,
    pub first_failure: Option<String>,
}

#[derive(Default)]
struct Seen {
    report: Report,
    micros: Vec<u64>,
}

pub async fn run(args: &[String]) -> Result<(), BoxError> {
    let callers: u64 = args.first().ok_or("the number of callers is missing")?.parse()?;
    let consumer = Consumer::builder().build()?;
    let stock: StockClient = consumer.client().await?;
    let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
    let mut calling = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (stock, seen, stop) = (stock.clone(), seen.clone(), stop.clone());
        calling.spawn(async move {
            let mut number = caller;
            while !stop.load(Ordering::Relaxed) {
                call(&stock, &seen, number).await;
                number += callers;
            }
        });
    }
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let gone = parent_gone();
    tokio::pin!(gone);
    loop {
        tokio::select! {
            _ = tick.tick() => print(&consumer, &seen)?,
            () = &mut gone => break,
        }
    }
    stop.store(true, Ordering::Relaxed);
    while calling.join_next().await.is_some() {}
    print(&consumer, &seen)
}

async fn call(stock: &impl Stock, seen: &Mutex<Seen>, article: u64) {
    let lock = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    lock().report.issued += 1;
    let began = Instant::now();
    let answer = stock.count(article).await;
    let micros = began.elapsed().as_micros() as u64;
    let mut seen = lock();
    seen.micros.push(micros);
    match answer {
        Ok(count) if count.article == article => {
            seen.report.succeeded += 1;
            *seen.report.by_provider.entry(count.provider).or_default() += 1;
        }
        Ok(count) => fail(&mut seen, format!("asked for {article}, got {}", count.article)),
        Err(status) => fail(&mut seen, status.to_string()),
    }
}

fn fail(seen: &mut Seen, why: String) {
    seen.report.failed += 1;
    seen.report.first_failure.get_or_insert(why);
}

fn print(consumer: &Consumer, seen: &Mutex<Seen>) -> Result<(), BoxError> {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let mut micros = std::mem::take(&mut seen.micros);
    micros.sort_unstable();
    let at = |percent: usize| micros.get(micros.len() * percent / 100).copied().unwrap_or(0);
    (seen.report.p50, seen.report.p99) = (at(50), at(99));
    seen.report.longest = micros.last().copied().unwrap_or(0);
    seen.report.resent = consumer.resends();
    let state = consumer.directory_state(&ServiceKey::new("shop.Stock"));
    seen.report.list = match state {
        Some(DirectoryState { source: Source::Live, trouble: Some(trouble), .. }) => {
            format!("kept, registry lost for {} s", trouble.since.elapsed().as_secs())
        }
        Some(state) => state.to_string(),
        None => String::new(),
    };
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string(&seen.report)?)?)
}
