//! Ranges that are asked for at the same time, read by one request: the checks of a thousand lists come
//! together, and a request costs more than what it asks for.

use std::mem;
use std::sync::Mutex;

use rpc_core::Error;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::messages::{
    EtcdOperation, RANGE, RangeRequest, RangeResponse, TXN, TxnRequest, TxnResponse,
};
use super::session::EtcdLink;
use crate::lock::locked;

/// Ranges in one transaction; servers take 128 by default (`--max-txn-ops`).
const MOST: usize = 64;

/// The ranges that wait for the next request.
#[derive(Debug, Default)]
pub(super) struct JointRanges(Mutex<Vec<WaitingRange>>);

/// One of them, and where its answer goes. Dropped without one, it is read by itself.
#[derive(Debug)]
struct WaitingRange {
    request: RangeRequest,
    to: oneshot::Sender<RangeResponse>,
}

/// Drops what waits if the one who was to read it stops.
struct LeaderGuard<'a>(&'a JointRanges);

// === impl JointRanges ===

impl JointRanges {
    /// The range as it is now.
    ///
    /// # Errors
    /// The session is lost, or we may not read it.
    ///
    /// # Cancel safety
    /// Nobody else's range is lost if it is dropped.
    pub(super) async fn read(
        &self,
        link: &EtcdLink,
        request: RangeRequest,
    ) -> Result<RangeResponse, Error> {
        let (to, answer) = oneshot::channel();
        let is_leader = {
            let mut waiting = locked(&self.0);
            waiting.push(WaitingRange { request: request.clone(), to });
            // One for each request that it takes.
            waiting.len() % MOST == 1
        };
        if is_leader {
            let guard = LeaderGuard(self);
            // Whoever was woken together with this one asks meanwhile.
            yield_now().await;
            let together = self.next();
            mem::forget(guard);
            if together.len() > 1 {
                read_together(link, together).await;
            }
        }
        match answer.await {
            Ok(answer) => Ok(answer),
            // It was alone, or what was read together failed, perhaps because of another.
            Err(_) => link.call(RANGE, &request).await,
        }
    }

    /// Takes those of the next request.
    fn next(&self) -> Vec<WaitingRange> {
        let mut waiting = locked(&self.0);
        let later = waiting.len().min(MOST);
        let later = waiting.split_off(later);
        mem::replace(&mut *waiting, later)
    }
}

impl Drop for LeaderGuard<'_> {
    fn drop(&mut self) {
        // Who waits is woken by the drop, without the lock.
        let waiting = mem::take(&mut *locked(&self.0.0));
        drop(waiting);
    }
}

/// Reads them by one request; if it fails, they are dropped.
async fn read_together(link: &EtcdLink, together: Vec<WaitingRange>) {
    let ranges = together.iter().map(|one| EtcdOperation::range(one.request.clone())).collect();
    let request = TxnRequest { compare: Vec::new(), success: ranges };
    let TxnResponse { header, responses, .. } = match link.call(TXN, &request).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(
                target: "dubhe::registry",
                %error, ranges = together.len(), "ranges are read one by one"
            );
            return;
        }
    };
    for (one, answer) in together.into_iter().zip(responses) {
        if let Some(range) = answer.range {
            // Only the head of the whole answer names the cluster. Perhaps nobody waits for it any more.
            let _ = one.to.send(RangeResponse { header: header.clone(), ..range });
        }
    }
}
