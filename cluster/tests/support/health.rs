//! Fleets whose endpoints are ejected, and how to look at them.

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::RoundRobin;
use dubhe_cluster::policy::Failfast;
use dubhe_cluster::router::RouterChain;
use dubhe_cluster::{DirectoryOptions, EjectionConfig, EndpointHealth, HealthState};
use rpc_core::BoxInvoker;
use tokio::time::{Instant, sleep};

use super::{Fleet, call, maybe_sent, snapshot};

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) fn config() -> EjectionConfig {
    EjectionConfig { seed: Some(1), ..EjectionConfig::default() }
}

pub(crate) fn fleet(addresses: &[&str]) -> Fleet {
    fleet_with(addresses, Some(config()))
}

pub(crate) fn fleet_with(addresses: &[&str], ejection: Option<EjectionConfig>) -> Fleet {
    Fleet::from(snapshot(addresses), DirectoryOptions { ejection, ..DirectoryOptions::default() })
}

/// One attempt a call, each endpoint in turn.
pub(crate) fn in_turn(fleet: &Fleet) -> BoxInvoker {
    fleet.build(Arc::new(Failfast), Arc::new(RoundRobin::new()), RouterChain::default())
}

pub(crate) fn health(fleet: &Fleet, address: &str) -> EndpointHealth {
    let endpoints = fleet.directory.endpoints();
    endpoints.iter().find(|e| **e.address() == *address).unwrap().health()
}

pub(crate) fn is_ejected(fleet: &Fleet, address: &str) -> bool {
    matches!(health(fleet, address).state, HealthState::Ejected { .. })
}

pub(crate) fn is_healthy(fleet: &Fleet, address: &str) -> bool {
    health(fleet, address).state == HealthState::Healthy
}

/// So many calls one after the other; how many of them failed.
pub(crate) async fn calls(cluster: &BoxInvoker, count: usize) -> usize {
    let mut failed = 0;
    for _ in 0..count {
        failed += usize::from(cluster.invoke(call()).await.is_err());
    }
    failed
}

/// Fails calls until the endpoint is out.
pub(crate) async fn eject(fleet: &Fleet, address: &str) {
    fleet.mock(address).answer(maybe_sent());
    let cluster = in_turn(fleet);
    while !is_ejected(fleet, address) {
        calls(&cluster, 1).await;
    }
}

/// Waits until the endpoint has got another call; how long that took.
pub(crate) async fn next_call(fleet: &Fleet, cluster: &BoxInvoker, address: &str) -> Duration {
    let (before, started) = (fleet.mock(address).calls(), Instant::now());
    while fleet.mock(address).calls() == before {
        cluster.invoke(call()).await.unwrap();
        sleep(9 * MS).await;
    }
    started.elapsed()
}
