//! What becomes of a limit that is tried.

use super::super::super::control::{Mode, NextWindow};
use super::{Closes, QUIET, Went, late, off, on_trial};

#[test]
fn a_trial_that_halves_lateness_or_takes_a_quarter_off_the_time_is_kept() {
    // Before it 40 % were late, and calls took 200 ms.
    let of = |late, took| Went { useful: 100 - late, late, took, refused: 1, ..QUIET };
    for (went, mode) in [
        (of(20, 200.0), Mode::On),
        (of(21, 200.0), Mode::Trial(1)),
        (of(40, 150.0), Mode::On),
        (of(40, 151.0), Mode::Trial(1)),
    ] {
        let mut control = on_trial();
        control.went(went);
        assert_eq!(control.mode(), mode, "{} late, {} ms", went.late, went.took);
    }
}

/// So few useful ones that answers have fallen: before there were 60 in 100 ms.
const FELL: Went = Went { useful: 20, ..QUIET };

#[test]
fn a_limit_that_helps_and_costs_answers_is_widened_at_most_to_half_of_what_ran() {
    let mut control = on_trial();
    for (limit, step) in [(28, 4), (50, 8)] {
        assert_eq!(control.went(FELL), NextWindow::Fresh);
        assert_eq!((control.limit(), control.mode()), (limit, Mode::Trial(step)));
    }
    assert_eq!(
        (control.went(FELL), control.mode()),
        (NextWindow::Same, Mode::Off),
        "that is enough"
    );
    let mut later = on_trial();
    later.went(Went { refused: 9, ..late(40) });
    assert_eq!(later.mode(), Mode::Trial(1));
    later.went(FELL);
    assert_eq!(later.mode(), Mode::Trial(5));
    later.went(FELL);
    assert_eq!(later.mode(), Mode::Off, "after five steps it is not widened again");
}

#[test]
fn a_limit_that_does_not_help_yet_is_lowered_to_the_floor_while_calls_come_up_against_it() {
    // The queue may be longer than is seen, so each step is half at least.
    let of = |late| Went { useful: 100 - late, late, took: 200.0, refused: 9, ..QUIET };
    let mut control = off();
    control.went(Went { peak: 1000, ..late(40) });
    let mut limits = vec![control.limit()];
    while control.limit() > 4 {
        assert_eq!(control.went(of(40)), NextWindow::Fresh);
        limits.push(control.limit());
    }
    assert_eq!((limits, control.mode()), (vec![75, 5, 4], Mode::Trial(2)));
    assert_eq!((control.went(of(40)), control.mode()), (NextWindow::Same, Mode::Off));
    let mut idle = on_trial();
    idle.went(Went { refused: 0, ..of(40) });
    assert_eq!(idle.mode(), Mode::Off, "nobody came up against it");
    let mut harmful = on_trial();
    harmful.went(Went { useful: 20, late: 40, took: 200.0, refused: 9, ..QUIET });
    assert_eq!(harmful.mode(), Mode::Off, "answers fell");
}

#[test]
fn a_trial_has_eight_steps() {
    // Each halves: 25 ms are the target, and calls take less than twice that.
    let of = Went { useful: 60, late: 40, took: 31.0, refused: 9, ..QUIET };
    let mut control = off();
    control.went(Went { took: 40.0, peak: 100_000, ..late(40) });
    let first = control.limit();
    for step in 1..=8 {
        control.went(of);
        assert_eq!(control.mode(), Mode::Trial(step), "of {first}");
    }
    control.went(of);
    assert_eq!(control.mode(), Mode::Off);
}

#[test]
fn where_nothing_is_useful_at_any_limit_the_limit_stays_and_spares_the_others() {
    let hopeless = Went { useful: 0, late: 100, took: 300.0, refused: 9, ..QUIET };
    let mut control = off();
    control.went(hopeless);
    while control.limit() > 4 {
        assert!(matches!(control.mode(), Mode::Trial(_)));
        control.went(hopeless);
    }
    assert_eq!((control.went(hopeless), control.mode()), (NextWindow::Same, Mode::On));
    let mut seen = off();
    seen.went(hopeless);
    // One useful call on the way, and there is something to lose.
    seen.went(Went { useful: 1, late: 99, ..hopeless });
    while matches!(seen.mode(), Mode::Trial(_)) {
        seen.went(hopeless);
    }
    assert_eq!(seen.mode(), Mode::Off);
}

#[test]
fn after_a_trial_that_did_not_help_the_next_comes_later_each_time_up_to_ten_minutes() {
    let mut control = off();
    let (mut now, mut waited) = (1000.0, Vec::new());
    for _ in 0..8 {
        // What calls took in the trial is what they take.
        let trial = |now, took| Went { now, took, ..late(40) };
        control.went(trial(now, 900.0));
        assert_eq!(control.mode(), Mode::Trial(0));
        control.went(trial(now, 900.0));
        assert_eq!((control.mode(), control.base()), (Mode::Off, Some(900.0)));
        control.went(Went { now, took: 10.0, ..QUIET });
        let began = now;
        while control.mode() == Mode::Off {
            now += 1000.0;
            control.went(trial(now, 900.0));
        }
        waited.push((now - began) / 1000.0);
        control.turn_off();
    }
    assert_eq!(waited, [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0]);
}

#[test]
fn after_a_trial_that_helped_the_next_one_that_does_not_costs_ten_seconds_again() {
    let mut control = off();
    let trial = |now| Went { now, took: 900.0, ..late(40) };
    let quiet = |now| Went { now, ..QUIET };
    control.went(trial(1000.0));
    control.went(trial(1000.0));
    control.went(quiet(1000.0));
    // The next one, after ten seconds, helps.
    control.went(trial(11_000.0));
    control.went(quiet(11_000.0));
    assert_eq!(control.mode(), Mode::On);
    control.turn_off();
    control.went(trial(12_000.0));
    control.went(trial(12_000.0));
    control.went(quiet(12_000.0));
    control.went(trial(21_999.0));
    assert_eq!(control.mode(), Mode::Off);
    control.went(trial(22_000.0));
    assert_eq!(control.mode(), Mode::Trial(0));
}
