//! The watches of a session: many on one stream, which etcd tells apart by a number.
//!
//! A stream keeps the login with which it was opened. So a new login begins a new stream for the
//! watches that follow; the older one ends with the last of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use http::HeaderValue;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::messages::{WATCH, WatchCancelRequest, WatchCreateRequest, WatchRequest, WatchResponse};
use crate::grpc::{GrpcAnswers, GrpcConnection, GrpcFailure, GrpcRequests};
use crate::lock::locked;

/// Answers that a watch may have waiting.
const QUEUE: usize = 64;

/// The watches of one session; they end with it.
#[derive(Debug, Default)]
pub(super) struct Watches {
    current: Mutex<Option<Arc<WatchStream>>>,
    readers: Mutex<JoinSet<()>>,
}

/// A stream and the watches on it; it ends when neither they nor later ones need it.
#[derive(Debug)]
struct WatchStream {
    login: Option<HeaderValue>,
    requests: GrpcRequests<WatchRequest>,
    open: Mutex<OpenWatches>,
}

#[derive(Debug, Default)]
struct OpenWatches {
    last_id: i64,
    /// Where the answers of each go, and whether the server knows it.
    by_id: HashMap<i64, (mpsc::Sender<WatchResponse>, bool)>,
    is_over: bool,
}

/// A watch; dropping it ends it at the server, too.
#[derive(Debug)]
pub(super) struct EtcdWatch {
    id: i64,
    answers: mpsc::Receiver<WatchResponse>,
    stream: Arc<WatchStream>,
}

impl Watches {
    /// Begins a watch of the keys from `key` up to `range_end`, or of `key` alone, from `revision` on.
    ///
    /// # Errors
    /// The connection is lost.
    pub(super) async fn begin(
        &self,
        grpc: &GrpcConnection,
        (key, range_end): (Vec<u8>, Vec<u8>),
        revision: i64,
    ) -> Result<EtcdWatch, GrpcFailure> {
        let stream = self.stream(grpc);
        let (send, answers) = mpsc::channel(QUEUE);
        let id = {
            let mut open = locked(&stream.open);
            if open.is_over {
                return Err(GrpcFailure::Broken("its stream of changes has ended".to_owned()));
            }
            open.last_id += 1;
            let id = open.last_id;
            open.by_id.insert(id, (send, false));
            id
        };
        // From here on dropping it forgets the number.
        let watch = EtcdWatch { id, answers, stream };
        let create = WatchCreateRequest {
            key,
            range_end,
            start_revision: revision,
            watch_id: id,
            fragment: true,
        };
        let request = WatchRequest { create: Some(create), cancel: None };
        watch.stream.requests.send(&request).await?;
        Ok(watch)
    }

    /// The stream of the present login, opened if there is none.
    fn stream(&self, grpc: &GrpcConnection) -> Arc<WatchStream> {
        let mut current = locked(&self.current);
        let login = grpc.token();
        if let Some(stream) = &*current
            && stream.login == login
            && !locked(&stream.open).is_over
        {
            return Arc::clone(stream);
        }
        let (requests, answers) = grpc.stream(WATCH);
        let stream = Arc::new(WatchStream { login, requests, open: Mutex::default() });
        let mut readers = locked(&self.readers);
        while readers.try_join_next().is_some() {}
        readers.spawn(read(answers, Arc::downgrade(&stream)));
        Arc::clone(current.insert(stream))
    }
}

impl EtcdWatch {
    /// The next answer; `None` once the watch has ended, or its answers came faster than they were
    /// read.
    pub(super) async fn next(&mut self) -> Option<WatchResponse> {
        self.answers.recv().await
    }
}

impl Drop for EtcdWatch {
    fn drop(&mut self) {
        if locked(&self.stream.open).by_id.remove(&self.id).is_some() {
            // Without room the server is told when it sends something for that number.
            self.stream.requests.try_send(&cancel(self.id));
        }
    }
}

const fn cancel(watch_id: i64) -> WatchRequest {
    WatchRequest { create: None, cancel: Some(WatchCancelRequest { watch_id }) }
}

/// Hands the answers of a stream to its watches until it ends, and ends them with it.
async fn read(
    answers: impl Future<Output = Result<GrpcAnswers<WatchResponse>, GrpcFailure>>,
    stream: Weak<WatchStream>,
) {
    if let Ok(mut answers) = answers.await {
        while let Ok(Some(answer)) = answers.next().await {
            let Some(stream) = stream.upgrade() else {
                return;
            };
            let id = answer.watch_id;
            if !locked(&stream.open).deliver(answer) {
                stream.requests.try_send(&cancel(id));
            }
        }
    }
    if let Some(stream) = stream.upgrade() {
        let mut open = locked(&stream.open);
        open.is_over = true;
        open.by_id.clear();
    }
}

impl OpenWatches {
    /// Hands an answer to its watch; says whether the server may keep that one.
    fn deliver(&mut self, answer: WatchResponse) -> bool {
        let id = answer.watch_id;
        if answer.canceled && !self.by_id.contains_key(&id) {
            // Newer servers refuse a watch without its number: whoever waits begins again.
            self.by_id.retain(|_, (_, is_known)| *is_known);
            return true;
        }
        let Some((watch, is_known)) = self.by_id.get_mut(&id) else {
            return false;
        };
        *is_known |= answer.created;
        let is_over = answer.canceled;
        let is_taken = watch.try_send(answer).is_ok();
        if is_over || !is_taken {
            self.by_id.remove(&id);
        }
        is_taken || is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(ids: &[i64]) -> (OpenWatches, Vec<mpsc::Receiver<WatchResponse>>) {
        let mut open = OpenWatches::default();
        let watches = ids.iter().map(|id| {
            let (send, answers) = mpsc::channel(QUEUE);
            open.by_id.insert(*id, (send, false));
            answers
        });
        let watches = watches.collect();
        (open, watches)
    }

    fn answer(watch_id: i64) -> WatchResponse {
        WatchResponse { watch_id, ..WatchResponse::default() }
    }

    #[test]
    fn a_watch_that_is_not_read_is_ended_and_stops_no_other() {
        let (mut open, mut watches) = open(&[1, 2]);
        for _ in 0..QUEUE {
            assert!(open.deliver(answer(1)));
        }
        assert!(!open.deliver(answer(1)), "the server is to end it");
        assert!(open.deliver(answer(2)) && !open.by_id.contains_key(&1));
        assert!(watches[1].try_recv().is_ok());
        while watches[0].try_recv().is_ok() {}
        assert!(watches[0].is_closed(), "its reader learns that something is missing");
    }

    #[test]
    fn a_refusal_without_a_number_ends_what_waits_for_its_beginning() {
        let (mut open, _watches) = open(&[1, 2]);
        open.deliver(WatchResponse { created: true, ..answer(1) });
        open.deliver(WatchResponse { created: true, canceled: true, ..answer(-1) });
        assert_eq!(open.by_id.keys().collect::<Vec<_>>(), [&1]);
    }
}
