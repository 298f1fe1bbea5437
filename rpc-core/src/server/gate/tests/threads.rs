//! Several threads at one gate.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::super::{GateOutcome, Gates, MethodGate};
use crate::metrics::gate::GateMetrics;

fn gate(now: Instant) -> MethodGate {
    MethodGate::new("m".into(), Gates::new(now), GateMetrics::default())
}

#[test]
fn never_more_run_than_the_limit_and_all_are_counted_out() {
    let now = Instant::now();
    let (gate, inside, most) = (gate(now), AtomicU32::new(0), AtomicU32::new(0));
    gate.limit.store(2, Ordering::Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    if gate.begin(now).is_ok() {
                        let inside_now = inside.fetch_add(1, Ordering::AcqRel) + 1;
                        most.fetch_max(inside_now, Ordering::AcqRel);
                        inside.fetch_sub(1, Ordering::AcqRel);
                        gate.end(now, Duration::ZERO, Duration::ZERO, GateOutcome::GivenUp);
                    }
                }
            });
        }
    });
    assert!(most.load(Ordering::Acquire) <= 2, "{most:?} ran at once");
    assert_eq!(format!("{gate:?}"), "MethodGate { limit: 2, running: 0, .. }");
}

#[test]
fn windows_that_several_threads_close_leave_it_off_while_all_is_well() {
    let start = Instant::now();
    let gate = gate(start);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for micros in 0..20_000 {
                    let now = start + Duration::from_micros(micros * 100);
                    gate.begin(now).unwrap();
                    let (spent, allowed) = (Duration::from_millis(1), Duration::from_millis(300));
                    gate.end(now, spent, allowed, GateOutcome::Useful);
                }
            });
        }
    });
    assert_eq!(
        format!("{gate:?}"),
        format!("MethodGate {{ limit: {}, running: 0, .. }}", u32::MAX)
    );
    assert_eq!(gate.metrics.trials(), 0);
}
