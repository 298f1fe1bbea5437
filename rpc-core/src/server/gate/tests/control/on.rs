//! How a limit moves, and how it goes.

use super::super::super::control::{Control, Mode, NextWindow};
use super::{Closes, QUIET, Went, late, on};

#[test]
fn while_calls_are_refused_the_limit_is_the_rate_times_what_a_call_may_take() {
    // 25 ms may they take.
    for (took, limit, next) in [
        (12.5, 14, NextWindow::Fresh),
        (20.0, 8, NextWindow::Fresh),
        (23.0, 7, NextWindow::Same),
        (25.0, 7, NextWindow::Same),
        (27.5, 7, NextWindow::Same),
        (40.0, 4, NextWindow::Fresh),
        (10.0, 14, NextWindow::Fresh),
    ] {
        let mut control = on();
        let went = Went { took, refused: 1, low: 5, ..QUIET };
        assert_eq!((control.went(went), control.limit()), (next, limit), "{took} ms");
        assert_eq!(control.mode(), Mode::On);
    }
}

#[test]
fn a_limit_that_is_right_within_a_tenth_stays() {
    // 27.5 and 22.5 ms may calls take that take 11.25 and 8.75, and they take 25.
    for base in [11.25, 8.75] {
        let mut control = Control::new();
        for went in [Went { took: base, ..QUIET }, late(40), Went { took: base, ..QUIET }] {
            control.went(went);
        }
        let limit = control.limit();
        let next = control.went(Went { took: 25.0, refused: 1, low: 5, ..QUIET });
        assert_eq!((control.mode(), next, control.limit()), (Mode::On, NextWindow::Same, limit));
    }
}

#[test]
fn one_step_of_a_limit_is_to_a_tenth_at_most() {
    let mut control = on();
    for _ in 0..6 {
        control.went(Went { took: 12.5, refused: 1, low: 300, ..QUIET });
    }
    assert_eq!(control.limit(), 448);
    control.went(Went { took: 290.0, refused: 1, low: 300, ..QUIET });
    assert_eq!(control.limit(), 44);
}

#[test]
fn a_limit_goes_two_seconds_after_the_last_refusal() {
    let mut control = on();
    let at = |now, refused| Went { now, refused, took: 25.0, low: 5, ..QUIET };
    for (now, refused, mode) in
        [(3000.0, 1, Mode::On), (5000.0, 0, Mode::On), (5001.0, 0, Mode::Off)]
    {
        control.went(at(now, refused));
        assert_eq!(control.mode(), mode, "at {now}");
    }
    let mut never = on();
    never.went(at(3000.0, 0));
    assert_eq!(never.mode(), Mode::On);
    never.went(at(3001.0, 0));
    assert_eq!((never.mode(), never.limit()), (Mode::Off, u32::MAX));
}

#[test]
fn a_limit_that_goes_while_calls_are_late_makes_the_next_trial_wait() {
    for (late_ones, mode) in [(20, Mode::Off), (19, Mode::Trial(0))] {
        let mut control = on();
        let leaves = Went { now: 3001.0, took: 26.0, ..late(late_ones) };
        control.went(Went { took: 26.0, ..leaves });
        assert_eq!(control.mode(), Mode::Off);
        control.went(Went { now: 9000.0, took: 900.0, ..late(40) });
        assert_eq!(control.mode(), mode, "{late_ones} were late");
    }
}

#[test]
fn calls_that_are_late_without_a_refusal_lower_the_limit_below_what_ran() {
    for (late_ones, useful, took, peak, limit) in [
        // Of the limit of 7, or of what ran.
        (20, 80, 40.0, 100, 4),
        (20, 80, 32.0, 7, 5),
        (20, 80, 32.0, 6, 4),
        (19, 81, 40.0, 100, 7),
        (20, 80, 31.25, 100, 7),
        (5, 20, 40.0, 100, 4),
        (4, 16, 40.0, 100, 7),
    ] {
        let mut control = on();
        let next = control.went(Went { late: late_ones, useful, took, peak, ..QUIET });
        let told = (next == NextWindow::Fresh, control.limit());
        assert_eq!(told, (limit != 7, limit), "{late_ones} of {useful}, {took} ms, {peak} ran");
    }
    let mut squeezed = on();
    let slow = Went { took: 51.0, ..QUIET }.window();
    assert_eq!((squeezed.close(&slow, false), squeezed.limit()), (NextWindow::Same, 7));
    assert_eq!((squeezed.close(&slow, true), squeezed.limit()), (NextWindow::Fresh, 4));
}

