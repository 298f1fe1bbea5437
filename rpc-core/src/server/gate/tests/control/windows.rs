//! When a window is over, and what is told of it.

use super::super::super::control::{Control, Mode, NextWindow};
use super::{Closes, QUIET, Went, late, off, on, on_trial};

// --- When a window is over ---

#[test]
fn a_window_is_over_after_enough_calls_or_time() {
    let control = Control::new();
    for (age, useful, is_complete) in [
        (100.0, 50, true),
        (99.0, 50, false),
        (100.0, 49, false),
        (1.0, 1000, true),
        (1.0, 999, false),
        (1000.0, 10, true),
        (999.0, 10, false),
        (1000.0, 9, false),
        (2000.0, 5, true),
        (1999.0, 5, false),
        (2000.0, 4, false),
        // Twice what they were given, and five seconds.
        (5600.0, 4, true),
        (5599.0, 4, false),
        // What calls were given is not known yet.
        (5000.0, 0, true),
        (4999.0, 0, false),
    ] {
        let window = Went { age, useful, ..QUIET }.window();
        assert_eq!(control.is_complete(&window), is_complete, "{useful} in {age} ms");
    }
    let silent = |age| Went { age, useful: 0, ..QUIET }.window();
    assert!(off().is_complete(&silent(5600.0)) && !off().is_complete(&silent(5599.0)));
}

#[test]
fn a_trial_takes_half_of_what_callers_give_and_a_hundred_calls() {
    let control = on_trial();
    for (age, useful, patience, is_complete) in [
        (150.0, 100, 300.0, true),
        (149.0, 100, 300.0, false),
        (150.0, 99, 300.0, false),
        (100.0, 100, 20.0, true),
        (99.0, 100, 20.0, false),
    ] {
        let window = Went { age, useful, patience, ..QUIET }.window();
        assert_eq!(control.is_complete(&window), is_complete, "{useful} in {age} ms, {patience}");
    }
}

#[test]
fn a_trial_that_does_harm_is_over_at_once() {
    // 600 useful calls a second before: in half a second 300 are expected, and half of them is a fall.
    let mut control = off();
    control.went(Went { useful: 60, ..late(40) });
    let harms = |age, useful| Went { age, useful, ..QUIET }.window();
    assert!(control.is_complete(&harms(500.0, 90)));
    assert!(control.is_complete(&harms(150.0, 10)) && !control.is_complete(&harms(149.0, 10)));
    assert!(!control.is_complete(&harms(150.0, 9)), "they are too few to tell");
    assert!(!control.is_complete(&harms(130.0, 75)), "that is no fall");
    assert!(!off().is_complete(&harms(500.0, 40)), "there is no trial");
}

#[test]
fn a_window_with_hardly_any_call_says_nothing_and_ends_a_limit_that_nobody_meets() {
    let few = |useful, refused| Went { useful, refused, ..QUIET };
    let mut control = Control::new();
    assert_eq!((control.went(few(4, 0)), control.base()), (NextWindow::Fresh, None));
    assert_eq!((control.went(few(5, 0)), control.base()), (NextWindow::Same, Some(10.0)));
    for begun in [on_trial, on] {
        let mut control = begun();
        let mode = control.mode();
        assert_eq!((control.went(few(4, 1)), control.mode()), (NextWindow::Fresh, mode));
        assert_eq!((control.went(few(4, 0)), control.mode()), (NextWindow::Fresh, Mode::Off));
        assert_eq!(control.limit(), u32::MAX);
    }
}

// --- What is told of it ---

#[test]
fn what_ran_under_the_former_limit_has_time_to_end() {
    assert_eq!(off().settle(NextWindow::Fresh), 0.0);
    assert_eq!(on_trial().settle(NextWindow::Fresh), 300.0);
    assert_eq!(on().settle(NextWindow::Fresh), 30.0, "three times what a call took");
    let mut slow = on();
    slow.went(Went { took: 200.0, ..QUIET });
    assert_eq!(slow.settle(NextWindow::Fresh), 300.0, "and at most what it is given");
    for control in [off(), on_trial(), on()] {
        assert_eq!(control.settle(NextWindow::Same), 0.0);
    }
}

#[test]
fn who_is_refused_comes_back_when_those_refused_could_have_been_served() {
    let hint = |useful, refused, took, age| {
        on().hint(&Went { useful, refused, took, age, ..QUIET }.window())
    };
    // One useful call a millisecond, and one in two.
    assert_eq!(hint(100, 400, 10.0, 100.0), 400.0);
    assert_eq!(hint(100, 400, 10.0, 200.0), 800.0);
    assert_eq!(hint(100, 4, 10.0, 100.0), 20.0, "twice what a call takes at least");
    assert_eq!(hint(100, 4000, 10.0, 100.0), 1000.0, "a second at most");
    assert_eq!(hint(0, 4, 10.0, 100.0), 1000.0, "nobody was served");
}

#[test]
fn a_method_starves_at_the_floor_of_its_limit_if_half_of_its_calls_are_late() {
    let half = late(50).window();
    let mut control = on();
    assert!(!control.is_starving(&half), "it is not at its floor");
    control.went(Went { took: 50.0, refused: 1, low: 5, ..QUIET });
    assert_eq!(control.limit(), 4);
    assert!(control.is_starving(&half) && !control.is_starving(&late(49).window()));
    assert!(!control.is_starving(&Went { useful: 0, ..QUIET }.window()), "nobody called");
    let mut trial = off();
    trial.went(Went { peak: 10, ..late(40) });
    assert_eq!(trial.limit(), 4);
    assert!(!trial.is_starving(&half), "it only tries");
}
