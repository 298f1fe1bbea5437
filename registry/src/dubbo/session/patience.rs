//! Lists of a server that may just have started and forgotten what clients had registered there: until they
//! are back it lists nobody, which is not believed at once.

use rpc_core::Error;
use tokio::time::{Instant, sleep_until};

use crate::backend::Updates;

/// Hands what `watching` puts into `seen` on to `updates`, until that ends; before `complete_from` no list
/// that has lost more than half of what was known.
pub(super) async fn hand_on(
    complete_from: Instant,
    updates: &Updates,
    seen: &Updates,
    watching: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let (mut lists, mut doubts) = {
        let seen = seen.as_ref();
        (seen.values.subscribe(), seen.doubt.subscribe())
    };
    tokio::pin!(watching);
    let mut is_kept_back = false;
    loop {
        let ended = tokio::select! {
            biased;
            _ = lists.changed() => None,
            _ = doubts.changed() => {
                if let Some(why) = doubts.borrow_and_update().clone() {
                    updates.doubt(why);
                }
                continue;
            }
            ended = &mut watching => Some(ended),
            () = sleep_until(complete_from), if is_kept_back => None,
        };
        // Also at the end: what came whole before it counts.
        if let Some(list) = &*lists.borrow_and_update() {
            is_kept_back =
                list.instances.len() * 2 < updates.known() && Instant::now() < complete_from;
            if !is_kept_back {
                updates.put(list.clone());
            }
        }
        if let Some(ended) = ended {
            return ended;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rpc_core::{Instance, ServiceKey};
    use tokio::time::sleep;

    use super::*;
    use crate::Listing;

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
        let (seen, _) = Updates::new(4);
        let begun = Instant::now();
        let watching = async {
            for &(count, at) in puts {
                sleep((SECOND * at).saturating_sub(begun.elapsed())).await;
                seen.put(list(count));
            }
            sleep(SECOND * 10).await;
            Err(Error::closed("the session ended"))
        };
        let mut noted = Vec::new();
        tokio::select! {
            ended = hand_on(begun + SECOND * 4, &updates, &seen, watching) => ended.unwrap_err(),
            never = async {
                loop {
                    handed.changed().await.unwrap();
                    let count = handed.borrow_and_update().as_ref().unwrap().instances.len();
                    noted.push((count, begun.elapsed().as_secs()));
                }
            } => never,
        };
        noted
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
    async fn a_doubt_is_handed_on_and_so_is_what_came_before_the_end() {
        let (updates, handed) = Updates::new(1);
        let (seen, _) = Updates::new(1);
        let watching = async {
            seen.doubt(Error::closed("nobody knows"));
            tokio::task::yield_now().await;
            assert!(updates.as_ref().doubt.borrow().is_some());
            seen.put(list(1));
            Err(Error::closed("the session ended"))
        };
        hand_on(Instant::now(), &updates, &seen, watching).await.unwrap_err();
        assert_eq!(handed.borrow().as_ref().unwrap().instances.len(), 1);
        assert!(updates.as_ref().doubt.borrow().is_none());
    }
}
