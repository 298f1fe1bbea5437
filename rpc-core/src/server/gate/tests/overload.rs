//! More than a resource can do: most of what is possible is answered.

use super::sim::{End, Load, Resource, Served, Sim, always, between, lognormal};
use super::step;

/// Eight places of 10 ms, so 800 a second at most; deadlines of 300 ms.
fn pool(seed: u64, load: impl Fn(f64) -> f64 + 'static) -> Sim {
    let served = Served::new(load, always(10.0), always(300.0));
    Sim::new(seed, vec![Resource::pool(8)], vec![served])
}

#[test]
fn answers_go_on_at_ten_times_the_capacity() {
    let sim = pool(1, step(400.0, 8000.0)).run(33_000.0);
    let useful = sim.ended(0, End::Useful, 5_000.0, 25_000.0);
    assert!(useful >= 15_200, "{useful} useful answers of 16,000");
    for second in 7..25 {
        let from = f64::from(second) * 1000.0;
        let useful = sim.ended(0, End::Useful, from, from + 1000.0);
        assert!(useful >= 780, "{useful} useful answers in second {second}");
    }
    let p99 = sim.p99(0, 8_000.0, 25_000.0);
    assert!(p99 <= 50.0, "p99 of what was taken: {p99} ms");
    let first = |end| sim.records.iter().find(|r| r.end == end).map(|r| r.ended);
    assert!(first(End::Refused) > first(End::Late), "refused before anything was late");
    assert_eq!(sim.came(0, End::Refused, 25_200.0, 33_000.0), 0);
    let (off, state) = sim.states[sim.states.len() - 1];
    assert!(state == 0 && off <= 27_300.0, "{:?}", sim.states);
}

#[test]
fn the_limit_is_what_the_pool_does_in_the_target_time() {
    let sim = pool(1, step(400.0, 8000.0)).run(24_900.0);
    assert!((16..=32).contains(&sim.limit(0)), "limit {}", sim.limit(0));
}

#[test]
fn without_a_gate_nothing_is_useful_at_ten_times_the_capacity() {
    let mut served = Served::new(step(400.0, 8000.0), always(10.0), always(300.0));
    served.gated = false;
    let sim = Sim::new(1, vec![Resource::pool(8)], vec![served]).run(25_000.0);
    let useful = sim.ended(0, End::Useful, 7_000.0, 25_000.0);
    assert!(useful < 18 * 80, "{useful} useful answers of 14,400");
}

#[test]
fn the_same_at_twice_and_at_a_fifth_more() {
    for (rate, slowest) in [(1600.0, 60.0), (960.0, f64::INFINITY)] {
        let sim = pool(1, step(400.0, rate)).run(25_000.0);
        let useful = sim.ended(0, End::Useful, 5_000.0, 25_000.0);
        assert!(useful * 100 >= 16_000 * 97, "{useful} useful answers at {rate} a second");
        let p99 = sim.p99(0, 8_000.0, 25_000.0);
        assert!(p99 <= slowest, "p99 of what was taken: {p99} ms");
    }
}

#[test]
fn a_start_into_overload() {
    let sim = pool(1, |_| 8000.0).run(25_000.0);
    let useful = sim.ended(0, End::Useful, 0.0, 25_000.0);
    assert!(useful * 100 >= 20_000 * 95, "{useful} useful answers of 20,000");
}

#[test]
fn a_pool_that_becomes_four_times_slower() {
    let slow = |now: f64| (5_000.0..13_000.0).contains(&now);
    let takes = Box::new(move |now, _: &mut _| if slow(now) { 40.0 } else { 10.0 });
    let served = Served::new(|_| 640.0, takes, always(300.0));
    let sim = Sim::new(1, vec![Resource::pool(8)], vec![served]).run(20_000.0);
    let useful = sim.ended(0, End::Useful, 5_000.0, 13_000.0);
    assert!(useful >= 1_280, "{useful} useful answers of 1,600");
    let useful = sim.ended(0, End::Useful, 8_000.0, 13_000.0);
    assert!(useful >= 970, "{useful} useful answers of 1,000");
    let after = sim.came(0, End::Useful, 13_500.0, 19_000.0);
    let lost =
        sim.came(0, End::Refused, 13_500.0, 19_000.0) + sim.came(0, End::Late, 13_500.0, 19_000.0);
    assert!(lost * 100 <= after, "{lost} lost, {after} useful after it");
}

#[test]
fn a_pool_that_becomes_faster() {
    let takes = Box::new(|now, _: &mut _| if now < 8_000.0 { 10.0 } else { 2.5 });
    let served = Served::new(step(400.0, 1600.0), takes, always(300.0));
    let sim = Sim::new(1, vec![Resource::pool(8)], vec![served]).run(25_000.0);
    assert_eq!(sim.came(0, End::Refused, 8_250.0, 25_000.0), 0);
    let (off, state) = sim.states[sim.states.len() - 1];
    assert!(state == 0 && off <= 10_300.0, "{:?}", sim.states);
}

