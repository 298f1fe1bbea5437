//! Keeps one subscription complete: watched, watched again after every loss, repaired by
//! re-listing.
//!
//! A list that arrives replaces the one before it as a whole, so a lost push is repaired by the
//! next, or by the fetch every 30 s. While there is no session the last list stays, and the
//! subscription carries the reason as its trouble. A list that the registry confirms is written to
//! the disk cache, if it has changed or its copy there has become old.

use std::sync::Arc;

use rpc_core::{Error, ServiceKey, Snapshot, Trouble};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::link::{Link, State};
use super::pace::RetryPause;
use crate::backend::{Listing, Session, Updates};
use crate::cache::REWRITE_AFTER;

/// Puts the lists of `service` into `snapshots`, and into `trouble` why they are not confirmed.
///
/// Ends when the last subscriber has gone or the registry is shut down.
pub(crate) async fn follow(
    link: Arc<Link>,
    service: ServiceKey,
    snapshots: watch::Sender<Snapshot>,
    trouble: watch::Sender<Option<Trouble>>,
) {
    let mut closing = link.closing.subscribe();
    let mut task = Follow {
        state: link.state.subscribe(),
        written: None,
        link,
        service,
        snapshots: &snapshots,
        trouble,
    };
    tokio::select! {
        () = task.run() => {}
        () = snapshots.closed() => {}
        _ = closing.wait_for(|closing| *closing) => {}
    }
}

/// The state of one subscription's task.
struct Follow<'a> {
    link: Arc<Link>,
    service: ServiceKey,
    snapshots: &'a watch::Sender<Snapshot>,
    trouble: watch::Sender<Option<Trouble>>,
    state: watch::Receiver<State>,
    /// When the cache was written last.
    written: Option<Instant>,
}

impl Follow<'_> {
    /// Follows one session after the other; in between the last list stays, in doubt.
    async fn run(&mut self) {
        let mut backoff = RetryPause::new(self.link.pace);
        loop {
            let state = self.state.borrow_and_update().clone();
            let session = match state {
                State::Up(session) => session,
                State::Connecting | State::Down(_) => {
                    if let State::Down(error) = state {
                        self.doubt(&error);
                        if self.link.is_left() {
                            // With pauses, as it may not have been a runtime that ended it.
                            sleep(backoff.pause()).await;
                            let _ = self.link.begin();
                        }
                    }
                    if self.state.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            let began = Instant::now();
            let error = self.follow_session(&*session).await;
            self.doubt(&error);
            let service = &self.service;
            tracing::debug!(
                target: "dubhe::registry",
                %service, %error, "watch ended, beginning it again"
            );
            if began.elapsed() >= self.link.pace.longest_pause {
                backoff.reset();
            }
            tokio::select! {
                () = sleep(backoff.pause()) => {}
                _ = self.state.changed() => {}
            }
        }
    }

    /// Follows one session until it is lost, or its watch or a repair fails.
    async fn follow_session(&mut self, session: &dyn Session) -> Error {
        let (updates, mut newest) = Updates::new(self.snapshots.borrow().instances.len());
        let mut doubts = updates.doubts();
        let (link, service) = (Arc::clone(&self.link), self.service.clone());
        let mut replaced = self.state.clone();
        let watching = session.watch(&service, &updates);
        let repairing = repair(&link, session, &service, &updates);
        tokio::pin!(watching, repairing);
        loop {
            // The watch before the state, so that what was read of the session first is seen first.
            let ended = tokio::select! {
                biased;
                _ = newest.changed() => None,
                _ = doubts.changed() => {
                    if let Some(why) = &*doubts.borrow_and_update() {
                        self.doubt(why);
                    }
                    continue;
                }
                ended = &mut watching => {
                    Some(ended.err().unwrap_or_else(|| Error::closed("the watch ended")))
                }
                // A watch may not notice the end of its session: an old one is not trusted.
                _ = replaced.changed() => Some(match &*replaced.borrow() {
                    State::Down(error) => error.clone(),
                    State::Connecting | State::Up(_) => Error::closed("the session ended"),
                }),
                error = &mut repairing => Some(error),
            };
            // Also at the end: a list that came whole before it counts.
            if ended.is_none() || newest.has_changed().unwrap_or(false) {
                let listing = newest.borrow_and_update().clone();
                self.publish(listing.unwrap_or_default()).await;
            }
            if let Some(error) = ended {
                return error;
            }
        }
    }

    /// The list is not confirmed any more, for this reason; it stays.
    fn doubt(&self, error: &Error) {
        let address = self.link.backend.address();
        let text = error.to_string();
        let text = text.strip_prefix(&format!("registry {address}: ")).unwrap_or(&text);
        self.trouble.send_if_modified(|trouble| {
            let since = trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
            let present = Some(Trouble { error: text.into(), since });
            let is_news = *trouble != present;
            *trouble = present;
            is_news
        });
    }

    /// Hands a list to the subscribers, and writes it to the disk cache if that is due.
    async fn publish(&mut self, listing: Listing) {
        let snapshot = self.link.snapshot(&self.service, listing);
        let snapshot = snapshot.sharing(&self.snapshots.borrow());
        let is_new = self.snapshots.send_if_modified(|current| {
            let is_new = *current != snapshot;
            if is_new {
                *current = snapshot.clone();
            }
            is_new
        });
        // Set after the list, so that no reader takes the old list for confirmed.
        self.trouble.send_if_modified(|trouble| trouble.take().is_some());
        let is_old = self.written.is_none_or(|at| at.elapsed() > REWRITE_AFTER);
        if let Some(cache) = self.link.cache.as_ref().filter(|_| is_new || is_old) {
            self.written = Some(Instant::now());
            cache.write(&self.service, snapshot.instances).await;
        }
    }
}

/// Lists the service again from time to time and repairs what the watch has missed.
async fn repair(
    link: &Link,
    session: &dyn Session,
    service: &ServiceKey,
    updates: &Updates,
) -> Error {
    loop {
        sleep(link.pace.until_reconcile()).await;
        match link.request(session.fetch(service)).await {
            Ok(listing) => updates.put(listing),
            Err(error) => return error,
        }
    }
}
