//! The steps of the state machine, one window at a time.

use super::super::control::{Control, Mode, Next};
use super::super::window::Window;

/// How a window went; the rest follows.
#[derive(Clone, Copy)]
struct Went {
    now: f64,
    age: f64,
    useful: u32,
    late: u32,
    /// What a call took, and what it was given.
    took: f64,
    patience: f64,
    refused: u32,
    peak: u32,
    low: u32,
}

/// A quiet one: 100 calls of 10 ms that were given 300.
const QUIET: Went = Went {
    now: 1000.0,
    age: 100.0,
    useful: 100,
    late: 0,
    took: 10.0,
    patience: 300.0,
    refused: 0,
    peak: 100,
    low: 0,
};

/// Of 100 calls of 200 ms so many were late.
fn late(late: u32) -> Went {
    Went { useful: 100 - late, late, took: 200.0, ..QUIET }
}

impl Went {
    fn window(self) -> Window {
        let ended = f64::from(self.useful + self.late);
        Window {
            now: self.now,
            start: self.now - self.age,
            useful: self.useful,
            late: self.late,
            spent: self.took * ended,
            allowed: self.patience * ended,
            refused: self.refused,
            peak: self.peak,
            low: self.low,
        }
    }
}

trait Closes {
    fn went(&mut self, went: Went) -> Next;
}

impl Closes for Control {
    fn went(&mut self, went: Went) -> Next {
        self.close(&went.window(), false)
    }
}

/// One that has seen calls of 10 ms without load.
fn off() -> Control {
    let mut control = Control::new();
    control.went(QUIET);
    assert_eq!(
        (control.mode(), control.limit(), control.base()),
        (Mode::Off, u32::MAX, Some(10.0))
    );
    control
}

/// One that tries a limit, after a window of 100 at a time of which 40 were late.
fn on_trial() -> Control {
    let mut control = off();
    assert_eq!(control.went(late(40)), Next::Fresh);
    assert_eq!(control.mode(), Mode::Trial(0));
    control
}

/// One that limits to 7, from the 1,000th millisecond on.
fn on() -> Control {
    let mut control = on_trial();
    assert_eq!(control.went(QUIET), Next::Same);
    assert_eq!((control.mode(), control.limit()), (Mode::On, 7));
    control
}

// --- When a window is over ------------------------------------------------------------------

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
    assert_eq!((control.went(few(4, 0)), control.base()), (Next::Fresh, None));
    assert_eq!((control.went(few(5, 0)), control.base()), (Next::Same, Some(10.0)));
    for begun in [on_trial, on] {
        let mut control = begun();
        let mode = control.mode();
        assert_eq!((control.went(few(4, 1)), control.mode()), (Next::Fresh, mode));
        assert_eq!((control.went(few(4, 0)), control.mode()), (Next::Fresh, Mode::Off));
        assert_eq!(control.limit(), u32::MAX);
    }
}

// --- Off ------------------------------------------------------------------------------------

#[test]
fn what_a_call_takes_without_load_falls_at_once_and_rises_slowly() {
    let mut control = off();
    for (took, base) in [(20.0, 10.15625), (8.0, 8.0), (8.0, 8.0), (1000.0, 8.125), (4.0, 4.0)] {
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

// --- Trial ----------------------------------------------------------------------------------

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
        assert_eq!(control.went(FELL), Next::Fresh);
        assert_eq!((control.limit(), control.mode()), (limit, Mode::Trial(step)));
    }
    assert_eq!((control.went(FELL), control.mode()), (Next::Same, Mode::Off), "that is enough");
}

