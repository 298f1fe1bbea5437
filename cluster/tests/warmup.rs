//! The weight of instances that have just started.

mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dubhe_cluster::DirectoryOptions;
use rpc_core::{Snapshot, Source};
use support::*;
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn a_fresh_instance_grows_to_its_weight() {
    let mut fresh = instance("a:1");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    fresh.started_ms = u64::try_from(now.as_millis()).unwrap();
    let list = Snapshot::new(vec![fresh, instance("b:1")], Source::Live);
    let fleet = Fleet::from(list, DirectoryOptions::default());
    settle().await;
    let weights = || -> Vec<u32> {
        let endpoints = fleet.directory.endpoints();
        endpoints.iter().map(|e| e.weight()).collect()
    };
    assert_eq!(weights(), [1, 100]);
    advance(Duration::from_secs(301)).await;
    settle().await;
    assert!((50..53).contains(&weights()[0]), "{:?}", weights());
    advance(Duration::from_secs(301)).await;
    settle().await;
    assert_eq!(weights(), [100, 100]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_may_say_itself_how_long_it_warms_up() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let fresh = |address, warmup: &str| {
        let mut fresh = instance(address);
        fresh.started_ms = u64::try_from(now.as_millis()).unwrap();
        Arc::make_mut(&mut fresh.metadata).insert("warmup".into(), warmup.into());
        fresh
    };
    let list = vec![fresh("a:1", "0"), fresh("b:1", "60000"), fresh("c:1", "soon")];
    let fleet = Fleet::from(Snapshot::new(list, Source::Live), DirectoryOptions::default());
    settle().await;
    let weights = || -> Vec<u32> {
        let endpoints = fleet.directory.endpoints();
        endpoints.iter().map(|e| e.weight()).collect()
    };
    assert_eq!(weights(), [100, 1, 1]);
    advance(Duration::from_secs(61)).await;
    settle().await;
    assert_eq!(weights()[..2], [100, 100]);
    assert!((10..13).contains(&weights()[2]), "{:?}", weights());
}
