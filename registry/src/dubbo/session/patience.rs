//! Lists of a server that may just have started and forgotten what clients had registered there: until they
//! are back it lists nobody, which is not believed at once.

use std::future::pending;

use tokio::time::{Instant, sleep_until};

use crate::backend::{Listing, Updates};

/// Hands lists on; before the server's are complete none that has lost more than half of what was known.
pub(super) struct PatientUpdates<'a> {
    updates: &'a Updates,
    /// `None` if its lists are complete from the first.
    complete_from: Option<Instant>,
    kept_back: Option<Listing>,
}

impl<'a> PatientUpdates<'a> {
    pub(super) fn new(updates: &'a Updates, complete_from: Option<Instant>) -> Self {
        Self { updates, complete_from, kept_back: None }
    }

    /// Hands `list` on in place of the one before it, now or once it is believed.
    pub(super) fn put(&mut self, list: Listing) {
        let is_early = self.complete_from.is_some_and(|from| Instant::now() < from);
        match is_early && list.instances.len() * 2 < self.updates.known() {
            true => self.kept_back = Some(list),
            false => {
                self.kept_back = None;
                self.updates.put(list);
            }
        }
    }

    /// Whether the newest list is the one of this revision, and not in doubt.
    pub(super) fn has(&self, revision: u64) -> bool {
        match &self.kept_back {
            Some(list) => list.revision == revision,
            None => self.updates.has(revision),
        }
    }

    /// Waits until what is kept back is believed, and hands it on; without end if nothing is.
    ///
    /// # Cancel safety
    /// Nothing is lost if it is dropped.
    pub(super) async fn wait(&mut self) {
        let (Some(from), true) = (self.complete_from, self.kept_back.is_some()) else {
            return pending().await;
        };
        // Boxed, it takes no room in all lists, of which hardly any is kept back.
        Box::pin(sleep_until(from)).await;
        if let Some(list) = self.kept_back.take() {
            self.updates.put(list);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rpc_core::{Instance, ServiceKey};
    use tokio::time::timeout_at;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn list(count: usize) -> Listing {
        let service = ServiceKey::new("shop.Stock");
        let one = |port| Instance::new(service.clone(), &format!("10.0.0.1:{port}"), "id");
        Listing::new(0, (0..count).map(one))
    }

    /// Lists of so many instances, and when each is put; those that are handed on, and when, in seconds.
    /// Four were known, and lists are complete after four seconds.
    async fn handed_on(puts: &[(usize, u32)]) -> Vec<(usize, u64)> {
        let (updates, mut handed) = Updates::new(4);
        let begun = Instant::now();
        let watching = async {
            let mut patient = PatientUpdates::new(&updates, Some(begun + SECOND * 4));
            for &(count, at) in puts {
                wait_until(&mut patient, begun + SECOND * at).await;
                patient.put(list(count));
            }
            wait_until(&mut patient, begun + SECOND * 10).await;
        };
        let mut noted = Vec::new();
        tokio::select! {
            () = watching => {}
            () = async {
                while handed.changed().await.is_ok() {
                    let count = handed.borrow_and_update().value.as_ref().unwrap().instances.len();
                    noted.push((count, begun.elapsed().as_secs()));
                }
            } => {}
        };
        noted
    }

    async fn wait_until(patient: &mut PatientUpdates<'_>, end: Instant) {
        let waiting = async {
            loop {
                patient.wait().await;
            }
        };
        let _: Result<(), _> = timeout_at(end, waiting).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_has_just_started_empties_no_list_until_its_clients_had_time_to_come() {
        assert_eq!(handed_on(&[(0, 0), (1, 1), (3, 2), (4, 3)]).await, [(3, 2), (4, 3)]);
        assert_eq!(handed_on(&[(0, 0)]).await, [(0, 4)]);
        assert_eq!(handed_on(&[(4, 0), (0, 1), (2, 2)]).await, [(4, 0), (2, 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn later_lists_are_handed_on_as_they_are() {
        assert_eq!(handed_on(&[(4, 0), (0, 4), (1, 5)]).await, [(4, 0), (0, 4), (1, 5)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_back_is_the_newest_list() {
        let (updates, handed) = Updates::new(4);
        let mut patient = PatientUpdates::new(&updates, Some(Instant::now() + SECOND));
        patient.put(Listing { revision: 3, ..list(4) });
        assert!(patient.has(3));
        patient.put(Listing { revision: 4, ..list(0) });
        assert!(patient.has(4) && !patient.has(3));
        assert_eq!(handed.borrow().value.as_ref().unwrap().revision, 3);
        patient.wait().await;
        assert!(patient.has(4));
        assert_eq!(handed.borrow().value.as_ref().unwrap().revision, 4);
    }
}
