//! The counters of a gate: who may begin, how calls ended, and when a window is over.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use tokio::time::Instant;

use super::GateOutcome;
use super::control::{Control, Mode};
use super::full::Full;
use super::neighbours::{Gates, micros};
use super::window::GateWindow;
use crate::metrics::gate::{GateMetrics, GateState};

/// After this long a window that was not complete is looked at again.
const AGAIN: u64 = 10_000;

/// The shortest window.
const SHORTEST: u64 = 100_000;

/// What callers allow beyond this says nothing about how long a window has to be: that is up to
/// them, and the longest would hold the gate still for all.
const ALLOWED: Duration = Duration::from_secs(10);

/// A limit that nobody has come up against for this long, and under which no call has ended, is
/// of another time.
const STALE: u64 = 2_000_000;

/// The gate of one method. The counters carry no other memory, so all are relaxed.
#[repr(align(128))]
pub(crate) struct MethodGate {
    id: u32,
    call: Arc<str>,
    pub(super) limit: AtomicU32,
    running: AtomicU32,
    /// Most and fewest that ran in this window; written only when they change.
    peak: AtomicU32,
    low: AtomicU32,
    refused: AtomicU32,
    /// What those who are refused are told, in milliseconds.
    retry_after: AtomicU32,
    /// Useful calls in the low half, late ones in the high half.
    ended: AtomicU64,
    spent: AtomicU64,
    allowed: AtomicU64,
    /// When the window counts from, and when it may close.
    start: AtomicU64,
    due: AtomicU64,
    gates: Arc<Gates>,
    pub(super) metrics: GateMetrics,
    /// Only ever tried: whoever does not get it goes on.
    control: Mutex<Control>,
}

impl MethodGate {
    /// A gate that is off.
    pub(crate) fn new(call: Arc<str>, gates: Arc<Gates>, metrics: GateMetrics) -> Self {
        Self {
            id: gates.next_id(),
            call,
            limit: AtomicU32::new(u32::MAX),
            running: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            low: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            retry_after: AtomicU32::new(1000),
            ended: AtomicU64::new(0),
            spent: AtomicU64::new(0),
            allowed: AtomicU64::new(0),
            start: AtomicU64::new(0),
            due: AtomicU64::new(SHORTEST),
            gates,
            metrics,
            control: Mutex::new(Control::new()),
        }
    }

    /// Counts a call that may begin.
    ///
    /// # Errors
    /// As many run as end in time.
    pub(crate) fn begin(&self, now: Instant) -> Result<(), Full> {
        let before = self.running.fetch_add(1, Relaxed);
        if before >= self.limit.load(Relaxed) && !self.is_stale(now) {
            self.running.fetch_sub(1, Relaxed);
            return Err(self.refuse(now));
        }
        self.note_peak(before + 1);
        Ok(())
    }

    /// Counts a call that has begun.
    pub(crate) fn enter(&self) {
        let before = self.running.fetch_add(1, Relaxed);
        self.note_peak(before + 1);
    }

    /// Notes the end of a call that took `spent` since it was counted, of the `allowed` time it had.
    pub(crate) fn end(
        &self,
        now: Instant,
        spent: Duration,
        allowed: Duration,
        outcome: GateOutcome,
    ) {
        let running = self.running.fetch_sub(1, Relaxed) - 1;
        let now = self.gates.micros(now);
        // What ran under the former limit is no evidence.
        if outcome == GateOutcome::GivenUp || now < self.start.load(Relaxed) {
            return;
        }
        if running < self.low.load(Relaxed) {
            self.low.store(running, Relaxed);
        }
        let one = if outcome == GateOutcome::Late { 1 << 32 } else { 1 };
        self.ended.fetch_add(one, Relaxed);
        self.spent.fetch_add(micros(spent), Relaxed);
        self.allowed.fetch_add(micros(allowed.min(ALLOWED)), Relaxed);
        self.try_close(now);
    }

    fn note_peak(&self, running: u32) {
        if running > self.peak.load(Relaxed) {
            self.peak.store(running, Relaxed);
        }
    }

    fn refuse(&self, now: Instant) -> Full {
        self.refused.fetch_add(1, Relaxed);
        self.metrics.add_refused();
        let retry_after = Duration::from_millis(self.retry_after.load(Relaxed).into());
        let full = Full { limit: self.limit.load(Relaxed), retry_after };
        self.try_close(self.gates.micros(now));
        full
    }

