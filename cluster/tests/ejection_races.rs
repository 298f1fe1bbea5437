//! Ejection on several threads at once: whatever they do, half of the providers stay candidates,
//! and all come back.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use dubhe_cluster::EjectionConfig;
use support::health::*;
use support::simulation::{Rolls, address};
use support::*;

const PROVIDERS: usize = 10;
const CALLERS: u64 = 4;
const CALLS: u64 = 4_000;

/// Calls, and changes at random whether a provider works.
async fn call_and_break(fleet: Arc<Fleet>, seed: u64) {
    let (cluster, mut rolls) = (in_turn(&fleet), Rolls(seed));
    for _ in 0..CALLS {
        if rolls.below(20) == 0 {
            let mock = fleet.mock(&address(rolls.below(PROVIDERS as u64) as usize));
            let is_broken = rolls.below(3) > 0;
            mock.answer(if is_broken { maybe_sent() } else { Answer::After(Duration::ZERO) });
        }
        let _ = cluster.invoke(call()).await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn half_of_the_providers_stay_candidates_whoever_is_ejected_meanwhile() {
    let addresses: Vec<String> = (0..PROVIDERS).map(address).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let config = EjectionConfig {
        consecutive: 2,
        failing_for: MS * 20,
        base: MS * 10,
        max: MS * 40,
        ..config()
    };
    let fleet = Arc::new(fleet_with(&addresses, Some(config)));
    let is_over = Arc::new(AtomicBool::new(false));
    let watching = {
        let (fleet, is_over) = (fleet.clone(), is_over.clone());
        tokio::task::spawn_blocking(move || {
            let mut fewest = PROVIDERS;
            while !is_over.load(SeqCst) {
                fewest = fewest.min(fleet.directory.state().candidates);
            }
            fewest
        })
    };
    let callers: Vec<_> =
        (0..CALLERS).map(|seed| tokio::spawn(call_and_break(fleet.clone(), seed))).collect();
    for caller in callers {
        caller.await.unwrap();
    }
    is_over.store(true, SeqCst);
    let fewest = watching.await.unwrap();
    let ejections = fleet.directory.state().ejections;
    assert!((PROVIDERS / 2..PROVIDERS).contains(&fewest), "{fewest} of {PROVIDERS} left");
    assert!(ejections > 10, "{ejections} ejections");
    addresses.iter().for_each(|address| fleet.mock(address).answer(Answer::After(Duration::ZERO)));
    let cluster = in_turn(&fleet);
    tokio::time::timeout(Duration::from_secs(30), async {
        while !addresses.iter().all(|address| is_healthy(&fleet, address)) {
            let _ = cluster.invoke(call()).await;
        }
    })
    .await
    .expect("all come back");
    assert_eq!(fleet.in_flight(), 0);
}