#[test]
fn processors_that_all_share_answer_on() {
    for load in [2_400.0, 4_000.0, 20_000.0] {
        let served = Served::new(step(1_000.0, load), always(1.0), always(300.0));
        let sim = Sim::new(1, vec![Resource::processors(2.0)], vec![served]).run(28_000.0);
        let useful = sim.ended(0, End::Useful, 5_000.0, 25_000.0);
        assert!(useful * 100 >= 40_000 * 93, "{useful} useful answers at {load} a second");
        let p99 = sim.p99(0, 8_000.0, 25_000.0);
        assert!(load < 4_000.0 || p99 <= 20.0, "p99 at {load} a second: {p99} ms");
        assert_eq!(sim.came(0, End::Refused, 25_200.0, 28_000.0), 0);
    }
}

#[test]
fn a_heavy_tail_before_a_pool_is_limited_too() {
    // Sixteen places, median 20 ms, mean 33 ms, deadline 100 ms.
    for load in [1.2, 2.0, 10.0] {
        let most = 16.0 * 1000.0 / (20.0 * f64::exp(0.5));
        let served =
            Served::new(step(most / 2.0, most * load), lognormal(20.0, 1.0), always(100.0));
        let sim = Sim::new(1, vec![Resource::pool(16)], vec![served]).run(25_000.0);
        let useful = sim.ended(0, End::Useful, 5_000.0, 25_000.0) as f64;
        assert!(useful >= most * 20.0 * 0.9, "{useful} useful answers at {load}");
    }
}

#[test]
fn deadlines_of_many_lengths_do_not_mislead_it() {
    for load in [960.0, 1_600.0, 8_000.0] {
        let deadline = Box::new(
            |_, dice: &mut rand::rngs::SmallRng| {
                if rand::RngExt::random_bool(dice, 0.5) { 50.0 } else { 1000.0 }
            },
        );
        let served = Served::new(step(400.0, load), always(10.0), deadline);
        let sim = Sim::new(1, vec![Resource::pool(8)], vec![served]).run(25_000.0);
        let useful = sim.ended(0, End::Useful, 5_000.0, 25_000.0);
        assert!(useful * 100 >= 16_000 * 93, "{useful} useful answers at {load} a second");
    }
}

#[test]
fn long_polls_are_left_alone() {
    let polls = Served::new(|_| 10.0, always(30_000.0), always(60_000.0)).at(1);
    let quick = Served::new(step(1_000.0, 20_000.0), always(1.0), always(300.0));
    let resources = vec![Resource::processors(2.0), Resource::Free];
    let sim = Sim::new(1, resources, vec![quick, polls]).run(40_000.0);
    assert_eq!(sim.ended(1, End::Refused, 0.0, 40_000.0), 0);
    let useful = sim.ended(0, End::Useful, 5_000.0, 25_000.0);
    assert!(useful * 100 >= 40_000 * 92, "{useful} useful answers of 40,000");
}

#[test]
fn a_poisonous_method_spares_its_neighbours() {
    let innocent = Served::new(|_| 1_000.0, always(1.0), always(300.0));
    let poison = Served::new(step(0.0, 1_000.0), always(10_000.0), always(300.0));
    let sim = Sim::new(1, vec![Resource::processors(2.0)], vec![innocent, poison]);
    let sim = sim.run(24_900.0);
    assert_eq!(sim.limit(1), 4, "{:?}", sim.gates[1]);
    assert_eq!(sim.came(0, End::Refused, 0.0, 24_900.0), 0);
    let useful = sim.came(0, End::Useful, 8_000.0, 24_000.0);
    assert_eq!(sim.came(0, End::Late, 8_000.0, 24_000.0), 0, "{useful} in time");
}

#[test]
fn a_method_that_starved_and_is_called_no_more_squeezes_nobody() {
    // From the twentieth second on it takes longer, for another reason, and is never late.
    let takes = Box::new(|now, _: &mut _| if now < 20_000.0 { 1.0 } else { 40.0 });
    let slower = Served::new(|_| 500.0, takes, always(300.0)).at(1);
    let load = |now| if (5_000.0..10_000.0).contains(&now) { 1_000.0 } else { 0.0 };
    let poison = Served::new(load, always(10_000.0), always(300.0));
    let resources = vec![Resource::processors(2.0), Resource::Free];
    let sim = Sim::new(1, resources, vec![slower, poison]).run(30_000.0);
    assert_eq!(sim.limit(1), 4, "{:?}", sim.gates[1]);
    assert_eq!(sim.came(0, End::Refused, 0.0, 30_000.0), 0);
}

#[test]
fn a_dear_method_is_not_starved() {
    // Half of twice the processors each.
    let cheap = Served::new(step(1_000.0, 4_000.0), always(0.5), always(300.0));
    let dear = Served::new(step(25.0, 100.0), always(20.0), always(300.0));
    let sim = Sim::new(1, vec![Resource::processors(2.0)], vec![cheap, dear]).run(25_000.0);
    let useful = |method| sim.ended(method, End::Useful, 5_000.0, 25_000.0) as f64;
    let (cheap, dear) = (useful(0) * 0.5, useful(1) * 20.0);
    assert!(useful(1) >= 0.15 * 100.0 * 20.0, "{} dear calls were answered", useful(1));
    assert!(cheap + dear >= 0.9 * 40_000.0, "{cheap} ms and {dear} ms of 40,000");
}

