//! Pushed lists that nobody has read yet: of each service the one that came last. So however quickly they come, they
//! take no more room than one list of each service that is followed, and who receives them waits for nobody.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::Notify;

use super::pushed_head::PushedHead;
use crate::lock::locked;

/// Lists that wait to be read.
#[derive(Default)]
pub(super) struct WaitingLists {
    waiting: Mutex<WaitingByService>,
    news: Notify,
}

#[derive(Default)]
struct WaitingByService {
    lists: HashMap<String, WaitingList>,
    /// Their services, in the order in which the first list of each came.
    order: VecDeque<String>,
}

struct WaitingList {
    json: Bytes,
    /// By which id it is answered.
    id: Option<String>,
}

/// A list that a newer one of its service has replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReplacedList {
    /// By which id it is answered.
    pub(super) id: Option<String>,
}

impl WaitingLists {
    /// Has a list wait, in the place of one of its service.
    pub(super) fn put(&self, head: PushedHead, json: Bytes) -> Option<ReplacedList> {
        let PushedHead { id, service } = head;
        let list = WaitingList { json, id };
        let mut waiting = locked(&self.waiting);
        if let Some(older) = waiting.lists.get_mut(&service) {
            return Some(ReplacedList { id: mem::replace(older, list).id });
        }
        waiting.order.push_back(service.clone());
        waiting.lists.insert(service, list);
        self.news.notify_one();
        None
    }

    /// Waits for a list, and takes that whose service has waited longest.
    ///
    /// # Cancel safety
    /// None is lost if it is dropped.
    pub(super) async fn next(&self) -> Bytes {
        loop {
            if let Some(json) = self.take() {
                return json;
            }
            self.news.notified().await;
        }
    }

    fn take(&self) -> Option<Bytes> {
        let mut waiting = locked(&self.waiting);
        let service = waiting.order.pop_front()?;
        waiting.lists.remove(&service).map(|list| list.json)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn head(service: &str, id: &str) -> PushedHead {
        PushedHead { id: Some(id.to_owned()), service: service.to_owned() }
    }

    #[test]
    fn of_each_service_the_newest_waits_where_the_first_came() {
        let waiting = WaitingLists::default();
        let put = |service, id: &'static str| waiting.put(head(service, id), id.into());
        let next = || waiting.next().now_or_never();
        assert_eq!((put("a", "1"), put("b", "2")), (None, None));
        assert_eq!(put("a", "3"), Some(ReplacedList { id: Some("1".to_owned()) }));
        assert_eq!(next().as_deref(), Some(&b"3"[..]));
        assert_eq!(put("a", "4"), None, "the one before is being read");
        assert_eq!([next().as_deref(), next().as_deref()], [Some(&b"2"[..]), Some(&b"4"[..])]);
        assert!(next().is_none());
    }
}
