//! The gate of a method: a limit of the calls that run, off until work is futile.
//!
//! A provider whose handlers queue for something answers nothing once the queue is longer than the
//! deadlines of its callers. The gate counts how calls end; when many are late it tries a limit, keeps
//! it only if calls become quicker by it, and lets go soon after the last refusal. Who calls [`MethodGate`]
//! says what time it is; nobody waits for it, and while it is off a call costs a few atomic additions.

mod control;
mod counters;
mod full;
mod neighbours;
mod window;

#[cfg(test)]
mod tests;

pub(crate) use self::counters::MethodGate;
pub(crate) use self::neighbours::Gates;

/// How a call ended, as far as a gate is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GateOutcome {
    /// Before its deadline, with whatever result.
    Useful,
    /// Its deadline passed while it ran.
    Late,
    /// Its caller gave it up while there was time: that says nothing about load.
    GivenUp,
}
