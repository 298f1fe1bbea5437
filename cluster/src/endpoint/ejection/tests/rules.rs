//! What takes an endpoint out, for how long, and how it comes back.

use std::sync::Arc;
use std::time::Duration;

use rpc_core::Tally;
use tokio::time::Instant;

use super::super::{EjectionConfig, Ejector, Health, HealthState, Verdict};
use super::is_alert;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

/// An endpoint on a clock of milliseconds.
struct Watched {
    health: Health,
    ejector: Arc<Ejector>,
    start: Instant,
}

impl Watched {
    fn new(config: Option<EjectionConfig>) -> Self {
        let ejector = Arc::new(Ejector::new(config, Tally::default()));
        let start = Instant::now();
        Self { health: Health::new(ejector.clone(), "a:1".into(), start), ejector, start }
    }

    fn by_default() -> Self {
        Self::new(Some(EjectionConfig { seed: Some(1), ..EjectionConfig::default() }))
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// A call that begins and ends then.
    fn see(&self, verdict: Verdict, ms: u64) {
        self.health.record(verdict, self.at(ms), self.at(ms));
    }

    fn fail(&self, times: u32, ms: u64) {
        (0..times).for_each(|_| self.see(Verdict::Failure, ms));
    }

    /// Says whether there is nothing to look at.
    fn review(&self, ms: u64) -> bool {
        self.health.review(self.at(ms))
    }

    fn state(&self, ms: u64) -> HealthState {
        self.health.report(self.at(ms)).state
    }

    fn is_healthy(&self, ms: u64) -> bool {
        self.state(ms) == HealthState::Healthy
    }

    /// For how many milliseconds it is out yet, rounded up.
    fn left(&self, ms: u64) -> u64 {
        match self.state(ms) {
            HealthState::Ejected { left } => left.as_nanos().div_ceil(1_000_000) as u64,
            other => panic!("{other:?}"),
        }
    }

    /// Whether it is out for between half of `longest` and that.
    fn is_out_for(&self, longest: u64, ms: u64) -> bool {
        (longest / 2..=longest).contains(&self.left(ms))
    }

    /// Takes it out; returns when that is over.
    fn eject(&self, ms: u64) -> u64 {
        self.fail(5, ms);
        ms + self.left(ms)
    }

    /// Takes it out and has its time pass; returns when the probe begins.
    fn begin_probe(&self, ms: u64) -> u64 {
        let until = self.eject(ms);
        assert!(!self.review(until));
        assert!(self.health.begin_probe());
        until
    }

    fn end_probe(&self, verdict: Verdict, ms: u64) -> bool {
        self.health.end_probe(verdict, self.at(ms))
    }
}

// --- What takes it out ----------------------------------------------------------------------

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
    assert!(!is_alert(&watched.ejector));
}

