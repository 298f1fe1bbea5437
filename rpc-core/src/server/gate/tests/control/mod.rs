//! The steps of the state machine, one window at a time.

mod off;
mod on;
mod trial;
mod windows;

use super::super::control::{Control, Mode, NextWindow};
use super::super::window::GateWindow;

/// How a window went; the rest follows.
#[derive(Clone, Copy)]
struct Went {
    now: f64,
    age: f64,
    useful: u32,
    late: u32,
    /// What a call took, and what it was given.
    took: f64,
    patience: f64,
    refused: u32,
    peak: u32,
    low: u32,
}

/// A quiet one: 100 calls of 10 ms that were given 300.
const QUIET: Went = Went {
    now: 1000.0,
    age: 100.0,
    useful: 100,
    late: 0,
    took: 10.0,
    patience: 300.0,
    refused: 0,
    peak: 100,
    low: 0,
};

/// Of 100 calls of 200 ms so many were late.
fn late(late: u32) -> Went {
    Went { useful: 100 - late, late, took: 200.0, ..QUIET }
}

impl Went {
    fn window(self) -> GateWindow {
        let ended = f64::from(self.useful + self.late);
        GateWindow {
            now: self.now,
            start: self.now - self.age,
            useful: self.useful,
            late: self.late,
            spent: self.took * ended,
            allowed: self.patience * ended,
            refused: self.refused,
            peak: self.peak,
            low: self.low,
        }
    }
}

trait Closes {
    fn went(&mut self, went: Went) -> NextWindow;
}

impl Closes for Control {
    fn went(&mut self, went: Went) -> NextWindow {
        self.close(&went.window(), false)
    }
}

/// One that has seen calls of 10 ms without load.
fn off() -> Control {
    let mut control = Control::new();
    control.went(QUIET);
    assert_eq!(
        (control.mode(), control.limit(), control.base()),
        (Mode::Off, u32::MAX, Some(10.0))
    );
    control
}

/// One that tries a limit, after a window of 100 at a time of which 40 were late.
fn on_trial() -> Control {
    let mut control = off();
    assert_eq!(control.went(late(40)), NextWindow::Fresh);
    assert_eq!(control.mode(), Mode::Trial(0));
    control
}

/// One that limits to 7, from the 1,000th millisecond on.
fn on() -> Control {
    let mut control = on_trial();
    assert_eq!(control.went(QUIET), NextWindow::Same);
    assert_eq!((control.mode(), control.limit()), (Mode::On, 7));
    control
}
