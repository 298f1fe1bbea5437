//! Keeps one instance registered for as long as its guard lives.
//!
//! The guard says what it wants, the instance or its absence, and this brings it about: at once,
//! again in every new session, and as a check every 30 s, because a registry may have forgotten the
//! instance without the session being lost.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Error, Instance, LatestReader};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

use super::link::{Counted, HeldPlace, Link, State, until_closing};
use super::pace::RetryPause;
use crate::backend::Session;
use crate::registration::Wanted;

/// Registers what is wanted, again after every loss and as a check now and then.
///
/// Ends when the guard asks for it or is dropped, or the registry is shut down; then it takes the
/// instance off the list. If the registry does not do that, it is asked again until it does or is shut down: a session that
/// goes on would have it listed for as long as the process lives.
pub(crate) async fn keep(
    link: Arc<Link>,
    mut wanted: watch::Receiver<Wanted>,
    registered: watch::Sender<bool>,
    done: oneshot::Sender<Result<(), Error>>,
    counted: Counted,
) {
    let mut task = Keep {
        state: link.state.subscribe(),
        backoff: RetryPause::new(link.pace),
        sent: Vec::new(),
        is_late: false,
        told: None,
        reopens: None,
        held: None,
        link,
    };
    let mut closing = task.link.closing.subscribe();
    loop {
        let instance = match &*wanted.borrow_and_update() {
            Wanted::Listed(instance) => instance.clone(),
            Wanted::Gone => break,
        };
        let again = task.ensure(&instance, &registered).await;
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { break },
            () = until_closing(&mut closing) => break,
            _ = task.state.changed() => {}
            () = sleep(again) => {}
        }
    }
    registered.send_replace(false);
    // An error only means that no caller waits for the answer.
    let _ = done.send(task.remove().await);
    // It is no provider any more.
    drop(counted);
    if task.sent.is_empty() {
        return;
    }
    let Some(_leaving) = task.link.leave() else { return };
    // What was told of its registration says nothing of its end.
    task.told = None;
    tokio::select! {
        () = task.remove_later() => {}
        () = until_closing(&mut closing) => {}
    }
}

/// The state of one registration's task.
struct Keep {
    link: Arc<Link>,
    state: LatestReader<State>,
    backoff: RetryPause,
    /// The instances that may be listed: last the one that was last sent to the registry, whether or not it
    /// answered, and before it those that it replaces and that are not known to be off the list.
    sent: Vec<Instance>,
    /// Whether it could not be registered at once, which may have been logged.
    is_late: bool,
    /// Why it is not registered, as it was logged last.
    told: Option<String>,
    /// When sessions are to be opened again, if nobody has by then.
    reopens: Option<Instant>,
    /// Has others leave alone what is listed for it.
    held: Option<HeldPlace>,
}

impl Keep {
    /// Registers `instance`; returns when to look again.
    async fn ensure(&mut self, instance: &Instance, registered: &watch::Sender<bool>) -> Duration {
        // Before there is a session: then who has left it over, and takes it off the list, is ready, too.
        self.held = Some(self.link.hold(instance));
        let state = self.state.borrow_and_update().clone();
        let Some(session) = state.session() else {
            self.is_late |= matches!(state, State::Down(_));
            registered.send_if_modified(|is| mem::replace(is, false));
            return self.until_session(&state);
        };
        match self.list(&*session, instance).await {
            Ok(()) => {
                registered.send_if_modified(|is| !mem::replace(is, true));
                if mem::take(&mut self.is_late) {
                    let (service, endpoint) = (&instance.service, &instance.address);
                    let registry = self.link.backend.address();
                    tracing::info!(
                        target: "dubhe::registry",
                        %service, %endpoint, registry, "registered"
                    );
                }
                self.told = None;
                self.backoff.reset();
                self.link.until_reconcile()
            }
            Err(error) => {
                registered.send_if_modified(|is| mem::replace(is, false));
                let (service, endpoint) = (&instance.service, &instance.address);
                let why = error.to_string();
                if self.told.as_ref() != Some(&why) {
                    tracing::warn!(
                        target: "dubhe::registry",
                        %service, %endpoint, %error, "not registered, trying again"
                    );
                    self.told = Some(why);
                }
                self.is_late = true;
                match error.is_invalid_config() {
                    // Nothing but another instance or session helps.
                    true => self.link.until_reconcile(),
                    false => self.backoff.pause(),
                }
            }
        }
    }

    async fn list(&mut self, session: &dyn Session, instance: &Instance) -> Result<(), Error> {
        // Noted before it is sent: it may be listed when that fails.
        self.sent.retain(|sent| sent.address != instance.address || sent.id != instance.id);
        self.sent.push(instance.clone());
        self.link.request(session.register(instance)).await?;
        while let [replaced, _, ..] = &self.sent[..] {
            self.link.request(session.unregister(replaced)).await?;
            self.sent.remove(0);
        }
        Ok(())
    }

    /// Takes it off the list. A registry that has been away may be back, and has kept it: what is not
    /// removed now may stay there for long.
    async fn remove(&mut self) -> Result<(), Error> {
        self.held = None;
        if self.sent.is_empty() {
            return Ok(());
        }
        let session = self.link.session_at_once().await?;
        self.remove_from(&*session).await
    }

    /// When to look again while there is no session.
    fn until_session(&mut self, state: &State) -> Duration {
        if !matches!(state, State::Down(_)) || !self.link.is_left() {
            self.reopens = None;
            return self.link.pace.reconcile;
        }
        // With pauses, as it may not have been a runtime that ended the task that opens sessions.
        let now = Instant::now();
        match self.reopens {
            Some(at) if at > now => at - now,
            Some(_) => {
                self.reopens = None;
                let _ = self.link.begin();
                self.link.pace.reconcile
            }
            None => {
                let pause = self.backoff.pause();
                self.reopens = Some(now + pause);
                pause
            }
        }
    }

    /// Asks for what is left to be removed, again after each failure and in each session, until it is.
    async fn remove_later(&mut self) {
        while !self.sent.is_empty() {
            let state = self.state.borrow_and_update().clone();
            let again = match state.session() {
                Some(session) => match self.remove_from(&*session).await {
                    Ok(()) => return,
                    Err(error) => self.until_removal(&error),
                },
                None => self.until_session(&state),
            };
            tokio::select! {
                _ = self.state.changed() => {}
                () = sleep(again) => {}
            }
        }
    }

    /// Tells why something is still listed, and says when to try again.
    fn until_removal(&mut self, error: &Error) -> Duration {
        let why = error.to_string();
        if self.told.as_ref() != Some(&why) {
            let left = self.sent.iter().map(|sent| format!("{} at {}", sent.service, sent.address));
            let left = left.collect::<Vec<_>>().join(", ");
            tracing::warn!(target: "dubhe::registry", left, %error, "not unregistered, trying again");
            self.told = Some(why);
        }
        match error.is_invalid_config() || error.is_refused() {
            true => self.link.until_reconcile(),
            false => self.backoff.pause(),
        }
    }

    /// Removes all that may be listed, but what another keeps listed by now.
    async fn remove_from(&mut self, session: &dyn Session) -> Result<(), Error> {
        let mut outcome = Ok(());
        for sent in mem::take(&mut self.sent) {
            if self.link.is_held(&sent) {
                continue;
            }
            let removed = self.link.request(session.unregister(&sent)).await;
            if removed.is_err() {
                self.sent.push(sent);
            }
            outcome = outcome.and(removed);
        }
        outcome
    }
}