#[test]
fn a_limit_that_does_not_help_yet_is_lowered_to_the_floor_while_calls_come_up_against_it() {
    // The queue may be longer than is seen, so each step is half at least.
    let of = |late| Went { useful: 100 - late, late, took: 200.0, refused: 9, ..QUIET };
    let mut control = off();
    control.went(Went { peak: 1000, ..late(40) });
    let mut limits = vec![control.limit()];
    while control.limit() > 4 {
        assert_eq!(control.went(of(40)), Next::Fresh);
        limits.push(control.limit());
    }
    assert_eq!((limits, control.mode()), (vec![75, 5, 4], Mode::Trial(2)));
    assert_eq!((control.went(of(40)), control.mode()), (Next::Same, Mode::Off));
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
        control.went(hopeless);
    }
    assert_eq!((control.went(hopeless), control.mode()), (Next::Same, Mode::On));
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

// --- On -------------------------------------------------------------------------------------

#[test]
fn while_calls_are_refused_the_limit_is_the_rate_times_what_a_call_may_take() {
    // 25 ms may they take.
    for (took, limit, next) in [
        (12.5, 14, Next::Fresh),
        (20.0, 8, Next::Fresh),
        (23.0, 7, Next::Same),
        (25.0, 7, Next::Same),
        (27.5, 7, Next::Same),
        (40.0, 4, Next::Fresh),
        (10.0, 14, Next::Fresh),
    ] {
        let mut control = on();
        let went = Went { took, refused: 1, low: 5, ..QUIET };
        assert_eq!((control.went(went), control.limit()), (next, limit), "{took} ms");
        assert_eq!(control.mode(), Mode::On);
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
        let told = (next == Next::Fresh, control.limit());
        assert_eq!(told, (limit != 7, limit), "{late_ones} of {useful}, {took} ms, {peak} ran");
    }
    let mut squeezed = on();
    let slow = Went { took: 51.0, ..QUIET }.window();
    assert_eq!((squeezed.close(&slow, false), squeezed.limit()), (Next::Same, 7));
    assert_eq!((squeezed.close(&slow, true), squeezed.limit()), (Next::Fresh, 4));
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

#[test]
fn a_cut_that_costs_answers_is_taken_back() {
    let of = |useful, took| Went { useful, took, refused: 1, low: 300, ..QUIET };
    for (useful, limit) in [(40, 44), (80, 22)] {
        let mut control = on();
        for _ in 0..4 {
            control.went(of(100, 12.5));
        }
        assert_eq!(control.limit(), 112);
        control.went(of(100, 63.0));
        assert_eq!(control.limit(), 44, "a cut to less than half, which is judged next");
        control.went(of(useful, 50.0));
        assert_eq!((useful, control.limit()), (useful, if useful == 40 { 112 } else { limit }));
    }
}

#[test]
fn at_the_floor_what_a_call_takes_is_what_it_takes() {
    let mut control = on();
    let slow = |late, took| Went { useful: 100 - late, late, took, refused: 1, low: 5, ..QUIET };
    control.went(slow(0, 50.0));
    assert_eq!((control.limit(), control.base()), (4, Some(10.0)));
    assert_eq!((control.went(slow(5, 60.0)), control.base()), (Next::Fresh, Some(10.0)));
    assert_eq!((control.went(slow(0, 60.0)), control.base()), (Next::Same, Some(60.0)));
    assert_eq!(control.limit(), 4);
}

// --- What is told of it ---------------------------------------------------------------------

#[test]
fn what_ran_under_the_former_limit_has_time_to_end() {
    assert_eq!(off().settle(Next::Fresh), 0.0);
    assert_eq!(on_trial().settle(Next::Fresh), 300.0);
    assert_eq!(on().settle(Next::Fresh), 30.0, "three times what a call took");
    let mut slow = on();
    slow.went(Went { took: 200.0, ..QUIET });
    assert_eq!(slow.settle(Next::Fresh), 300.0, "and at most what it is given");
    for control in [off(), on_trial(), on()] {
        assert_eq!(control.settle(Next::Same), 0.0);
    }
}

#[test]
fn who_is_refused_comes_back_when_those_refused_could_have_been_served() {
    let hint = |useful, refused, took, age| {
        on().hint(&Went { useful, refused, took, age, ..QUIET }.window())
    };
    // One useful call a millisecond.
    assert_eq!(hint(100, 400, 10.0, 100.0), 400.0);
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
