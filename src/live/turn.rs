//! Changes of the settings in force take turns. The program's own code runs during a turn, when its
//! extensions and layers are made; a change that they start from there is refused, because it would
//! wait for itself.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use rpc_core::{Error, panics};

/// State that only one holder of the turn changes at a time.
#[derive(Debug)]
pub(crate) struct Turn<T> {
    state: Mutex<T>,
    /// The thread that has the turn.
    holder: Mutex<Option<ThreadId>>,
}

/// The turn; it ends when this is dropped.
pub(crate) struct TurnGuard<'a, T> {
    state: MutexGuard<'a, T>,
    holder: &'a Mutex<Option<ThreadId>>,
}

impl<T> Turn<T> {
    pub(crate) fn new(state: T) -> Self {
        Self { state: Mutex::new(state), holder: Mutex::new(None) }
    }

    /// Waits for the turn. `whose` names the owner in the error.
    ///
    /// # Errors
    /// Busy: this thread has the turn already, so the caller is an extension or layer being made.
    pub(crate) fn take(&self, whose: &str) -> Result<TurnGuard<'_, T>, Error> {
        let (me, holder) = (Some(thread::current().id()), &self.holder);
        // Only this thread stores its own id, so there is no race.
        if *lock(holder) == me {
            return Err(Error::busy(format!(
                "an extension or a layer called back into {whose} that is making it; while one is \
                 made there are no other settings and no new clients: do it afterwards, from a task \
                 of its own"
            )));
        }
        let state = lock(&self.state);
        *lock(holder) = me;
        Ok(TurnGuard { state, holder })
    }
}

/// Runs `make`, which makes extensions and layers of the program.
///
/// # Errors
/// Those of `make`; an extension or layer of the program panicked in it.
pub(crate) fn made<T>(make: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panics::catch(make).unwrap_or_else(|message| {
        Err(Error::invalid_config(format!(
            "an extension or a layer of this program panicked while it was made: {message}"
        )))
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl TurnGuard ===

impl<T> Deref for TurnGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T> DerefMut for TurnGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state
    }
}

impl<T> Drop for TurnGuard<'_, T> {
    fn drop(&mut self) {
        *lock(self.holder) = None;
    }
}