    /// Ends a limit that stems from a time long before; `true` if it did.
    fn is_stale(&self, now: Instant) -> bool {
        let now = self.gates.micros(now);
        let is_stale = || now >= self.due.load(Relaxed) + STALE;
        let end = |control: &mut Control| {
            // Somebody else may just have ended it.
            if is_stale() {
                control.turn_off();
                self.tell(control, &self.seen(now));
                self.metrics.set_limit(control.limit());
                self.restart(now, 0.0, control.limit());
            }
        };
        is_stale() && self.with_control(end).is_some()
    }

    fn try_close(&self, now: u64) {
        if now < self.due.load(Relaxed) {
            return;
        }
        self.with_control(|control| {
            // Somebody else may just have closed it.
            if now < self.due.load(Relaxed) {
                return;
            }
            let window = self.seen(now);
            if control.is_complete(&window) {
                self.close(control, &window, now);
            } else {
                self.due.store(now + AGAIN, Relaxed);
            }
        });
    }

    fn close(&self, control: &mut Control, window: &GateWindow, now: u64) {
        let mode = control.mode();
        let next = control.close(window, self.gates.is_other_starving(self.id, now));
        if control.is_starving(window) {
            self.gates.note_starving(self.id, now);
        }
        if control.mode() != Mode::Off {
            self.retry_after.store(whole(control.hint(window)), Relaxed);
        }
        // The steps of a trial are one trial.
        if std::mem::discriminant(&control.mode()) != std::mem::discriminant(&mode) {
            self.tell(control, window);
        }
        self.metrics.set_limit(control.limit());
        self.restart(now, control.settle(next), control.limit());
    }

    /// Begins the next window, `settle` milliseconds from now.
    fn restart(&self, now: u64, settle: f64, limit: u32) {
        self.limit.store(limit, Relaxed);
        let running = self.running.load(Relaxed);
        self.peak.store(running, Relaxed);
        self.low.store(running, Relaxed);
        self.refused.store(0, Relaxed);
        let start = now + u64::from(whole(settle)) * 1000;
        self.start.store(start, Relaxed);
        self.due.store(start + SHORTEST, Relaxed);
        for counter in [&self.ended, &self.spent, &self.allowed] {
            counter.store(0, Relaxed);
        }
    }

    fn seen(&self, now: u64) -> GateWindow {
        let ended = self.ended.load(Relaxed);
        GateWindow {
            now: millis(now),
            start: millis(self.start.load(Relaxed)),
            useful: ended as u32,
            late: (ended >> 32) as u32,
            spent: millis(self.spent.load(Relaxed)),
            allowed: millis(self.allowed.load(Relaxed)),
            refused: self.refused.load(Relaxed),
            peak: self.peak.load(Relaxed),
            low: self.low.load(Relaxed),
        }
    }

    /// Says that the gate does something else from now on, and why.
    fn tell(&self, control: &Control, window: &GateWindow) {
        let gate = match control.mode() {
            Mode::Off => GateState::Off,
            Mode::Trial(_) => GateState::Trial,
            Mode::On => GateState::On,
        };
        self.metrics.changed(gate);
        let (calls, late, refused) = (window.ended(), window.late, window.refused);
        let ms = |time: f64| format!("{time:.1}ms");
        tracing::info!(
            target: "dubhe::gate",
            call = %self.call,
            gate = gate.name(),
            limit = (gate != GateState::Off).then_some(control.limit()),
            unloaded = control.base().map(ms),
            took = (calls > 0).then(|| ms(window.took())),
            calls,
            late,
            refused,
            "the gate of a method changes (`provider.gate`)"
        );
    }

    fn with_control<T>(&self, act: impl FnOnce(&mut Control) -> T) -> Option<T> {
        match self.control.try_lock() {
            Ok(mut control) => Some(act(&mut control)),
            Err(TryLockError::Poisoned(poisoned)) => Some(act(&mut poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl fmt::Debug for MethodGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, running) = (self.limit.load(Relaxed), self.running.load(Relaxed));
        f.debug_struct("MethodGate")
            .field("limit", &limit)
            .field("running", &running)
            .finish_non_exhaustive()
    }
}

/// Milliseconds; exact for 285 years.
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// Whole milliseconds; `as` saturates.
fn whole(millis: f64) -> u32 {
    millis as u32
}
