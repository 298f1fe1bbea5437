//! A layer that panics while it is made for an instance: that costs the change of this instance alone,
//! and is tried again.
#![allow(clippy::unwrap_used, reason = "a test that fails here has found something")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use dubhe_cluster::policy::Failfast;
use dubhe_cluster::{AttemptLayers, DirectoryOptions};
use rpc_core::{Snapshot, Source};
use support::{Fleet, call, instance, settle, snapshot};
use tokio::time::advance;

/// A layer that panics for instances at `b:1` while it is told to.
#[derive(Clone, Default)]
struct Fragile {
    is_broken: Arc<AtomicBool>,
    tried: Arc<AtomicU64>,
}

impl Fragile {
    fn layers(&self) -> AttemptLayers {
        let this = self.clone();
        AttemptLayers::new().wrap(move |instance, inner| {
            if &*instance.address == "b:1" && this.is_broken.load(Relaxed) {
                this.tried.fetch_add(1, Relaxed);
                panic!("no layer for {}", instance.address);
            }
            inner
        })
    }
}

fn fleet(layers: AttemptLayers, addresses: &[&str]) -> Fleet {
    Fleet::from(snapshot(addresses), DirectoryOptions { layers, ..DirectoryOptions::default() })
}

#[tokio::test(start_paused = true)]
async fn a_panic_for_one_instance_leaves_out_that_one_until_it_can_be_made() {
    let fragile = Fragile::default();
    fragile.is_broken.store(true, Relaxed);
    let fleet = fleet(fragile.layers(), &["a:1"]);
    fleet.push(snapshot(&["a:1", "b:1"])).await;
    assert_eq!(fleet.addresses(), ["a:1"]);
    assert_eq!(fleet.directory.state().broken, 1);
    // The directory lives on.
    fleet.push(snapshot(&["a:1", "b:1", "c:1"])).await;
    assert_eq!(fleet.addresses(), ["a:1", "c:1"]);
    for _ in 0..30 {
        advance(Duration::from_secs(1)).await;
        settle().await;
    }
    let tried = fragile.tried.load(Relaxed);
    assert!((3..=9).contains(&tried), "tried {tried} times in 30 s");
    fragile.is_broken.store(false, Relaxed);
    for _ in 0..40 {
        advance(Duration::from_secs(1)).await;
        settle().await;
    }
    assert_eq!(fleet.addresses(), ["a:1", "b:1", "c:1"]);
    assert_eq!(fleet.directory.state().broken, 0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_stays_as_it_was_while_its_change_panics() {
    let fragile = Fragile::default();
    let fleet = fleet(fragile.layers(), &["a:1", "b:1"]);
    let before = fleet.directory.endpoints();
    fragile.is_broken.store(true, Relaxed);
    let changed = ["a:1", "b:1"].map(|address| {
        let mut instance = instance(address);
        instance.weight = 7;
        instance
    });
    fleet.push(Snapshot::new(changed.to_vec(), Source::Live)).await;
    let weights = || fleet.directory.endpoints().iter().map(|e| e.weight()).collect::<Vec<_>>();
    assert_eq!(weights(), [7, before[1].weight()]);
    assert!(Arc::ptr_eq(&before[1], &fleet.directory.endpoints()[1]));
    fleet.cluster(Failfast).invoke(call()).await.unwrap();
    // Other layers are tried at once.
    fleet.directory.set_layers(AttemptLayers::new());
    settle().await;
    assert_eq!(weights(), [7, 7]);
    assert_eq!(fleet.directory.state().broken, 0);
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_call_says_why_nobody_is_there() {
    let fragile = Fragile::default();
    fragile.is_broken.store(true, Relaxed);
    let fleet = fleet(fragile.layers(), &["b:1"]);
    let status = fleet.cluster(Failfast).invoke(call()).await.unwrap_err();
    assert!(status.message().contains("lists 1, and a layer, filter"), "{status}");
}
