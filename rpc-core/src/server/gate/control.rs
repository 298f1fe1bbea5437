//! The decisions of a gate: a state machine that is given one window after the other.
//!
//! Off → Trial → On → Off. A trial lowers the limit once work is futile, and is taken back unless
//! lateness or latency fall with it. While the gate is on, the limit is the rate of useful answers
//! times what a call may take (Little's law). All times are in milliseconds.

use super::window::{Before, GateWindow};

/// Fewer calls could not show whether a dependency is back.
const FLOOR: u32 = 4;

/// Late calls in successive bad windows that are no hiccup any more.
const STREAK: u32 = 20;

/// Share of late calls from which a window is bad, and below which it is healthy.
const BAD: f64 = 0.2;
const HEALTHY: f64 = 0.05;

/// After this long without a refusal the gate is off again.
const CALM: f64 = 2000.0;

/// How long after a trial that did not help the next one may come, at first and at most.
const HOLD: f64 = 10_000.0;
const LONGEST_HOLD: f64 = 600_000.0;

/// Most steps of a trial: 2^8 covers 10,000 calls to 40.
const STEPS: u8 = 8;

/// What a gate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing: it watches.
    Off,
    /// Tries a limit; the number counts its steps.
    Trial(u8),
    /// Limits.
    On,
}

/// The state of a gate between its windows.
#[derive(Debug)]
pub(super) struct Control {
    mode: Mode,
    limit: u32,
    /// What a call takes when nothing queues, as far as known.
    base: Option<f64>,
    /// Late calls of the bad windows in a row.
    streak: u32,
    /// How it went without limit, before the trial.
    kept: Option<Before>,
    /// How it went before the limit was cut, until that is judged.
    cut: Option<Before>,
    /// Whether the trial has seen a useful call.
    any_useful: bool,
    hold_until: f64,
    hold_for: f64,
    /// When calls were last refused, and when the queue last stood.
    calm: f64,
    stood: f64,
    /// Mean time, and mean patience of callers, in the last window that had calls.
    took: f64,
    patience: f64,
}

/// How the next window begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NextWindow {
    /// At once.
    Same,
    /// Once what ran under the former limit is over.
    Fresh,
}