#[test]
fn bursts_use_the_deadline() {
    for (load, refused) in [(0.95, 0), (1.2, usize::MAX)] {
        let size = move |now| {
            if (5_000.0..25_000.0).contains(&now) { 1600.0 * load } else { 800.0 }
        };
        let mut served = Served::new(|_| 0.0, always(1.0), always(800.0));
        served.load = Load::Bursts(Box::new(size));
        let sim = Sim::new(1, vec![Resource::processors(2.0)], vec![served]).run(25_000.0);
        assert!(sim.refused() <= refused, "{} refused at {load}", sim.refused());
        let seconds = (10..25).map(|second| f64::from(second) * 1000.0);
        let useful = |from| sim.came(0, End::Useful, from - 1.0, from + 999.0);
        let good = seconds.map(useful).filter(|useful| *useful >= 800).count();
        assert!(good >= 13, "{good} of 15 seconds had 800 useful answers at {load}");
    }
}

#[test]
fn a_gate_beside_bursts_goes_off() {
    let size = |now| if (5_000.0..25_000.0).contains(&now) { 3_200.0 } else { 800.0 };
    let mut bursts = Served::new(|_| 0.0, always(1.0), always(800.0));
    bursts.load = Load::Bursts(Box::new(size));
    let trickle = Served::new(|_| 200.0, always(1.0), always(800.0));
    let sim = Sim::new(1, vec![Resource::processors(2.0)], vec![trickle, bursts]).run(40_000.0);
    for method in [0, 1] {
        assert_eq!(sim.came(method, End::Refused, 28_000.0, 40_000.0), 0, "of method {method}");
    }
}

#[test]
fn the_hint_is_the_time_in_which_what_was_refused_could_be_served() {
    let hints = |rate| {
        let sim = pool(1, step(400.0, rate)).run(25_000.0);
        let refused = sim.records.iter().filter(|r| r.end == End::Refused && r.came > 8_000.0);
        refused.map(|record| record.hint).collect::<Vec<_>>()
    };
    assert!(hints(8_000.0).iter().all(|hint| (500.0..=1000.0).contains(hint)));
    let few = hints(960.0);
    let long = few.iter().filter(|hint| **hint > 150.0).count();
    assert!(long * 20 <= few.len(), "{long} of {} hints are over 150 ms", few.len());
}

#[test]
fn a_method_of_other_deadlines_is_limited_as_well() {
    // Workloads that the constants were not chosen on.
    let cases: [(usize, f64, f64, f64); 2] = [(100, 200.0, 1000.0, 0.88), (1, 0.5, 1000.0, 0.93)];
    for (places, takes, deadline, share) in cases {
        let most = places as f64 * 1000.0 / takes;
        for load in [1.2, 2.0, 10.0] {
            let served =
                Served::new(step(most / 2.0, most * load), always(takes), always(deadline));
            let sim = Sim::new(1, vec![Resource::pool(places)], vec![served]).run(25_000.0);
            let useful = sim.ended(0, End::Useful, 5_000.0, 25_000.0) as f64;
            assert!(useful >= share * most * 20.0, "{useful} of {} at {load}", most * 20.0);
        }
    }
    let served = Served::new(step(800.0, 16_000.0), lognormal(5.0, 0.5), between(200.0, 500.0));
    let sim = Sim::new(1, vec![Resource::processors(8.0)], vec![served]).run(25_000.0);
    let (useful, most) = (sim.ended(0, End::Useful, 5_000.0, 25_000.0) as f64, 20.0 * 1411.0);
    assert!(useful >= 0.9 * most, "{useful} of {most}");
}

#[test]
fn few_who_obey_their_hint_come_back_in_vain() {
    let sim = pool(1, step(400.0, 8_000.0)).run(25_000.0);
    let refused = sim.records.iter().filter(|record| record.end == End::Refused);
    // Half to one and a half times the hint, if that is within the deadline, up to three times.
    let again = refused.map(|record| (300.0 / record.hint - 0.5).clamp(0.0, 1.0)).sum::<f64>();
    let attempts = 1.0 + 3.0 * again / sim.records.len() as f64;
    assert!(attempts <= 1.2, "{attempts} attempts a call");
}

#[test]
fn a_method_of_few_calls_is_limited_too() {
    // Two places of 100 ms, ten times as much.
    let served = Served::new(step(10.0, 200.0), always(100.0), always(1000.0));
    let sim = Sim::new(1, vec![Resource::pool(2)], vec![served]).run(25_000.0);
    let useful = sim.ended(0, End::Useful, 5_000.0, 25_000.0);
    assert!(useful >= 340, "{useful} useful answers of 400");
}
