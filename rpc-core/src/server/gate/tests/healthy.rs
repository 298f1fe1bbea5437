//! What is not overload: nobody is refused.

use rand::RngExt;

use super::sim::{End, Resource, Served, Sim, always, lognormal};
use super::step;

#[test]
fn nothing_is_refused_below_capacity() {
    for (seed, load) in (0..10).flat_map(|seed| [0.3, 0.5, 0.8].map(|load| (seed, load))) {
        let pool = Served::new(move |_| 800.0 * load, always(10.0), always(300.0));
        let shared = Served::new(move |_| 2_000.0 * load, always(1.0), always(300.0)).at(1);
        let tail = move |_| 16_000.0 / (20.0 * f64::exp(0.5)) * load;
        let tail = Served::new(tail, lognormal(20.0, 1.0), always(100.0)).at(2);
        let resources = vec![Resource::pool(8), Resource::processors(2.0), Resource::pool(16)];
        let sim = Sim::new(seed, resources, vec![pool, shared, tail]).run(20_000.0);
        assert_eq!(sim.refused(), 0, "seed {seed}, load {load}");
    }
}

#[test]
fn concurrency_as_such_is_free() {
    let many = Served::new(|_| 50_000.0, always(50.0), always(300.0));
    let sim = Sim::new(1, vec![Resource::Free], vec![many]).run(4_000.0);
    assert_eq!((sim.refused(), sim.trials(0)), (0, 0));
    let mixed = Box::new(
        |_, dice: &mut rand::rngs::SmallRng| {
            if dice.random_bool(0.9) { 1.0 } else { 400.0 }
        },
    );
    let mixed = Served::new(|_| 20_000.0, mixed, always(500.0));
    let sim = Sim::new(1, vec![Resource::Free], vec![mixed]).run(5_000.0);
    assert_eq!((sim.refused(), sim.trials(0)), (0, 0));
}

#[test]
fn tails_past_the_deadline_are_not_overload() {
    let served = Served::new(|_| 500.0, lognormal(20.0, 1.0), always(100.0));
    let sim = Sim::new(1, vec![Resource::Free], vec![served]).run(600_000.0);
    assert_eq!(sim.refused(), 0);
}

#[test]
fn short_deadlines_of_some_do_not_cost_the_others() {
    for short in [0.5, 0.85] {
        let deadline = |from: f64| {
            Box::new(
                move |now, dice: &mut rand::rngs::SmallRng| {
                    if now >= from && dice.random_bool(short) { 50.0 } else { 1000.0 }
                },
            )
        };
        let served = Served::new(|_| 1_000.0, always(100.0), deadline(10_000.0));
        let sim = Sim::new(1, vec![Resource::Free], vec![served]).run(60_000.0);
        assert_eq!(sim.refused(), 0, "{short} of the callers are in a hurry");
        let cold = Served::new(|_| 500.0, always(100.0), deadline(0.0));
        let sim = Sim::new(1, vec![Resource::Free], vec![cold]).run(300_000.0);
        assert!(sim.trials(0) <= 1, "{} trials", sim.trials(0));
    }
}

#[test]
fn callers_that_hang_up_are_no_evidence() {
    let mut served = Served::new(step(400.0, 700.0), always(10.0), always(300.0));
    served.gives_up = Some(Box::new(|_, dice| if dice.random_bool(0.5) { 20.0 } else { 1e9 }));
    let sim = Sim::new(1, vec![Resource::pool(8)], vec![served]).run(25_000.0);
    assert_eq!((sim.refused(), sim.trials(0)), (0, 0));
    // Twice what it can do, for callers of whom none waits longer than a third of the time it gave.
    let mut served = Served::new(step(400.0, 1_600.0), always(10.0), always(300.0));
    served.gives_up = Some(always(100.0));
    let sim = Sim::new(1, vec![Resource::pool(8)], vec![served]).run(25_000.0);
    assert!(sim.came(0, End::GivenUp, 5_000.0, 25_000.0) > 5_000);
    assert_eq!((sim.refused(), sim.trials(0)), (0, 0));
}
