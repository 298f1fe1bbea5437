//! The watches of a session: many on one stream, which etcd tells apart by a number.
//!
//! A stream keeps the login with which it was opened. So a new login begins a new stream for the
//! watches that follow; the older one ends with the last of its own.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, Weak};

use http::HeaderValue;
use tokio::sync::Notify;
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
    by_id: HashMap<i64, (AnswerSender, bool)>,
    is_over: bool,
}

/// The answers of a watch that wait for it. There is one for each path that is followed, so it takes little
/// memory while there are none.
#[derive(Debug, Default)]
struct WatchAnswers {
    waiting: Mutex<WaitingAnswers>,
    news: Notify,
}

#[derive(Debug, Default)]
struct WaitingAnswers {
    answers: VecDeque<WatchResponse>,
    is_over: bool,
}

/// Where the answers of a watch go; dropping it ends the watch, once it has read what waits.
#[derive(Debug)]
struct AnswerSender(Arc<WatchAnswers>);

/// A watch; dropping it ends it at the server, too.
#[derive(Debug)]
pub(super) struct EtcdWatch {
    id: i64,
    answers: Arc<WatchAnswers>,
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
        let answers = Arc::<WatchAnswers>::default();
        let id = {
            let mut open = locked(&stream.open);
            if open.is_over {
                return Err(GrpcFailure::Broken("its stream of changes has ended".to_owned()));
            }
            open.last_id += 1;
            let id = open.last_id;
            open.by_id.insert(id, (AnswerSender(Arc::clone(&answers)), false));
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
    pub(super) async fn next(&self) -> Option<WatchResponse> {
        self.answers.next().await
    }
}

impl Drop for EtcdWatch {
    fn drop(&mut self) {
        let ours = locked(&self.stream.open).by_id.remove(&self.id);
        if ours.is_some() {
            // Without room the server is told when it sends something for that number.
            self.stream.requests.try_send(&cancel(self.id));
        }
    }
}

// === impl WatchAnswers ===

impl WatchAnswers {
    /// The next answer; `None` once there will be no more.
    async fn next(&self) -> Option<WatchResponse> {
        loop {
            {
                let waiting = &mut *locked(&self.waiting);
                if let Some(answer) = waiting.answers.pop_front() {
                    if waiting.answers.is_empty() {
                        waiting.answers = VecDeque::new();
                    }
                    return Some(answer);
                }
                if waiting.is_over {
                    return None;
                }
            }
            self.news.notified().await;
        }
    }

    /// Has the answer wait, if there is room.
    fn put(&self, answer: WatchResponse) -> bool {
        let has_room = {
            let mut waiting = locked(&self.waiting);
            let has_room = waiting.answers.len() < QUEUE;
            if has_room {
                waiting.answers.push_back(answer);
            }
            has_room
        };
        if has_room {
            self.news.notify_one();
        }
        has_room
    }
}

// === impl AnswerSender ===

impl Drop for AnswerSender {
    fn drop(&mut self) {
        locked(&self.0.waiting).is_over = true;
        self.0.news.notify_one();
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
            if !deliver(&stream.open, answer) {
                stream.requests.try_send(&cancel(id));
            }
        }
    }
    if let Some(stream) = stream.upgrade() {
        let ended = {
            let mut open = locked(&stream.open);
            open.is_over = true;
            mem::take(&mut open.by_id)
        };
        drop(ended);
    }
}

/// Hands an answer to its watch; says whether the server may keep that one. Whoever is woken finds the watches unlocked.
fn deliver(open: &Mutex<OpenWatches>, answer: WatchResponse) -> bool {
    let (id, is_over) = (answer.watch_id, answer.canceled);
    let watch = locked(open).note(&answer);
    let Some(watch) = watch else {
        if is_over && answer.created {
            // Newer servers refuse a watch without its number: whoever waits begins again.
            let refused = locked(open).take_unknown();
            drop(refused);
        }
        // What is canceled is not there any more: mostly it is we who asked for that.
        return is_over;
    };
    let is_taken = watch.put(answer);
    if is_over || !is_taken {
        let ended = locked(open).by_id.remove(&id);
        drop(ended);
    }
    is_taken || is_over
}

