//! How an endpoint that is out comes back.

use super::{MINUTE, SECOND, Watched};
use crate::endpoint::ejection::{HealthState, Verdict};

#[test]
fn a_probe_that_was_not_sent_leaves_its_place_to_another() {
    let watched = Watched::by_default();
    watched.begin_probe(0);
    assert!(!watched.health.begin_probe() && !watched.health.is_on_probation());
    watched.health.undo_probe();
    assert!(watched.health.is_on_probation() && watched.health.begin_probe());
}

#[test]
fn a_call_that_may_not_be_copied_waits_for_a_second_beyond_the_ejection() {
    let watched = Watched::by_default();
    let until = watched.eject(0);
    assert!(!watched.health.has_waited(watched.at(until + SECOND - 1)));
    assert!(watched.health.has_waited(watched.at(until + SECOND)));
}

#[test]
fn one_that_no_call_has_probed_for_the_longest_ejection_is_called_again() {
    let watched = Watched::by_default();
    let until = watched.eject(0);
    watched.review(until);
    watched.review(until + MINUTE - 1);
    assert_eq!(watched.state(until + MINUTE - 1), HealthState::Probation);
    watched.review(until + MINUTE);
    assert!(watched.is_healthy(until + MINUTE));
}

#[test]
fn a_probe_without_an_answer_for_twice_the_longest_ejection_has_failed() {
    let watched = Watched::by_default();
    let until = watched.begin_probe(0);
    watched.review(until + 2 * MINUTE - 1);
    assert_eq!(watched.state(until + 2 * MINUTE - 1), HealthState::Probation);
    watched.review(until + 2 * MINUTE);
    assert!(watched.is_out_for(2 * SECOND, until + 2 * MINUTE));
    assert!(!watched.health.begin_probe());
}

#[test]
fn what_was_begun_before_it_was_well_again_says_nothing() {
    let watched = Watched::by_default();
    let ms = watched.begin_probe(0);
    assert!(watched.end_probe(Verdict::Success, ms));
    let record = |verdict, began: u64| {
        watched.health.record(verdict, watched.at(began), watched.at(ms + 50));
    };
    (0..9).for_each(|_| record(Verdict::Failure, ms - 1));
    (0..9).for_each(|_| record(Verdict::Nested, ms - 1));
    assert!(watched.review(ms + 50) && !watched.health.stands_out_nested(watched.at(ms + 50)));
    assert!(!watched.health.speaks_of_now(watched.at(ms - 1)));
    assert!(watched.health.speaks_of_now(watched.at(ms)));
    (0..5).for_each(|_| record(Verdict::Failure, ms));
    assert!(watched.health.is_out());
}

#[test]
fn one_that_is_back_begins_anew() {
    let watched = Watched::by_default();
    let ms = watched.begin_probe(0);
    assert!(watched.end_probe(Verdict::Success, ms));
    let report = watched.health.report(watched.at(ms));
    assert_eq!((report.failures, report.in_row, report.why), (0, 0, None));
}
