//! What takes an endpoint out, and for how long.

use super::{SECOND, Watched};
use crate::endpoint::ejection::Verdict;
use crate::endpoint::ejection::tests::is_alert;

// --- What takes it out ---

#[test]
fn what_has_lasted_is_counted_from_the_first_failure_of_its_row() {
    let watched = Watched::by_default();
    watched.fail(1, 10_000);
    for ms in [10_000, 10_499] {
        assert!(!watched.review(ms), "there is something to look at");
        assert!(watched.is_healthy(ms));
    }
    watched.see(Verdict::Success, 10_499);
    watched.fail(2, 10_700);
    watched.review(11_199);
    assert!(watched.is_healthy(11_199), "a success has begun a new row");
    watched.review(11_200);
    assert_eq!(watched.health.report(watched.at(11_200)).why, Some("no success since a failure"));
    assert!(watched.is_out_for(SECOND, 11_200));
}

#[test]
fn a_share_of_successes_at_the_limit_is_enough_and_below_it_is_not() {
    for (failures, is_out) in [(2, false), (3, true)] {
        let watched = Watched::by_default();
        for call in 0..10 {
            let failed = call >= 10 - failures;
            // Between them successes, so that it is no row.
            watched.see(if failed { Verdict::Failure } else { Verdict::Success }, 10_000);
        }
        assert_eq!(watched.health.is_out(), is_out, "{failures} of ten");
        let report = watched.health.report(watched.at(10_000));
        assert_eq!((report.successes, report.failures), (10 - failures, failures));
        assert_eq!(report.in_row, failures as u32);
    }
}

#[test]
fn a_share_of_fewer_than_ten_calls_says_nothing() {
    let watched = Watched::by_default();
    for call in 0..9 {
        watched.see(if call % 3 == 0 { Verdict::Failure } else { Verdict::Success }, 10_000);
    }
    assert!(watched.is_healthy(10_000));
    watched.fail(1, 10_000);
    assert_eq!(watched.health.report(watched.at(10_000)).why, Some("too few successes"));
}

#[test]
fn what_is_long_past_says_nothing_of_the_share() {
    let watched = Watched::by_default();
    for call in 0..9 {
        watched.see(if call % 3 == 0 { Verdict::Failure } else { Verdict::Success }, 10_000);
    }
    watched.fail(1, 20_000);
    assert!(watched.is_healthy(20_000));
}

#[test]
fn without_rules_nothing_takes_it_out_and_nothing_is_to_be_looked_at() {
    let watched = Watched::new(None);
    watched.fail(100, 10_000);
    assert!(watched.review(11_000));
    (0..10).for_each(|_| watched.see(Verdict::Nested, 11_000));
    watched.see(Verdict::Success, 11_000);
    assert!(watched.review(20_000) && watched.is_healthy(20_000));
    assert!(!is_alert(&watched.rules));
}

#[test]
fn the_first_failure_of_a_row_has_the_endpoint_looked_at_and_no_other() {
    let watched = Watched::by_default();
    watched.see(Verdict::Success, 0);
    assert!(!is_alert(&watched.rules));
    for verdict in [Verdict::Failure, Verdict::Nested] {
        watched.see(verdict, 0);
        assert!(is_alert(&watched.rules), "{verdict:?}");
        watched.rules.rest();
        watched.see(verdict, 0);
        assert!(!is_alert(&watched.rules), "{verdict:?}: that is known");
    }
}

#[test]
fn one_that_is_well_needs_no_look_until_something_speaks_against_it() {
    let watched = Watched::by_default();
    watched.see(Verdict::Success, 10_000);
    assert!(watched.review(10_000));
    watched.see(Verdict::Nested, 10_000);
    assert!(!watched.review(10_100));
    assert!(watched.review(20_000), "that is long past");
    watched.fail(1, 20_000);
    assert!(!watched.review(20_100));
    watched.see(Verdict::Success, 20_200);
    assert!(watched.review(20_300));
}

// --- For how long ---

#[test]
fn each_ten_seconds_that_it_is_well_forget_one_doubling() {
    let watched = Watched::by_default();
    let mut ms = 0;
    for (well, longest) in
        [(0, 1), (0, 2), (0, 4), (9_999, 8), (10_000, 8), (25_000, 4), (600_000, 1), (0, 2)]
    {
        ms += well;
        let until = watched.eject(ms);
        assert!(watched.is_out_for(longest * SECOND, ms), "{well}: {}", watched.left(ms));
        watched.review(until - 1);
        assert!(!watched.health.is_on_probation(), "its time is not over");
        watched.review(until);
        assert!(watched.health.begin_probe() && watched.end_probe(Verdict::Success, until));
        ms = until;
    }
}

#[test]
fn a_probe_that_fails_doubles_the_time_and_one_that_says_nothing_does_not() {
    for (verdict, longest) in
        [(Verdict::Failure, 2), (Verdict::Nested, 2), (Verdict::Nothing, 1), (Verdict::Missing, 60)]
    {
        let watched = Watched::by_default();
        let ms = watched.begin_probe(0);
        let changes = watched.rules.changes().count();
        assert!(!watched.end_probe(verdict, ms), "{verdict:?}");
        assert!(watched.rules.changes().count() > changes, "{verdict:?}");
        let stale = verdict == Verdict::Missing;
        assert_eq!(watched.health.is_stale(), stale);
        let until = ms + longest * SECOND;
        watched.review(until - longest * SECOND / 2 - 1);
        assert!(!watched.health.is_on_probation(), "{verdict:?}: not before half of its time");
        watched.review(until);
        assert!(watched.health.is_on_probation(), "{verdict:?}: at the latest then");
    }
}

#[test]
fn ejections_are_told_and_counted_once() {
    let watched = Watched::by_default();
    watched.fail(4, 0);
    let changes = watched.rules.changes().count();
    watched.fail(20, 0);
    assert_eq!(watched.rules.ejections(), 1);
    assert_eq!(watched.rules.changes().count(), changes + 1);
    assert!(watched.health.is_out() && !watched.health.is_on_probation());
}

// --- Calls that are given up ---

#[test]
fn after_a_second_of_silence_one_of_those_given_up_is_watched_at_a_time() {
    let watched = Watched::by_default();
    let give_up = |ms| watched.health.give_up(watched.at(ms));
    assert!(!give_up(10) && !give_up(1009));
    assert!(give_up(1010) && !give_up(1011), "one at a time");
    watched.health.end_watch();
    assert!(give_up(1012));
    watched.health.end_watch();
    watched.see(Verdict::Success, 1100);
    assert!(!give_up(1200) && !give_up(2199), "it has answered");
    assert!(give_up(2200));
}

#[test]
fn nobody_is_watched_who_is_out_or_cannot_be_taken_out() {
    let watched = Watched::by_default();
    watched.eject(0);
    let free = Watched::new(None);
    for ms in [100, 5000] {
        assert!(!watched.health.give_up(watched.at(ms)));
        assert!(!free.health.give_up(free.at(ms)));
    }
}

#[test]
fn what_is_told_of_the_last_failure_is_its_code_and_text() {
    let watched = Watched::by_default();
    watched.health.note_error(&rpc_core::Status::unavailable("no database"));
    let told = watched.health.report(watched.at(0)).last_error;
    assert_eq!(told.as_deref(), Some("unavailable: no database"));
}
