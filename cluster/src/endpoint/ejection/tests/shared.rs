//! What the endpoints of a directory share.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::Tally;

use super::super::{EjectionConfig, SharedEjection};
use super::is_alert;

fn rules(config: Option<EjectionConfig>) -> SharedEjection {
    SharedEjection::new(config, Tally::default())
}

#[test]
fn up_to_its_share_of_the_connected_may_be_out() {
    let half = rules(Some(EjectionConfig::default()));
    for (ejected, connected, is_too_many) in [
        (0, 0, false),
        (1, 1, true),
        (1, 2, false),
        (2, 3, true),
        (50, 100, false),
        (51, 100, true),
    ] {
        assert_eq!(half.is_too_many(ejected, connected), is_too_many, "{ejected} of {connected}");
    }
    let all = rules(Some(EjectionConfig { max_percent: 100, ..EjectionConfig::default() }));
    assert!(!all.is_too_many(3, 3));
    let off = rules(None);
    assert!(off.is_too_many(1, 100) && !off.is_too_many(0, 100));
}

#[test]
fn other_rules_hold_at_once_and_the_same_are_no_change() {
    let strict = EjectionConfig { consecutive: 2, ..EjectionConfig::default() };
    let rules = rules(None);
    assert_eq!(rules.config(), None);
    for (config, changes) in [(None, 0), (Some(strict), 1), (Some(strict), 1), (None, 2)] {
        rules.set_config(config);
        assert_eq!((rules.config(), rules.changes().count()), (config, changes));
    }
    rules.changed();
    assert_eq!(rules.changes().count(), 3);
}

#[test]
fn ejections_are_counted() {
    let rules = rules(None);
    (0..3).for_each(|_| rules.count_ejection());
    assert_eq!(rules.ejections(), 3);
}

#[test]
fn the_task_rests_until_somebody_is_not_well_and_again_once_it_was_told_to() {
    let rules = rules(None);
    assert!(!is_alert(&rules));
    rules.alert();
    rules.alert();
    assert!(is_alert(&rules) && is_alert(&rules));
    rules.rest();
    assert!(!is_alert(&rules));
    rules.alert();
    assert!(is_alert(&rules));
}

#[tokio::test]
async fn an_alert_wakes_the_task_that_rests() {
    let rules = Arc::new(rules(None));
    let resting = tokio::spawn({
        let rules = rules.clone();
        async move { rules.wait_alert().await }
    });
    tokio::task::yield_now().await;
    rules.alert();
    let waited = tokio::time::timeout(Duration::from_secs(10), resting).await;
    assert!(waited.is_ok_and(|ended| ended.is_ok()));
}

#[tokio::test]
async fn probes_run_by_themselves_until_they_are_stopped() {
    let rules = rules(None);
    let (done, ran) = tokio::sync::oneshot::channel();
    rules.spawn_probe(async move {
        let _ = done.send(());
    });
    assert!(ran.await.is_ok());
    let (held, ended) = tokio::sync::oneshot::channel::<()>();
    rules.spawn_probe(async move {
        let _held = held;
        pending::<()>().await;
    });
    tokio::task::yield_now().await;
    rules.stop_probes();
    assert!(ended.await.is_err(), "what it held is dropped");
}

#[test]
fn without_a_runtime_a_probe_is_given_up() {
    rules(None).spawn_probe(async { unreachable!("nothing runs it") });
}
