//! Addresses without the service.

use std::time::Duration;

use super::{MINUTE, SECOND, Watched};
use crate::endpoint::ejection::{EjectionConfig, HealthState, Verdict};

#[test]
fn an_address_without_the_service_is_left_alone_for_up_to_a_minute() {
    let watched = Watched::by_default();
    watched.see(Verdict::Missing, 0);
    let report = watched.health.report(watched.at(0));
    assert_eq!(report.state, HealthState::Stale);
    assert_eq!(report.why, Some("the service is not at this address"));
    assert!(watched.health.is_stale() && watched.health.is_out());
    let changes = watched.rules.changes().count();
    watched.see(Verdict::Missing, 0);
    assert_eq!(watched.rules.changes().count(), changes, "that is known already");
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
