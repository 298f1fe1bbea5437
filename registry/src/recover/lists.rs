//! The lists of one subscription. They outlive the task that brings them, which ends with its
//! runtime: a subscriber in another one has it begun again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use rpc_core::{ServiceKey, Snapshot, Trouble, runtime};
use tokio::sync::watch;
use tokio::time::Instant;

use super::follow;
use super::link::RUNTIME_ENDED;
use super::tasks::Tasks;
use crate::lock::locked;

/// Held by the subscription.
pub(super) struct Lists {
    tasks: Arc<Tasks>,
    service: ServiceKey,
    /// `None` once the registry is shut down, which subscribers are to notice.
    ends: Mutex<Option<Ends>>,
    is_followed: AtomicBool,
}

/// The senders of lists, and of the reason why they are not confirmed.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) snapshots: watch::Sender<Snapshot>,
    pub(super) trouble: watch::Sender<Option<Trouble>>,
}

impl Lists {
    pub(super) fn new(tasks: Arc<Tasks>, service: ServiceKey, ends: Ends) -> Arc<Self> {
        let (ends, is_followed) = (Mutex::new(Some(ends)), AtomicBool::new(false));
        Arc::new(Self { tasks, service, ends, is_followed })
    }

    /// Has them followed in the runtime here, unless they are; says whether they were not.
    pub(super) fn follow(self: &Arc<Self>) -> bool {
        if self.is_followed.load(Ordering::Acquire) || runtime::with_timers().is_err() {
            return false;
        }
        let Some(ends) = locked(&self.ends).clone() else { return false };
        if self.is_followed.swap(true, Ordering::AcqRel) {
            return false;
        }
        // Without a session it waits for one, and the task that opens sessions wakes it.
        let _ = self.tasks.link.begin();
        let lists = Arc::downgrade(self);
        let following = Following { lists, trouble: ends.trouble.clone(), is_over: false };
        let (link, service) = (Arc::clone(&self.tasks.link), self.service.clone());
        self.tasks.spawn(async move {
            follow::follow(link, service, ends.snapshots, ends.trouble).await;
            following.over();
        });
        true
    }
}

/// Notes the end of the following task, even if it never began.
struct Following {
    lists: Weak<Lists>,
    trouble: watch::Sender<Option<Trouble>>,
    /// Whether it ended by itself: it has no listener, or the registry is shut down.
    is_over: bool,
}

impl Following {
    fn over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let Some(lists) = self.lists.upgrade() else { return };
        if self.is_over {
            locked(&lists.ends).take();
            return;
        }
        self.trouble.send_modify(|trouble| {
            let since = trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
            *trouble = Some(Trouble { error: RUNTIME_ENDED.into(), since });
        });
        lists.is_followed.store(false, Ordering::Release);
    }
}
