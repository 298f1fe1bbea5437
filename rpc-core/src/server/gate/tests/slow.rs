//! Dependencies that become slow: no queue of ours, so no limit that stays.

use rand::RngExt;

use super::sim::{End, Resource, Served, Sim, always, lognormal};

/// Calls that only wait: `normal` ms, but `slow` for ten seconds after the fifth.
fn slow(rate: f64, normal: f64, slow: f64, deadline: super::sim::Figure) -> Sim {
    let takes =
        move |now, _: &mut _| if (5_000.0..15_000.0).contains(&now) { slow } else { normal };
    let served = Served::new(move |_| rate, Box::new(takes), deadline);
    Sim::new(1, vec![Resource::Free], vec![served])
}

#[test]
fn a_dependency_twenty_times_slower_is_not_overload() {
    for deadline in [300.0, 500.0, 1000.0] {
        let sim = slow(1_000.0, 10.0, 200.0, always(deadline)).run(25_000.0);
        assert_eq!(sim.refused(), 0, "deadline {deadline} ms");
    }
}

#[test]
fn a_trial_that_does_not_help_is_taken_back() {
    for seed in 0..5 {
        let tail = lognormal(280.0, 0.3);
        let takes =
            Box::new(move |now, dice: &mut _| if now < 5_000.0 { 10.0 } else { tail(now, dice) });
        let served = Served::new(|_| 1_000.0, takes, always(300.0));
        let sim = Sim::new(seed, vec![Resource::Free], vec![served]).run(45_000.0);
        let begun: Vec<f64> =
            sim.states.iter().filter(|(_, state)| *state == 1).map(|(at, _)| *at).collect();
        let refused = sim.came(0, End::Refused, 5_000.0, 15_000.0);
        assert!(refused <= 1_000, "{refused} refused, seed {seed}");
        assert_eq!(begun.iter().filter(|at| **at < 15_000.0).count(), 1, "{:?}", sim.states);
        assert!(sim.states[2].0 - sim.states[1].0 <= 1_200.0, "{:?}", sim.states);
        assert!(sim.states.iter().all(|(_, state)| *state != 2), "{:?}", sim.states);
        for pair in begun.windows(2) {
            assert!(pair[1] - pair[0] >= 10_000.0, "{begun:?}");
        }
    }
}

#[test]
fn a_hopeless_method_comes_back() {
    let sim = slow(1_000.0, 10.0, 400.0, always(300.0)).run(25_000.0);
    assert_eq!(sim.came(0, End::Refused, 16_500.0, 25_000.0), 0);
}

#[test]
fn half_of_the_calls_late_without_a_queue_pays_for_one_trial() {
    let late = Box::new(|now, dice: &mut rand::rngs::SmallRng| {
        let slow = (5_000.0..15_000.0).contains(&now);
        (if slow { 280.0 } else { 14.0 }) * (1.0 + 0.15 * dice.random_range(-1.0..1.0))
    });
    let served = Served::new(|_| 1_000.0, late, always(300.0));
    let sim = Sim::new(1, vec![Resource::Free], vec![served]).run(25_000.0);
    assert!(sim.refused() <= 1_000, "{} refused", sim.refused());
}

#[test]
fn a_limit_of_a_time_long_before_refuses_nobody() {
    // In the end up to 150 come together, which is more than ran before and ends in time.
    let load = |now: f64| match now {
        ..5_000.0 => 400.0,
        5_000.0..10_000.0 => 8_000.0,
        70_000.0.. if now % 1_000.0 < 50.0 => 3_000.0,
        _ => 0.0,
    };
    let served = Served::new(load, always(10.0), always(300.0));
    let sim = Sim::new(1, vec![Resource::pool(8)], vec![served]).run(90_000.0);
    assert!(sim.came(0, End::Refused, 5_000.0, 10_000.0) > 0);
    assert!(sim.came(0, End::Useful, 70_000.0, 90_000.0) > 1_000);
    assert_eq!(sim.came(0, End::Refused, 70_000.0, 90_000.0), 0, "{:?}", sim.states);
}
