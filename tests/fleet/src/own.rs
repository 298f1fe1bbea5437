//! Our own side: a provider, and a consumer that calls all the while, as processes of their own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use dubhe::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;
use tokio::time::{Duration, MissedTickBehavior, interval, sleep};

use crate::BoxError;
use crate::api::{Stock, StockClient, StockServer};

/// One call every so often.
const PACE: Duration = Duration::from_millis(5);

struct Me(String);

impl Stock for Me {
    async fn who(&self, _asks: String) -> Result<String> {
        Ok(self.0.clone())
    }
}

/// Serves until the input ends, and takes itself off the lists.
pub(crate) async fn provide(url: &str, application: &str) -> Result<(), BoxError> {
    let provider = Provider::new(url).set("application.name", application);
    let provider = provider.set("provider.port", 0).set("registry.cache", false);
    let provider = provider.set("provider.advertise", "127.0.0.1");
    let running = provider.serve(StockServer::new(Me(application.to_owned()))).start().await?;
    while !running.is_registered() {
        sleep(PACE).await;
    }
    println!("ready {}", running.address());
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    // Nothing is asked of a provider.
    while input.next_line().await?.is_some() {}
    running.shutdown().await;
    Ok(())
}

/// What became of the calls so far.
#[derive(Default)]
struct Tally {
    by: BTreeMap<String, u64>,
    failed: u64,
    why: String,
}

impl Tally {
    fn line(&self, begun: u64) -> String {
        let ok: u64 = self.by.values().sum();
        let by: Vec<String> = self.by.iter().map(|(who, times)| format!("{who}:{times}")).collect();
        let (failed, by) = (self.failed, by.join(","));
        format!("called {begun} ok={ok} failed={failed} by={by} why={}", self.why)
    }
}

/// Calls until the input ends; each line of it asks for the tally, and the last is that of all calls.
pub(crate) async fn consume(url: &str, application: &str) -> Result<(), BoxError> {
    let consumer = Consumer::new(url).set("application.name", application);
    let consumer = consumer.set("registry.cache", false).build()?;
    let client: StockClient = consumer.client().await?;
    println!("ready");
    let tally = Arc::new(Mutex::new(Tally::default()));
    let (mut calls, mut begun) = (JoinSet::new(), 0);
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let told = |begun: u64| {
        println!("{}", tally.lock().unwrap_or_else(PoisonError::into_inner).line(begun));
    };
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                begun += 1;
                let (client, tally) = (client.clone(), Arc::clone(&tally));
                calls.spawn(async move {
                    let answer = client.who("rust".to_owned()).await;
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    match answer {
                        Ok(who) => *tally.by.entry(who).or_default() += 1,
                        Err(status) => {
                            tally.failed += 1;
                            tally.why = status.to_string().replace('\n', " ");
                        }
                    }
                });
            }
            Some(_) = calls.join_next() => {}
            line = input.next_line() => match line? {
                Some(_) => told(begun),
                None => break,
            },
        }
    }
    while calls.join_next().await.is_some() {}
    told(begun);
    Ok(())
}