impl OpenWatches {
    /// The watch that an answer is for, which the server knows once it says so.
    fn note(&mut self, answer: &WatchResponse) -> Option<Arc<WatchAnswers>> {
        let (watch, is_known) = self.by_id.get_mut(&answer.watch_id)?;
        *is_known |= answer.created;
        Some(Arc::clone(&watch.0))
    }

    /// Takes out the watches that the server does not know yet.
    fn take_unknown(&mut self) -> Vec<AnswerSender> {
        let unknown = self.by_id.extract_if(|_, (_, is_known)| !*is_known);
        unknown.map(|(_, (watch, _))| watch).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Wake};

    use futures_util::FutureExt;

    use super::*;

    fn open(ids: &[i64]) -> (Mutex<OpenWatches>, Vec<Arc<WatchAnswers>>) {
        let mut open = OpenWatches::default();
        let watches = ids.iter().map(|id| {
            let answers = Arc::<WatchAnswers>::default();
            open.by_id.insert(*id, (AnswerSender(Arc::clone(&answers)), false));
            answers
        });
        let watches = watches.collect();
        (open.into(), watches)
    }

    fn answer(watch_id: i64) -> WatchResponse {
        WatchResponse { watch_id, ..WatchResponse::default() }
    }

    #[test]
    fn a_watch_that_is_not_read_is_ended_and_stops_no_other() {
        let (open, watches) = open(&[1, 2]);
        let next = |watch: usize| watches[watch].next().now_or_never();
        for _ in 0..QUEUE {
            assert!(deliver(&open, answer(1)));
        }
        assert!(!deliver(&open, answer(1)), "the server is to end it");
        assert!(deliver(&open, answer(2)) && !locked(&open).by_id.contains_key(&1));
        assert!(next(1).is_some_and(|answer| answer.is_some()));
        for _ in 0..QUEUE {
            assert!(next(0).is_some_and(|answer| answer.is_some()));
        }
        assert_eq!(next(0), Some(None), "its reader learns that something is missing");
        assert_eq!(next(1), None, "the other one goes on");
    }

    #[test]
    fn a_refusal_without_a_number_ends_what_waits_for_its_beginning() {
        let (open, _watches) = open(&[1, 2]);
        deliver(&open, WatchResponse { created: true, ..answer(1) });
        deliver(&open, WatchResponse { created: true, canceled: true, ..answer(-1) });
        assert_eq!(locked(&open).by_id.keys().collect::<Vec<_>>(), [&1]);
    }

    #[test]
    fn the_answer_to_a_cancel_ends_no_watch_that_is_about_to_begin() {
        let (open, _watches) = open(&[2, 3]);
        assert!(
            deliver(&open, WatchResponse { canceled: true, ..answer(1) }),
            "it is gone already"
        );
        assert_eq!(locked(&open).by_id.len(), 2);
    }

    /// Fails where it is woken or dropped while the watches are locked.
    struct WokenUnlocked(Arc<Mutex<OpenWatches>>);

    impl Wake for WokenUnlocked {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for WokenUnlocked {
        fn drop(&mut self) {
            assert!(self.0.try_lock().is_ok(), "the watches are locked");
        }
    }

    #[test]
    fn who_waits_for_an_answer_is_woken_while_the_watches_are_unlocked() {
        let (open, watches) = open(&[1, 2]);
        let open = Arc::new(open);
        // The last that holds one of these is who wakes it.
        let wait = |watch: usize| {
            let mut next = Box::pin(watches[watch].next());
            let waker = Arc::new(WokenUnlocked(Arc::clone(&open))).into();
            assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            next
        };
        let next = wait(0);
        deliver(&open, WatchResponse { created: true, ..answer(1) });
        assert!(next.now_or_never().is_some_and(|answer| answer.is_some()));
        let next = wait(0);
        deliver(&open, WatchResponse { canceled: true, ..answer(1) });
        assert!(next.now_or_never().is_some_and(|answer| answer.is_some()));
        let next = wait(1);
        deliver(&open, WatchResponse { created: true, canceled: true, ..answer(-1) });
        assert_eq!(next.now_or_never(), Some(None));
    }
}
