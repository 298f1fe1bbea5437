//! Failures of a dependency.

use super::Watched;
use crate::endpoint::ejection::Verdict;

#[test]
fn one_that_alone_passes_on_failures_is_taken_out() {
    let watched = Watched::by_default();
    (0..4).for_each(|_| watched.see(Verdict::Nested, 10_000));
    watched.review(10_499);
    assert!(watched.is_healthy(10_499));
    watched.review(10_500);
    assert_eq!(watched.health.report(watched.at(10_500)).why, Some("its own calls fail"));
}

#[test]
fn where_many_pass_them_on_nobody_is_out_for_that_and_who_was_is_called_again() {
    let watched = Watched::by_default();
    watched.rules.set_counts_nested(false);
    (0..9).for_each(|_| watched.see(Verdict::Nested, 10_000));
    assert!(!watched.review(10_000) && watched.is_healthy(10_000));
    watched.rules.set_counts_nested(true);
    watched.review(10_100);
    assert!(watched.health.is_out());
    watched.review(10_200);
    assert!(watched.health.is_out(), "few do");
    watched.rules.set_counts_nested(false);
    watched.review(10_300);
    assert!(watched.is_healthy(10_300));
    // It shows what it showed, as of then.
    assert!(watched.health.stands_out_nested(watched.at(20_299)));
    assert!(!watched.health.stands_out_nested(watched.at(20_300)));
}

#[test]
fn who_is_out_for_failures_of_its_own_is_not_called_again_because_many_pass_on_theirs() {
    let watched = Watched::by_default();
    watched.eject(0);
    watched.rules.set_counts_nested(false);
    watched.review(100);
    assert!(watched.health.is_out());
}

#[test]
fn a_probe_that_passes_on_a_failure_has_done_as_well_as_those_that_are_called() {
    let watched = Watched::by_default();
    let ms = watched.begin_probe(0);
    watched.rules.set_counts_nested(false);
    assert!(watched.end_probe(Verdict::Nested, ms) && watched.is_healthy(ms));
}

#[test]
fn one_success_ends_what_it_showed() {
    let watched = Watched::by_default();
    (0..9).for_each(|_| watched.see(Verdict::Nested, 10_000));
    assert!(watched.health.stands_out_nested(watched.at(10_000)));
    watched.see(Verdict::Success, 10_000);
    assert!(!watched.health.stands_out_nested(watched.at(10_000)));
    assert!(!Watched::new(None).health.stands_out_nested(watched.at(0)));
}
