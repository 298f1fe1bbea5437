//! What a gate counts, and what follows from it: when windows begin and end, who is refused.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;

use super::super::{GateOutcome, Gates, MethodGate};
use crate::metrics::gate::GateMetrics;

const OFF: i64 = 0;
const TRIAL: i64 = 1;
const ON: i64 = 2;

struct Gated {
    gate: MethodGate,
    start: Instant,
}

impl Gated {
    fn new() -> Self {
        let start = Instant::now();
        Self { gate: MethodGate::new("m".into(), Gates::new(start), GateMetrics::default()), start }
    }

    /// One that has begun a trial at 100 ms: 19 calls run, and at most 10 may.
    fn on_trial(allowed: u64) -> Self {
        let gated = Self::new();
        for ms in [10.0, 20.0, 30.0] {
            gated.run(ms, 20, 200, allowed, GateOutcome::Useful);
        }
        gated.run(40.0, 20, 200, allowed, GateOutcome::Late);
        gated.begin(100.0, 20);
        // The first end closes the window.
        gated.end(100.0, 1, 200, allowed, GateOutcome::Late);
        assert_eq!((gated.state(), gated.limit()), (TRIAL, 10));
        gated
    }

    /// One that limits to 10 from 550 ms on, while so many calls run.
    fn on(running: u32) -> Self {
        let gated = Self::on_trial(300);
        gated.end(100.0, 19, 200, 300, GateOutcome::Late);
        gated.begin(400.0, running);
        gated.run(400.0, 1, 50, 300, GateOutcome::Useful);
        (0..99).for_each(|_| gated.run(410.0, 1, 50, 300, GateOutcome::Useful));
        gated.run(550.0, 1, 50, 300, GateOutcome::Useful);
        assert_eq!((gated.state(), gated.limit()), (ON, 10));
        gated
    }

    fn at(&self, ms: f64) -> Instant {
        self.start + Duration::from_nanos((ms * 1e6) as u64)
    }

    fn begin(&self, ms: f64, calls: u32) {
        (0..calls).for_each(|_| self.gate.begin(self.at(ms)).unwrap());
    }

    fn end(&self, ms: f64, calls: u32, spent: u64, allowed: u64, outcome: GateOutcome) {
        let (spent, allowed) = (Duration::from_millis(spent), Duration::from_millis(allowed));
        (0..calls).for_each(|_| self.gate.end(self.at(ms), spent, allowed, outcome));
    }

    /// So many calls at a time, which end then.
    fn run(&self, ms: f64, calls: u32, spent: u64, allowed: u64, outcome: GateOutcome) {
        self.begin(ms, calls);
        self.end(ms, calls, spent, allowed, outcome);
    }

    fn limit(&self) -> u32 {
        self.gate.limit.load(Relaxed)
    }

    fn state(&self) -> i64 {
        self.gate.metrics.state()
    }
}

#[test]
fn a_window_in_which_work_is_futile_begins_a_trial_at_half_of_what_ran() {
    let gated = Gated::on_trial(300);
    assert_eq!(gated.gate.metrics.trials(), 1);
    assert_eq!(format!("{:?}", gated.gate), "MethodGate { limit: 10, running: 19, .. }");
    let full = gated.gate.begin(gated.at(110.0)).unwrap_err();
    // Twice what a call took.
    assert_eq!((full.limit, full.retry_after), (10, Duration::from_millis(400)));
}

#[test]
fn calls_that_came_in_without_being_asked_count_as_others_do() {
    let gated = Gated::new();
    for ms in [50.0, 60.0] {
        (0..20).for_each(|_| gated.gate.enter());
        gated.end(ms, 20, 200, 300, GateOutcome::Late);
    }
    (0..20).for_each(|_| gated.gate.enter());
    gated.end(100.0, 10, 200, 300, GateOutcome::Late);
    assert_eq!(gated.limit(), u32::MAX, "41 were too few");
    gated.end(110.0, 10, 200, 300, GateOutcome::Late);
    assert_eq!(gated.limit(), 10);
}

#[test]
fn what_ran_under_the_former_limit_is_no_evidence() {
    for (ms, state) in [(399.999, ON), (400.0, OFF)] {
        let gated = Gated::on_trial(300);
        gated.end(100.0, 19, 200, 300, GateOutcome::Late);
        (0..6).for_each(|_| gated.run(ms, 10, 200, 300, GateOutcome::Late));
        (0..10).for_each(|_| gated.run(400.0, 10, 50, 300, GateOutcome::Late));
        (0..10).for_each(|_| gated.run(400.0, 10, 50, 300, GateOutcome::Useful));
        // Half of them late are no fewer than before, and they take a quarter of the time.
        let ended = if state == ON { GateOutcome::Useful } else { GateOutcome::Late };
        gated.run(549.999, 1, 50, 300, ended);
        assert_eq!(gated.state(), TRIAL, "it takes half of what callers give");
        gated.run(559.999, 1, 200, 300, ended);
        assert_eq!(gated.state(), ON);
    }
}

