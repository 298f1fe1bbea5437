//! What several endpoints pass on, held against each other.

use std::sync::Arc;
use std::time::Duration;

use rpc_core::Tally;
use tokio::time::Instant;

use super::super::{EjectionConfig, Health, SharedEjection, Verdict, compare_nested};

/// Endpoints, each with so many calls that passed on a failure before so many that succeeded, and
/// failures again; whether such failures count against them.
fn counts(endpoints: &[(u32, u32, u32)]) -> bool {
    let rules = Arc::new(SharedEjection::new(Some(EjectionConfig::default()), Tally::default()));
    let start = Instant::now();
    let made = endpoints.iter().map(|(before, between, after)| {
        let health = Health::new(rules.clone(), "a:1".into(), start);
        for (times, verdict) in
            [(before, Verdict::Nested), (between, Verdict::Success), (after, Verdict::Nested)]
        {
            (0..*times).for_each(|_| health.record(verdict, start, start));
        }
        health
    });
    let all: Vec<Health> = made.collect();
    compare_nested(&rules, all.iter(), start + Duration::from_millis(100));
    rules.counts_nested()
}

#[test]
fn failures_of_a_dependency_count_while_a_third_at_most_have_a_row_of_them() {
    let (row, well) = ((0, 20, 5), (0, 20, 0));
    assert!(counts(&[]) && counts(&[well]));
    assert!(counts(&[row, well, well]) && !counts(&[row, well]) && !counts(&[row, row, well]));
    assert!(counts(&[row, row, row, well, well, well, well, well, well]));
    assert!(!counts(&[row, row, row, row, well, well, well, well, well]));
}

#[test]
fn others_whose_rows_have_ended_show_them_by_half_the_part_of_their_calls() {
    let worst = (15, 20, 5);
    // 20 of 40 failed at the worst: 25 % are half of that.
    let (as_much, less) = ((10, 30, 0), (9, 31, 0));
    assert!(!counts(&[worst, as_much, as_much]) && !counts(&[worst, as_much, less]));
    assert!(counts(&[worst, less, less]));
}

#[test]
fn without_a_row_there_is_nobody_to_be_compared_with() {
    assert!(counts(&[(10, 30, 0), (10, 30, 0), (10, 30, 0)]));
}

#[test]
fn one_that_is_called_again_after_its_window_has_passed_makes_nobody_show_it() {
    let rules = Arc::new(SharedEjection::new(Some(EjectionConfig::default()), Tally::default()));
    let start = Instant::now();
    let made = (0..3).map(|_| Health::new(rules.clone(), "a:1".into(), start));
    let all: Vec<Health> = made.collect();
    let first = start + Duration::from_millis(900);
    (0..5).for_each(|_| all[0].record(Verdict::Nested, first, first));
    let later = start + Duration::from_millis(10_500);
    assert!(all[0].stands_out_nested(later) && all[0].nested_share(later) == 0);
    compare_nested(&rules, all.iter(), later);
    assert!(rules.counts_nested(), "one in three");
}