#[test]
fn the_first_failure_of_a_row_has_the_endpoint_looked_at_and_no_other() {
    let watched = Watched::by_default();
    watched.see(Verdict::Success, 0);
    assert!(!is_alert(&watched.ejector));
    for verdict in [Verdict::Failure, Verdict::Nested] {
        watched.see(verdict, 0);
        assert!(is_alert(&watched.ejector), "{verdict:?}");
        watched.ejector.rest();
        watched.see(verdict, 0);
        assert!(!is_alert(&watched.ejector), "{verdict:?}: that is known");
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

// --- For how long ---------------------------------------------------------------------------

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
        let changes = watched.ejector.changes().count();
        assert!(!watched.end_probe(verdict, ms), "{verdict:?}");
        assert!(watched.ejector.changes().count() > changes, "{verdict:?}");
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
    let changes = watched.ejector.changes().count();
    watched.fail(20, 0);
    assert_eq!(watched.ejector.ejections(), 1);
    assert_eq!(watched.ejector.changes().count(), changes + 1);
    assert!(watched.health.is_out() && !watched.health.is_on_probation());
}

// --- How it comes back ----------------------------------------------------------------------

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
    assert!(watched.review(ms + 50) && !watched.health.shows_nested(watched.at(ms + 50)));
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

// --- Addresses without the service ----------------------------------------------------------

#[test]
fn an_address_without_the_service_is_left_alone_for_up_to_a_minute() {
    let watched = Watched::by_default();
    watched.see(Verdict::Missing, 0);
    let report = watched.health.report(watched.at(0));
    assert_eq!(report.state, HealthState::Stale);
    assert_eq!(report.why, Some("the service is not at this address"));
    assert!(watched.health.is_stale() && watched.health.is_out());
    let changes = watched.ejector.changes().count();
    watched.see(Verdict::Missing, 0);
    assert_eq!(watched.ejector.changes().count(), changes, "that is known already");
    watched.review(29_999);
    assert!(!watched.health.is_on_probation());
    watched.review(MINUTE);
    assert!(watched.health.is_on_probation());
}

#[test]
fn a_stale_address_whose_probe_fails_waits_as_long_again_whatever_the_rules_say() {
    let short = EjectionConfig { max: Duration::from_secs(3), ..EjectionConfig::default() };
    let watched = Watched::new(Some(short));
    assert_eq!(watched.health.longest(), Duration::from_secs(3));
    watched.see(Verdict::Missing, 0);
    assert_eq!(watched.health.longest(), Duration::from_secs(60));
    watched.review(MINUTE);
    assert!(watched.health.begin_probe() && !watched.end_probe(Verdict::Failure, MINUTE));
    watched.review(MINUTE + 29_999);
    assert!(!watched.health.is_on_probation());
    watched.review(2 * MINUTE);
    assert!(watched.health.is_on_probation());
}

#[test]
fn a_stale_address_is_called_again_once_it_answers_or_registers_again() {
    let comes_back: [fn(&Watched); 2] = [
        |watched| watched.see(Verdict::Success, SECOND),
        |watched| watched.health.relisted(watched.at(SECOND)),
    ];
    for comes_back in comes_back {
        let watched = Watched::by_default();
        watched.see(Verdict::Missing, 0);
        comes_back(&watched);
        assert!(watched.is_healthy(SECOND) && !watched.health.is_stale());
    }
    let watched = Watched::by_default();
    watched.eject(0);
    watched.health.relisted(watched.at(1));
    assert!(watched.health.is_out(), "one that fails does not come back by that");
}

// --- Failures of a dependency ---------------------------------------------------------------

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
    watched.ejector.note_nested(2, 3);
    (0..9).for_each(|_| watched.see(Verdict::Nested, 10_000));
    assert!(!watched.review(10_000) && watched.is_healthy(10_000));
    watched.ejector.note_nested(1, 3);
    watched.review(10_100);
    assert!(watched.health.is_out());
    watched.review(10_200);
    assert!(watched.health.is_out(), "one in three");
    watched.ejector.note_nested(2, 3);
    watched.review(10_300);
    assert!(watched.is_healthy(10_300));
    // It shows what it showed, as of then.
    assert!(watched.health.shows_nested(watched.at(20_299)));
    assert!(!watched.health.shows_nested(watched.at(20_300)));
}

#[test]
fn who_is_out_for_failures_of_its_own_is_not_called_again_because_many_pass_on_theirs() {
    let watched = Watched::by_default();
    watched.eject(0);
    watched.ejector.note_nested(3, 3);
    watched.review(100);
    assert!(watched.health.is_out());
}

#[test]
fn a_probe_that_passes_on_a_failure_has_done_as_well_as_those_that_are_called() {
    let watched = Watched::by_default();
    let ms = watched.begin_probe(0);
    watched.ejector.note_nested(3, 3);
    assert!(watched.end_probe(Verdict::Nested, ms) && watched.is_healthy(ms));
}

#[test]
fn one_success_ends_what_it_showed() {
    let watched = Watched::by_default();
    (0..9).for_each(|_| watched.see(Verdict::Nested, 10_000));
    assert!(watched.health.shows_nested(watched.at(10_000)));
    watched.see(Verdict::Success, 10_000);
    assert!(!watched.health.shows_nested(watched.at(10_000)));
    assert!(!Watched::new(None).health.shows_nested(watched.at(0)));
}

// --- Calls that are given up ----------------------------------------------------------------

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