#[test]
fn what_calls_take_when_few_are_late_is_what_they_take_without_load() {
    for (late, useful, took, base) in [
        (4, 96, 8.0, 8.0),
        (5, 95, 8.0, 10.0),
        (0, 6, 8.0, 8.0),
        (0, 5, 8.0, 10.0),
        (0, 100, 12.0, 10.0),
    ] {
        let mut control = on();
        control.went(Went { late, useful, took, ..QUIET });
        assert_eq!(control.base(), Some(base), "{late} late, {useful} useful, {took} ms");
    }
}

#[test]
fn a_queue_that_empties_all_the_time_may_use_the_deadline() {
    // A quarter of the limit of 7 is 1.
    for (now, low, limit) in [(2000.0, 1, 7), (2001.0, 1, 14), (2001.0, 2, 7)] {
        let mut control = on();
        control.went(Went { now, took: 25.0, refused: 1, low, ..QUIET });
        assert_eq!(control.limit(), limit, "{low} at least ran, at {now}");
    }
    let mut patient = on();
    patient.went(Went { now: 2001.0, took: 200.0, refused: 1, low: 0, ..QUIET });
    assert_eq!(patient.limit(), 7, "180 of 200 ms is near enough");
}

/// One that limits to 112, as calls were quick.
fn wide() -> Control {
    let mut control = on();
    for _ in 0..4 {
        control.went(REFUSES);
    }
    assert_eq!(control.limit(), 112);
    control
}

/// Calls come up against the limit, and one useful call ends each millisecond.
const REFUSES: Went = Went { took: 12.5, refused: 1, low: 300, ..QUIET };

#[test]
fn a_cut_that_costs_answers_is_taken_back() {
    for (useful, late, limit, base) in [
        (40, 0, 112, 50.4),
        (80, 0, 22, 10.0),
        // Half of them late, so it is none that helped too much.
        (40, 39, 112, 50.4),
        (40, 40, 22, 10.0),
    ] {
        let mut control = wide();
        control.went(Went { took: 63.0, ..REFUSES });
        assert_eq!(control.limit(), 44, "a cut to less than half, which is judged next");
        control.went(Went { useful, late, took: 50.0, ..REFUSES });
        let told = (control.limit(), control.base());
        assert_eq!(told, (limit, Some(base)), "{useful} useful, {late} late");
    }
}

#[test]
fn a_cut_to_more_than_half_is_not_judged() {
    let mut control = wide();
    control.went(Went { took: 41.7, ..REFUSES });
    assert_eq!(control.limit(), 67);
    control.went(Went { useful: 40, took: 50.0, ..REFUSES });
    assert_eq!(control.limit(), 33);
}

#[test]
fn a_burst_may_take_a_quarter_more_than_a_call_does_whatever_the_deadline() {
    let mut control = Control::new();
    control.went(Went { took: 200.0, ..QUIET });
    control.went(Went { took: 400.0, ..late(40) });
    assert_eq!(control.limit(), 37, "250 ms are the target");
    control.went(Went { took: 200.0, ..QUIET });
    assert_eq!(control.mode(), Mode::On);
    control.went(Went { now: 2001.0, useful: 90, late: 10, took: 125.0, refused: 1, ..QUIET });
    assert_eq!(control.limit(), 74, "and a limit at most doubles");
}

#[test]
fn at_the_floor_what_a_call_takes_is_what_it_takes() {
    let mut control = on();
    let slow = |late, took| Went { useful: 100 - late, late, took, refused: 1, low: 5, ..QUIET };
    control.went(slow(0, 50.0));
    assert_eq!((control.limit(), control.base()), (4, Some(10.0)));
    assert_eq!((control.went(slow(5, 60.0)), control.base()), (NextWindow::Fresh, Some(10.0)));
    assert_eq!((control.went(slow(0, 60.0)), control.base()), (NextWindow::Same, Some(60.0)));
    assert_eq!(control.limit(), 4);
}
