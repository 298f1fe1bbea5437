//! How each balancer treats one among several that is slow, that fails, that recovers, that is new.
//! Simulated on a virtual clock with seeds; the bounds are those of `docs/balancers.md`.

mod support;

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use dubhe_cluster::load_balance::builtin;
use support::simulation::{Event, HEALTHY, Second, Simulation, p99, seeded, shares};
use support::{Answer, maybe_sent};

/// The seconds in which one of ten is ill.
const ILL: Range<usize> = 5..15;

/// One of ten answers like this while it is ill; its share in `seconds`.
async fn ill(name: &str, answer: Answer, length: usize) -> Vec<Second> {
    let script =
        vec![(ILL.start, 3, Event::Answers(answer)), (ILL.end, 3, Event::Answers(HEALTHY))];
    let simulation = Simulation { instances: 10, rate: 400, seconds: length, seed: 1, script };
    simulation.run(seeded(name, 1)).await
}

fn share(seconds: &[Second], range: Range<usize>, whom: usize) -> f64 {
    shares(&seconds[range])[whom]
}

/// The bounds of every balancer; one without is a test that was forgotten.
fn bounds<T: Clone>(table: &[(&str, T)]) -> Vec<(&'static str, T)> {
    let of = |name| {
        let found = table.iter().find(|(known, _)| *known == name);
        (name, found.unwrap_or_else(|| panic!("what is promised of {name}?")).1.clone())
    };
    builtin().names().map(of).collect()
}

/// Shares are in thousandths, an even one is 100; 1.5 percent of play for draws.
const EVEN: RangeInclusive<u32> = 80..=120;

fn assert_within(name: &str, share: f64, bounds: &RangeInclusive<u32>) {
    let thousandths = (share * 1000.0).round() as u32;
    assert!(bounds.contains(&thousandths), "{name}: {thousandths} of 1000, not {bounds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_among_ten_gets_what_each_balancer_promises() {
    let slow = Answer::Around(Duration::from_millis(200));
    let table = [
        ("adaptive", (0..=10, 30)),
        ("leastactive", (0..=30, 250)),
        ("p2c", (0..=10, 30)),
        ("shortestresponse", (0..=15, 30)),
        // These do not look at latency.
        ("consistenthash", (60..=140, 301)),
        ("random", (EVEN, 301)),
        ("roundrobin", (99..=101, 301)),
    ];
    for (name, (bounds, longest)) in bounds(&table) {
        let seconds = ill(name, slow.clone(), ILL.end).await;
        let after_a_second = ILL.start + 1..ILL.end;
        assert_within(name, share(&seconds, after_a_second.clone(), 3), &bounds);
        let p99 = p99(&seconds[after_a_second]);
        assert!(p99 <= Duration::from_millis(longest), "{name}: p99 {p99:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_one_among_ten_gets_what_each_balancer_promises() {
    let table = [
        ("adaptive", 0..=10),
        ("p2c", 0..=10),
        ("shortestresponse", 0..=10),
        // Whoever fails at once has nothing in flight.
        ("leastactive", 100..=300),
        ("consistenthash", 60..=140),
        ("random", EVEN),
        ("roundrobin", 99..=101),
    ];
    for (name, bounds) in bounds(&table) {
        let seconds = ill(name, maybe_sent(), ILL.end).await;
        assert_within(name, share(&seconds, ILL.start + 1..ILL.end, 3), &bounds);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_has_recovered_soon_gets_its_share_again() {
    let slow = Answer::Around(Duration::from_millis(200));
    // Seconds until its share is even again: after it was slow, and after it failed.
    let table = [
        ("adaptive", (3, 12)),
        ("leastactive", (1, 1)),
        ("p2c", (6, 10)),
        // Its memory is 30 s long.
        ("shortestresponse", (34, 34)),
        ("consistenthash", (0, 0)),
        ("random", (0, 0)),
        ("roundrobin", (0, 0)),
    ];
    for (name, (after_slow, after_failing)) in bounds(&table) {
        for (answer, within) in [(slow.clone(), after_slow), (maybe_sent(), after_failing)] {
            let from = ILL.end + within;
            let seconds = ill(name, answer, from + 5).await;
            assert_within(name, share(&seconds, from..from + 5, 3), &(60..=150));
        }
    }
}

/// One of `instances` dies while all are hard pressed for a second, and comes back as a newcomer
/// whom nobody knows at second 8.
async fn newcomer(name: &str, instances: usize, seed: u64) -> Vec<Second> {
    let pressed = Event::Answers(Answer::Around(Duration::from_millis(500)));
    let all = 0..instances;
    let mut script: Vec<_> = all.clone().map(|whom| (5, whom, pressed.clone())).collect();
    script.push((5, 0, Event::Leaves));
    script.extend(all.map(|whom| (6, whom, Event::Answers(HEALTHY))));
    script.push((8, 0, Event::Joins));
    let simulation = Simulation { instances, rate: 400, seconds: 20, seed, script };
    simulation.run(seeded(name, seed)).await
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_gets_its_share_and_no_burst_when_the_others_had_a_hard_time() {
    for name in builtin().names() {
        // Means over 30 s remember the hard second, and small differences of them count.
        let tolerance = if name == "shortestresponse" { 0.4 } else { 0.2 };
        for (instances, seed) in [(3, 1), (4, 2), (10, 3)] {
            let seconds = newcomer(name, instances, seed).await;
            let fair = 1.0 / instances as f64;
            for at in 8..12 {
                let share = share(&seconds, at..at + 1, 0) / fair;
                assert!(share < 1.7, "{name}: {share} of a fair share of {instances} at {at}");
            }
            let share = share(&seconds, 12..20, 0) / fair;
            let is_fair = (share - 1.0).abs() <= tolerance;
            assert!(is_fair, "{name}: {share} of a fair share of {instances}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_simulates_the_same() {
    for name in builtin().names() {
        let calls = |seconds: Vec<Second>| seconds.into_iter().map(|second| second.calls);
        let [one, two] = [newcomer(name, 4, 7).await, newcomer(name, 4, 7).await];
        assert!(calls(one).eq(calls(two)), "{name}");
    }
}
