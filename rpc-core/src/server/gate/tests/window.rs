//! What a window tells, and how two are compared.

use super::super::window::{Before, GateWindow};

/// A window of so long, whose calls took 8 ms each and were given 40 ms.
fn window(age: f64, useful: u32, late: u32) -> GateWindow {
    let ended = f64::from(useful + late);
    GateWindow {
        now: 7_000.0 + age,
        start: 7_000.0,
        useful,
        late,
        spent: 8.0 * ended,
        allowed: 40.0 * ended,
        refused: 3,
        peak: 12,
        low: 2,
    }
}

#[test]
fn a_window_tells_means_and_shares_of_the_calls_that_ended() {
    let window = window(500.0, 30, 10);
    assert_eq!((window.ended(), window.age()), (40, 500.0));
    assert_eq!((window.took(), window.patience()), (8.0, 40.0));
    assert_eq!((window.lateness(), window.rate()), (0.25, 0.06));
    let before = Before::of(&window, 9);
    assert_eq!((before.limit, before.took, before.lateness, before.rate), (9, 8.0, 0.25, 0.06));
}

#[test]
fn a_rate_is_of_a_tenth_of_a_second_at_least() {
    assert_eq!(window(10.0, 30, 10).rate(), 0.3);
}

#[test]
fn answers_have_fallen_below_three_quarters_and_by_more_than_chance() {
    let before = |rate| Before { limit: 9, took: 8.0, lateness: 0.0, rate };
    for (age, useful, rate, base, fell) in [
        // 1000 were expected: 750 are three quarters.
        (1000.0, 750, 1.0, 0.0, false),
        (1000.0, 749, 1.0, 0.0, true),
        (1000.0, 300, 1.0, 0.0, true),
        (1000.0, 2000, 1.0, 0.0, false),
        // What may be worked on at either end, 251 ms at one a millisecond, and two deviations.
        (1000.0, 749, 1.0, 167.0, true),
        (1000.0, 749, 1.0, 168.0, false),
        (1000.0, 749, 1.0, 251.0, false),
        (1000.0, 500, 1.0, 251.0, true),
        // Of 16 that were expected 6 are too few, and 7 are chance: 9 < 2 * sqrt(23).
        (160.0, 6, 0.1, 0.0, true),
        (160.0, 7, 0.1, 0.0, false),
        // Exactly as many as chance takes: 20 - 5 = 2 * sqrt(25) + 0.1 * 50.
        (200.0, 5, 0.1, 50.0, false),
        (200.0, 5, 0.1, 49.0, true),
    ] {
        let told = window(age, useful, 0).fell(&before(rate), base);
        assert_eq!(told, fell, "{useful} in {age} ms after {rate} a ms, base {base}");
    }
}