impl Control {
    pub(super) fn new() -> Self {
        Self {
            mode: Mode::Off,
            limit: u32::MAX,
            base: None,
            streak: 0,
            kept: None,
            cut: None,
            any_useful: false,
            hold_until: 0.0,
            hold_for: HOLD,
            calm: 0.0,
            stood: 0.0,
            took: 0.0,
            patience: 0.0,
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Most calls that may run; `u32::MAX` while it is off.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn base(&self) -> Option<f64> {
        self.base
    }

    /// Whether the window has seen enough to be judged.
    pub(super) fn is_complete(&self, window: &GateWindow) -> bool {
        let (ended, age) = (window.ended(), window.age());
        let patience = if ended == 0 { self.patience } else { window.patience() };
        let trial = matches!(self.mode, Mode::Trial(_));
        let least = if trial { (patience / 2.0).max(100.0) } else { 100.0 };
        let wanted = if trial { 100 } else { 50 };
        (age >= least && ended >= wanted)
            || ended >= 1000
            || (age >= 1000.0 && ended >= 10)
            // A trial that does harm ends at once.
            || (trial && age >= least && ended >= 10 && self.fell(window))
            || (age >= 2000.0 && ended >= 5)
            || age >= 5000.0 + 2.0 * patience
    }

    /// Judges a complete window; `starving` says whether another method does not come through.
    pub(super) fn close(&mut self, window: &GateWindow, starving: bool) -> NextWindow {
        if window.ended() < 5 {
            if self.mode != Mode::Off && window.refused == 0 {
                self.turn_off();
            }
            return NextWindow::Fresh;
        }
        (self.took, self.patience) = (window.took(), window.patience());
        match self.mode {
            Mode::Off => self.close_off(window, starving),
            Mode::Trial(step) => self.close_trial(window, step),
            Mode::On => self.close_on(window, starving),
        }
    }

    /// How long to wait until calls of the former limit are over.
    pub(super) fn settle(&self, next: NextWindow) -> f64 {
        match (next, self.mode) {
            (NextWindow::Same, _) | (_, Mode::Off) => 0.0,
            (NextWindow::Fresh, Mode::Trial(_)) => self.patience,
            (NextWindow::Fresh, Mode::On) => (3.0 * self.took).min(self.patience),
        }
    }

    /// When to come back: the time in which what was refused could have been served.
    pub(super) fn hint(&self, window: &GateWindow) -> f64 {
        if window.useful == 0 {
            return 1000.0;
        }
        (f64::from(window.refused) / window.rate()).max(2.0 * window.took()).min(1000.0)
    }

    /// Whether it is at its floor and calls are late all the same. Of no calls none is late: their share
    /// is not a number, and less than any.
    pub(super) fn is_starving(&self, window: &GateWindow) -> bool {
        self.mode == Mode::On && self.limit == FLOOR && window.lateness() >= 0.5
    }

    /// Ends a limit, as after a while without calls.
    pub(super) fn turn_off(&mut self) {
        (self.mode, self.limit) = (Mode::Off, u32::MAX);
        self.streak = 0;
    }

    /// What a call may take while there is a limit.
    pub(super) fn target(&self) -> f64 {
        let base = self.base.unwrap_or(self.patience / 4.0);
        (1.25 * base).max((2.0 * base + 5.0).min(0.6 * self.patience))
    }

    fn fell(&self, window: &GateWindow) -> bool {
        self.kept.is_some_and(|kept| self.fell_against(window, &kept))
    }

    fn fell_against(&self, window: &GateWindow, before: &Before) -> bool {
        window.fell(before, self.base.unwrap_or(0.0))
    }

    fn is_squeezing(&self, starving: bool) -> bool {
        starving && self.base.is_some() && self.took > 2.0 * self.target()
    }

    /// The factor by which Little's law lowers a limit, where the true queue may be longer than is seen.
    fn ratio(&self, window: &GateWindow) -> f64 {
        (self.target() / self.took * (1.0 - window.lateness()).max(0.5)).min(0.5)
    }

    fn close_off(&mut self, window: &GateWindow, starving: bool) -> NextWindow {
        let (took, lateness) = (self.took, window.lateness());
        self.streak = if lateness >= BAD { self.streak.saturating_add(window.late) } else { 0 };
        let futile = self.streak >= STREAK;
        if (futile || self.is_squeezing(starving)) && window.now >= self.hold_until {
            let known = self.base.is_some();
            self.base = Some(self.base.unwrap_or_else(|| took.min(self.patience / 4.0)));
            // A limit could make calls faster than they are.
            if self.target() < 0.8 * took {
                return self.begin_trial(window, futile && known);
            }
        } else if lateness < HEALTHY {
            let base = self.base.unwrap_or(took);
            // Follows deployments and caches, not the filling of a queue.
            self.base = Some(took.min(base + (took - base).min(base) / 64.0));
        }
        NextWindow::Same
    }

    fn begin_trial(&mut self, window: &GateWindow, measured: bool) -> NextWindow {
        self.kept = Some(Before::of(window, window.peak));
        let cut = if measured { self.ratio(window) } else { 0.5 };
        self.limit = scaled(window.peak, cut);
        (self.mode, self.streak, self.any_useful) = (Mode::Trial(0), 0, false);
        NextWindow::Fresh
    }

    fn close_trial(&mut self, window: &GateWindow, step: u8) -> NextWindow {
        self.any_useful |= window.useful > 0;
        let kept = self.kept.unwrap_or_else(|| Before::of(window, window.peak));
        let helped = window.lateness() <= kept.lateness / 2.0 || self.took <= 0.75 * kept.took;
        let fell = self.fell_against(window, &kept);
        let queues = window.refused > 0;
        if helped && !fell {
            self.hold_for = HOLD;
            self.turn_on(window.now);
        } else if helped && step < 5 {
            // Right, but too much.
            self.limit = self.limit.saturating_mul(4).min(kept.limit / 2).max(FLOOR);
            self.mode = Mode::Trial(step + 4);
            return NextWindow::Fresh;
        } else if queues && !fell && step < STEPS && self.limit > FLOOR {
            // Nothing is lost, and it is not enough yet.
            self.limit = scaled(self.limit, self.ratio(window));
            self.mode = Mode::Trial(step + 1);
            return NextWindow::Fresh;
        } else if !self.any_useful && queues {
            // There is nothing to lose at any limit: spare the others.
            self.turn_on(window.now);
        } else {
            // It is not our queue: take the limit back, and wait.
            self.hold(window.now);
            self.turn_off();
        }
        NextWindow::Same
    }

    fn turn_on(&mut self, now: f64) {
        (self.mode, self.cut) = (Mode::On, None);
        (self.calm, self.stood) = (now, now);
    }

    fn close_on(&mut self, window: &GateWindow, starving: bool) -> NextWindow {
        let (took, lateness) = (self.took, window.lateness());
        if lateness < HEALTHY && window.useful > 5 {
            self.base = Some(self.base.map_or(took, |base| base.min(took)));
        }
        let target = self.target();
        let late = lateness >= BAD && window.late >= 5 && target < 0.8 * took;
        if window.refused > 0 {
            if self.adjust(window) {
                return NextWindow::Fresh;
            }
        } else if late || self.is_squeezing(starving) {
            self.limit = scaled(self.limit.min(window.peak), target / took);
            return NextWindow::Fresh;
        }
        if window.now - self.calm > CALM {
            if lateness >= BAD {
                self.hold(window.now);
            }
            self.turn_off();
        }
        NextWindow::Same
    }

    /// Moves the limit to what answers within the target; `true` if it changed.
    fn adjust(&mut self, window: &GateWindow) -> bool {
        let (took, lateness) = (self.took, window.lateness());
        self.calm = window.now;
        if window.low > self.limit / 4 {
            self.stood = window.now;
        }
        let mut target = self.target();
        if window.now - self.stood > 1000.0 {
            // The queue empties all the time: bursts, which may use the deadline.
            target = (1.25 * self.base.unwrap_or(0.0)).max(0.6 * self.patience);
        }
        if let Some(cut) = self.cut.filter(|cut| self.limit <= cut.limit / 2) {
            self.cut = None;
            if lateness < 0.5 && self.fell_against(window, &cut) {
                // The cut cost answers.
                self.base = Some(took.max(cut.took / 1.25));
                self.limit = cut.limit;
                return true;
            }
        }
        let ratio = (target / took).clamp(0.1, 2.0);
        if ratio > 1.1 {
            self.cut = None;
        } else if ratio >= 0.9 {
            return false;
        } else if self.limit == FLOOR && lateness < HEALTHY {
            // There is nothing left to cut: this is what a call takes.
            self.base = Some(took);
            return false;
        } else if self.cut.is_none() {
            self.cut = Some(Before::of(window, self.limit));
        }
        self.limit = scaled(self.limit, ratio);
        true
    }

    /// Lets no trial begin for a while, twice as long each time.
    fn hold(&mut self, now: f64) {
        self.base = Some(self.took);
        self.hold_until = now + self.hold_for;
        self.hold_for = (2.0 * self.hold_for).min(LONGEST_HOLD);
    }
}

/// `limit` times `factor`, at least the floor.
fn scaled(limit: u32, factor: f64) -> u32 {
    // A product of a count and a factor of at most 2 fits, and `as` saturates.
    let scaled = (f64::from(limit) * factor) as u32;
    scaled.max(FLOOR)
}
