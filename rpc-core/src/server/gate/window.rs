//! What one window of a gate has seen, and what follows from it.

/// Counts of one window. Times are in milliseconds; those of the clock since the gate was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct GateWindow {
    pub(super) now: f64,
    /// When counting began.
    pub(super) start: f64,
    /// Calls that ended before their deadlines.
    pub(super) useful: u32,
    /// Calls whose deadlines passed while they ran.
    pub(super) late: u32,
    /// What these calls took, all together.
    pub(super) spent: f64,
    /// What their callers had left when they came, all together.
    pub(super) allowed: f64,
    pub(super) refused: u32,
    /// Most calls that ran at a time.
    pub(super) peak: u32,
    /// Fewest calls that ran at a time.
    pub(super) low: u32,
}

impl GateWindow {
    pub(super) fn ended(&self) -> u32 {
        self.useful + self.late
    }

    pub(super) fn age(&self) -> f64 {
        self.now - self.start
    }

    /// Mean time of a call.
    pub(super) fn took(&self) -> f64 {
        self.spent / f64::from(self.ended())
    }

    /// Mean time that callers gave.
    pub(super) fn patience(&self) -> f64 {
        self.allowed / f64::from(self.ended())
    }

    /// Share of the calls that ended late.
    pub(super) fn lateness(&self) -> f64 {
        f64::from(self.late) / f64::from(self.ended())
    }

    /// Useful calls a millisecond.
    pub(super) fn rate(&self) -> f64 {
        f64::from(self.useful) / self.age().max(100.0)
    }

    /// Whether answers fell against `before` by more than chance: below three quarters, and by two
    /// standard deviations and what may be worked on at either end of a window, as calls of `base`
    /// that began together also end together.
    pub(super) fn fell(&self, before: &Before, base: f64) -> bool {
        let (useful, expected) = (f64::from(self.useful), before.rate * self.age());
        let chance = 2.0 * (expected + useful).sqrt() + before.rate * base;
        useful < 0.75 * expected && expected - useful > chance
    }
}

/// How calls went under the limit before this one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    pub(super) limit: u32,
    pub(super) took: f64,
    pub(super) lateness: f64,
    pub(super) rate: f64,
}

impl Before {
    pub(super) fn of(window: &GateWindow, limit: u32) -> Self {
        let (took, lateness, rate) = (window.took(), window.lateness(), window.rate());
        Self { limit, took, lateness, rate }
    }
}