#[test]
fn calls_of_a_trial_count_from_its_first_microsecond_on() {
    let gated = Gated::on_trial(300);
    gated.end(100.0, 19, 200, 300, GateOutcome::Late);
    (0..10).for_each(|_| gated.run(400.0, 10, 50, 300, GateOutcome::Useful));
    gated.run(550.0, 1, 50, 300, GateOutcome::Useful);
    assert_eq!(gated.state(), ON);
    let late = Gated::on_trial(300);
    late.end(100.0, 19, 200, 300, GateOutcome::Late);
    (0..10).for_each(|_| late.run(399.999, 10, 50, 300, GateOutcome::Useful));
    late.run(550.0, 1, 50, 300, GateOutcome::Useful);
    assert_eq!(late.state(), TRIAL, "these were too early");
}

#[test]
fn what_was_given_up_is_no_evidence() {
    let gated = Gated::new();
    gated.run(50.0, 20, 1, 300, GateOutcome::GivenUp);
    gated.run(60.0, 60, 200, 300, GateOutcome::GivenUp);
    gated.run(100.0, 49, 200, 300, GateOutcome::Late);
    assert_eq!(gated.state(), OFF, "that is one too few");
    gated.run(110.0, 1, 200, 300, GateOutcome::Late);
    assert_eq!(gated.state(), TRIAL);
}

#[test]
fn a_window_that_is_not_complete_is_looked_at_again_after_ten_milliseconds() {
    let gated = Gated::new();
    gated.run(100.0, 49, 200, 300, GateOutcome::Useful);
    gated.run(105.0, 40, 200, 300, GateOutcome::Late);
    gated.run(109.999, 1, 200, 300, GateOutcome::Late);
    assert_eq!(gated.state(), OFF);
    gated.run(110.0, 1, 200, 300, GateOutcome::Late);
    assert_eq!(gated.state(), TRIAL);
}

#[test]
fn what_callers_give_beyond_ten_seconds_says_nothing_about_how_long_to_wait() {
    let gated = Gated::new();
    gated.run(50.0, 60, 10, 60_000, GateOutcome::Useful);
    gated.run(100.0, 1, 10, 60_000, GateOutcome::Useful);
    (0..3).for_each(|_| gated.run(150.0, 20, 200, 60_000, GateOutcome::Late));
    gated.run(200.0, 1, 200, 60_000, GateOutcome::Late);
    assert_eq!((gated.state(), gated.limit()), (TRIAL, 4));
    // The trial counts from 10 s after it began, and takes a second for so few calls.
    gated.run(10_199.999, 4, 200, 60_000, GateOutcome::Late);
    (0..25).for_each(|_| gated.run(10_200.0, 4, 50, 60_000, GateOutcome::Useful));
    gated.run(11_199.0, 1, 50, 60_000, GateOutcome::Useful);
    assert_eq!(gated.state(), TRIAL);
    gated.run(11_209.0, 1, 50, 60_000, GateOutcome::Useful);
    assert_eq!(gated.state(), ON);
}

#[test]
fn a_limit_that_nobody_has_come_up_against_for_two_seconds_is_of_another_time() {
    let before = Gated::on_trial(300);
    assert!(before.gate.begin(before.at(2_499.999)).is_err());
    assert_eq!((before.state(), before.limit()), (TRIAL, 10));
    let gated = Gated::on_trial(300);
    gated.begin(2_500.0, 1);
    assert_eq!((gated.state(), gated.limit()), (OFF, u32::MAX));
    assert_eq!(
        format!("{:?}", gated.gate),
        format!("MethodGate {{ limit: {}, running: 20, .. }}", u32::MAX)
    );
    // The window begins anew.
    gated.run(2_599.999, 60, 200, 300, GateOutcome::Late);
    assert_eq!(gated.state(), OFF);
    gated.run(2_600.0, 1, 200, 300, GateOutcome::Late);
    assert_eq!(gated.state(), TRIAL);
}

#[test]
fn a_queue_stands_while_more_than_a_quarter_of_the_limit_runs_all_the_time() {
    // 75 ms does a call take without load: it may take 155, or 180 if the queue empties. Calls take 100.
    for (running, left, limit) in [(3, 3, 15), (2, 2, 18), (3, 0, 18), (8, 2, 18), (8, 3, 15)] {
        let gated = Gated::on(running);
        gated.begin(1_600.0, 10 - running);
        assert!(gated.gate.begin(gated.at(1_600.0)).is_err());
        (running..10).for_each(|_| gated.end(1_600.0, 1, 100, 300, GateOutcome::Useful));
        gated.end(1_600.0, running - left, 100, 300, GateOutcome::Useful);
        (0..60).for_each(|_| gated.run(1_600.0, 1, 100, 300, GateOutcome::Useful));
        gated.run(1_610.0, 1, 100, 300, GateOutcome::Useful);
        assert_eq!(gated.limit(), limit, "{running} ran, and {left} at least");
    }
}

#[test]
fn gates_know_which_of_them_starves_for_three_seconds() {
    let start = Instant::now();
    let gates = Gates::new(start);
    assert_eq!([gates.next_id(), gates.next_id(), gates.next_id()], [0, 1, 2]);
    assert_eq!(gates.micros(start + Duration::from_millis(7)), 7_000);
    assert!(!gates.is_other_starving(1, 0));
    gates.note_starving(0, 500);
    for (id, now, starves) in
        [(1, 500, true), (1, 3_000_499, true), (1, 3_000_500, false), (0, 500, false)]
    {
        assert_eq!(gates.is_other_starving(id, now), starves, "{id} at {now}");
    }
}
