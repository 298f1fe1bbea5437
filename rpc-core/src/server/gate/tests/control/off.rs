//! How a limit comes to be tried.

use super::super::super::control::{Control, Mode};
use super::{Closes, QUIET, Went, late, off};

#[test]
fn what_a_call_takes_without_load_falls_at_once_and_rises_slowly() {
    let mut control = off();
    for (took, base) in [
        (20.0, 10.15625),
        (8.0, 8.0),
        (8.0, 8.0),
        (12.0, 8.0625),
        (8.0, 8.0),
        (1000.0, 8.125),
        (4.0, 4.0),
    ] {
        control.went(Went { took, ..QUIET });
        assert_eq!(control.base(), Some(base), "after {took} ms");
    }
    for (late, base) in [(5, 4.0), (4, 4.0625)] {
        control.went(Went { useful: 100 - late, late, took: 200.0, ..QUIET });
        assert_eq!(control.base(), Some(base), "{late} % were late");
    }
}

#[test]
fn twenty_late_calls_of_windows_of_which_a_fifth_was_late_begin_a_trial() {
    let of = |useful, late| Went { useful, late, took: 200.0, ..QUIET };
    let mut control = off();
    for (went, mode) in [
        (of(76, 19), Mode::Off),
        (of(81, 19), Mode::Off),
        (of(76, 19), Mode::Off),
        // A fifth is bad, and 19 and 1 are twenty.
        (of(4, 1), Mode::Trial(0)),
    ] {
        control.went(went);
        assert_eq!(control.mode(), mode, "{} of {}", went.late, went.useful + went.late);
    }
    let mut at_once = off();
    at_once.went(of(80, 20));
    assert_eq!(at_once.mode(), Mode::Trial(0));
}

#[test]
fn a_first_trial_halves_and_one_that_knows_what_a_call_takes_goes_by_that() {
    // 25 ms may a call of 10 take, and it takes 200: an eighth, less the share that was late.
    for (late_ones, limit) in [(40, 7), (20, 10), (50, 6), (90, 6)] {
        let mut control = off();
        control.went(late(late_ones));
        assert_eq!(control.limit(), limit, "{late_ones} were late");
    }
    let mut unknown = Control::new();
    unknown.went(late(40));
    assert_eq!((unknown.limit(), unknown.base()), (50, Some(75.0)), "a quarter of 300");
    let mut few = off();
    few.went(Went { peak: 10, ..late(40) });
    assert_eq!(few.limit(), 4, "so many show whether it is back");
    let mut near = off();
    near.went(Went { took: 35.0, ..late(20) });
    assert_eq!(near.limit(), 50, "and at most half");
}

#[test]
fn no_trial_begins_where_a_limit_could_not_make_calls_quicker() {
    // 25 ms are the target of calls of 10.
    for (took, mode) in [(31.0, Mode::Off), (31.25, Mode::Off), (31.5, Mode::Trial(0))] {
        let mut control = off();
        control.went(Went { took, ..late(40) });
        assert_eq!(control.mode(), mode, "{took}");
    }
}

#[test]
fn a_method_that_takes_too_much_makes_room_for_one_that_does_not_come_through() {
    let slow = |took| Went { took, ..QUIET }.window();
    for (took, starving, mode) in
        [(50.0, true, Mode::Off), (51.0, true, Mode::Trial(0)), (200.0, false, Mode::Off)]
    {
        let mut control = off();
        control.close(&slow(took), starving);
        assert_eq!(control.mode(), mode, "{took}, {starving}");
        if mode != Mode::Off {
            assert_eq!(control.limit(), 50, "nothing is known of how far to go");
        }
    }
    let mut unknown = Control::new();
    unknown.close(&slow(200.0), true);
    assert_eq!(unknown.mode(), Mode::Off, "nothing is known of what a call takes");
}

#[test]
fn what_a_call_may_take_is_twice_what_it_takes_and_five_within_its_deadline() {
    let target = |took, patience| {
        let mut control = Control::new();
        control.went(Went { took, patience, ..QUIET });
        control.target()
    };
    assert_eq!(target(10.0, 300.0), 25.0);
    assert_eq!(target(100.0, 300.0), 180.0, "60 % of the deadline");
    assert_eq!(target(200.0, 300.0), 250.0, "a quarter more than it takes, whatever the deadline");
    let mut unknown = Control::new();
    unknown.went(Went { took: 200.0, ..late(10) });
    assert_eq!((unknown.base(), unknown.target()), (None, 155.0), "as if it took a quarter of it");
}
