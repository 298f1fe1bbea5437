//! What the callers of a server share, and how much of it one of them may take: calls that run,
//! bytes of requests and answers.
//!
//! One rule for both: a caller takes more only as long as it then has no more than was left. So
//! one takes half, two take a third each, and however many there are, the next one finds about as
//! much as each of them has.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use super::state::{Phase, ServerState, shutting_down};
use crate::body::Body;
use crate::metadata::Metadata;
use crate::reply::Reply;
use crate::status::{Delivery, Status};
use crate::stream::{MessageSource, Messages};

/// A quota shared by all callers of a server.
pub(super) struct Quota {
    limit: usize,
    taken: AtomicUsize,
}

/// Why there is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    /// All of them have taken what there is.
    All,
    /// The one that asks would have more than it leaves; that is this much.
    Own(usize),
}

impl Quota {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0) }
    }

    pub(super) fn taken(&self) -> &AtomicUsize {
        &self.taken
    }

    /// Whether an owner of `own` may take `more` while `all` are taken; with `alone`, it leaves
    /// nothing to others.
    fn fits(&self, all: usize, own: usize, more: usize, alone: bool) -> Result<(), Shortage> {
        let left = self.limit.saturating_sub(all);
        if more > left {
            Err(Shortage::All)
        } else if !alone && own.saturating_add(more) > left {
            Err(Shortage::Own(left))
        } else {
            Ok(())
        }
    }

    /// Counts `more` for the owner of `own`, if it fits.
    fn take(&self, own: &AtomicUsize, more: usize, alone: bool) -> Result<(), Shortage> {
        let (all, had) = self.take_anyway(own, more);
        let fits = self.fits(all, had, more, alone);
        if fits.is_err() {
            self.give_back(own, more);
        }
        fits
    }

    /// Counts `more`, whether it fits or not; returns what was taken before, by all and by `own`.
    fn take_anyway(&self, own: &AtomicUsize, more: usize) -> (usize, usize) {
        (self.taken.fetch_add(more, Ordering::AcqRel), own.fetch_add(more, Ordering::AcqRel))
    }

    /// Takes `less` off the counts; `true` if nothing is taken any more.
    fn give_back(&self, own: &AtomicUsize, less: usize) -> bool {
        own.fetch_sub(less, Ordering::AcqRel);
        self.taken.fetch_sub(less, Ordering::AcqRel) == less
    }
}

/// A caller of a server: a connection, or a channel inside the process. While there are others, it
/// leaves them their part also when it takes nothing.
///
/// It keeps no server alive, so a handler may hold one of its own server.
#[derive(Debug)]
pub struct Caller {
    calls: AtomicUsize,
    bytes: AtomicUsize,
    /// How many callers the server has.
    all: Arc<AtomicUsize>,
}

impl Caller {
    /// A new caller of `server`, which has taken nothing.
    #[must_use]
    pub fn new(server: &ServerState) -> Arc<Self> {
        let all = server.callers.clone();
        all.fetch_add(1, Ordering::AcqRel);
        Arc::new(Self { calls: AtomicUsize::new(0), bytes: AtomicUsize::new(0), all })
    }

    fn is_alone(&self) -> bool {
        self.all.load(Ordering::Acquire) <= 1
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The part of a server's quotas that one caller has taken.
#[derive(Debug)]
pub struct ConnectionShare {
    pub(super) state: Arc<ServerState>,
    caller: Arc<Caller>,
}

impl ConnectionShare {
    /// The share of a new connection, of which nothing is taken.
    #[must_use]
    pub fn new(state: Arc<ServerState>) -> Arc<Self> {
        let caller = Caller::new(&state);
        Self::of(caller, state)
    }

    /// The share of `caller`, with all that it has taken before; `state` is its server.
    #[must_use]
    pub fn of(caller: Arc<Caller>, state: Arc<ServerState>) -> Arc<Self> {
        Arc::new(Self { state, caller })
    }

    /// The state that all callers share.
    #[must_use]
    #[inline]
    pub fn state(&self) -> &Arc<ServerState> {
        &self.state
    }

    /// Whether one more call may run now.
    #[inline]
    pub fn has_room(&self, one_way: bool) -> bool {
        let (calls, own) = (&self.state.calls, self.caller.calls.load(Ordering::Acquire));
        let all = calls.taken.load(Ordering::Acquire);
        let fits = calls.fits(all, own, 1, self.caller.is_alone());
        let others = self.state.one_way.load(Ordering::Acquire);
        fits.is_ok() && (!one_way || calls.fits(all, others, 1, false).is_ok())
    }

    /// Counts a running call.
    ///
    /// # Errors
    /// `resource_exhausted`, refused: all callers together have reached the limit, or this one
    /// its share of it while others are open.
    #[inline]
    pub fn begin_call(self: &Arc<Self>) -> Result<CallGuard, Status> {
        let calls = &self.state.calls;
        let guard = || CallGuard { share: self.clone(), one_way: false };
        let (own, alone) = (&self.caller.calls, self.caller.is_alone());
        calls.take(own, 1, alone).map(|()| guard()).map_err(|short| {
            let limit = calls.limit;
            refused(match short {
                Shortage::All => {
                    format!("{limit} calls run already; raise `provider.limits.in_flight`")
                }
                Shortage::Own(left) => format!(
                    "this caller runs {} of {limit} calls and leaves {left} to others, so it \
                     has no more; raise `provider.limits.in_flight`",
                    own.load(Ordering::Acquire)
                ),
            })
        })
    }

    /// Counts a running call that goes on without its connection. All of these together leave as
    /// much as they take, or peers that come again and again would have everything.
    ///
    /// # Errors
    /// As [`begin_call`](Self::begin_call).
    pub fn begin_one_way(self: &Arc<Self>) -> Result<CallGuard, Status> {
        let mut guard = self.begin_call()?;
        let (calls, before) =
            (&self.state.calls, self.state.one_way.fetch_add(1, Ordering::AcqRel));
        guard.one_way = true;
        // It is counted among all already.
        let others = calls.taken.load(Ordering::Acquire).saturating_sub(1);
        calls.fits(others, before, 1, false).map(|()| guard).map_err(|_| {
            refused(format!(
                "{before} one-way calls run already, as many as they leave to others of {}; raise \
                 `provider.limits.in_flight`",
                calls.limit
            ))
        })
    }

    /// Counts a call that has begun, over the limit if there is no room: the first that a method
    /// ever waits in, or one that came together with others of other connections.
    pub fn count_call(self: &Arc<Self>, one_way: bool) -> CallGuard {
        self.state.calls.take_anyway(&self.caller.calls, 1);
        if one_way {
            self.state.one_way.fetch_add(1, Ordering::AcqRel);
        }
        CallGuard { share: self.clone(), one_way }
    }
}

/// One running call; the counts go back when it is dropped.
#[derive(Debug)]
pub struct CallGuard {
    share: Arc<ConnectionShare>,
    one_way: bool,
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        let ConnectionShare { state, caller } = &*self.share;
        if self.one_way {
            state.one_way.fetch_sub(1, Ordering::AcqRel);
        }
        if state.calls.give_back(&caller.calls, 1) {
            state.wake_drain();
        }
    }
}

impl CallGuard {
    /// Counts the call until the end of its reply's body. One that streams is still running when the
    /// server closes, at the end of a drain: it ends then as `unavailable`, answered.
    ///
    /// # Errors
    /// Another reader has the stream.
    pub fn until_end(self, reply: Reply) -> Result<Reply, Status> {
        if !reply.body.is_stream() {
            return Ok(reply);
        }
        let mut phase = self.share.state.watch_phase();
        let closing = Box::pin(async move {
            // It closes at the latest when nobody can say so any more.
            let _ = phase.wait_for(|phase| *phase >= Phase::Closing).await;
        });
        let messages = reply.body.messages()?;
        let body = Body::stream(Draining { messages, closing, _counted: self });
        Ok(Reply { body, ..reply })
    }
}

/// A stream that ends with the server.
struct Draining {
    messages: Messages,
    closing: Pin<Box<dyn Future<Output = ()> + Send>>,
    _counted: CallGuard,
}

impl MessageSource for Draining {
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        let this = self.get_mut();
        if this.closing.as_mut().poll(cx).is_ready() {
            let closed = shutting_down().with_delivery(Delivery::Answered);
            return Poll::Ready(Some(Err(closed)));
        }
        this.messages.poll_next(cx)
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        self.messages.trailers().clone()
    }
}

/// Bytes that a connection holds; they count until this is dropped.
#[derive(Debug)]
pub struct HeldBytes {
    share: Arc<ConnectionShare>,
    bytes: usize,
}

impl HeldBytes {
    /// Nothing yet, to be grown.
    #[inline]
    pub const fn nothing(share: Arc<ConnectionShare>) -> Self {
        Self { share, bytes: 0 }
    }

    /// How many bytes are counted.
    #[must_use]
    #[inline]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts `more` bytes.
    ///
    /// # Errors
    /// `resource_exhausted`, refused: this connection would hold more than it leaves to others.
    #[inline]
    pub fn grow(&mut self, more: usize) -> Result<(), Status> {
        if more == 0 {
            return Ok(());
        }
        let ConnectionShare { state, caller } = &*self.share;
        let limit = state.bytes.limit;
        state.bytes.take(&caller.bytes, more, false).map_err(|short| {
            let rest = format!(
                "of {limit} bytes; send less at a time or raise `provider.limits.buffered`"
            );
            refused(match short {
                Shortage::All => format!(
                    "requests and answers of all connections have no room for {more} more {rest}"
                ),
                Shortage::Own(left) => format!(
                    "requests and answers of this connection would hold more than they leave to \
                     others, {left} {rest}"
                ),
            })
        })?;
        self.bytes += more;
        Ok(())
    }

    /// Counts at most `bytes` from now on.
    #[inline]
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(less @ 1..) = self.bytes.checked_sub(bytes) {
            self.bytes = bytes;
            let ConnectionShare { state, caller } = &*self.share;
            state.bytes.give_back(&caller.bytes, less);
        }
    }

    /// The count of `bytes` of these, or of all there are, by itself.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { share: self.share.clone(), bytes }
    }

    /// Counts what `other` of the same connection counted, too.
    pub fn join(&mut self, other: &mut Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

fn refused(text: String) -> Status {
    Status::resource_exhausted(text).with_delivery(Delivery::Refused)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use bytes::{Bytes, BytesMut};

    use super::*;
    use crate::codec::{Codec, CodecError, Codecs, Limits};
    use crate::message::{Message, Returned};
    use crate::metrics::Metrics;
    use crate::protocol::Protocols;
    use crate::server::{Dispatcher, ServerConfig};

    /// A codec that nobody uses.
    #[derive(Debug)]
    struct Unused;

    impl Codec for Unused {
        fn name(&self) -> &'static str {
            "unused"
        }

        fn content_subtype(&self) -> &'static str {
            "unused"
        }

        fn dubbo_id(&self) -> u8 {
            0
        }

        fn encode(&self, _: &dyn Message, _: &mut BytesMut) -> Result<(), CodecError> {
            unreachable!()
        }

        fn decode(&self, _: Bytes, _: &mut dyn Message, _: &mut Limits) -> Result<(), CodecError> {
            unreachable!()
        }
    }

    /// A server that takes so many calls and bytes.
    fn server(in_flight: usize, buffered: usize) -> Arc<ServerState> {
        let codecs = Codecs::new(Arc::new(Unused), []);
        let dispatcher = Arc::new(Dispatcher::new(codecs, Metrics::new("provider")));
        let config = ServerConfig { in_flight, buffered, ..ServerConfig::default() };
        Arc::new(ServerState::new(dispatcher, Protocols::new(Vec::new()).unwrap(), config))
    }

    /// Begins calls until there is no more; who told why.
    fn begin_all(share: &Arc<ConnectionShare>) -> (Vec<CallGuard>, Status) {
        let mut begun = Vec::new();
        loop {
            assert_eq!(share.has_room(false), share.begin_call().is_ok());
            match share.begin_call() {
                Ok(guard) => begun.push(guard),
                Err(full) => return (begun, full),
            }
        }
    }

    fn begin_one_ways(share: &Arc<ConnectionShare>) -> Vec<CallGuard> {
        let mut begun = Vec::new();
        while share.has_room(true) {
            begun.push(share.begin_one_way().unwrap());
        }
        assert!(share.begin_one_way().is_err());
        begun
    }

    fn taken(state: &ServerState) -> (usize, usize, usize) {
        let [calls, one_way, bytes] = [state.calls.taken(), &state.one_way, state.bytes.taken()]
            .map(|count| count.load(Ordering::Acquire));
        (calls, one_way, bytes)
    }

    #[test]
    fn one_alone_may_run_all_calls_and_beside_another_half_until_that_has_gone() {
        let state = server(8, 0);
        let first = ConnectionShare::new(state.clone());
        let (begun, full) = begin_all(&first);
        assert_eq!((begun.len(), full.is_full()), (8, true), "{full}");
        assert!(full.message().starts_with("8 calls run already"), "{full}");
        drop(begun);
        let second = ConnectionShare::new(state.clone());
        let (begun, full) = begin_all(&first);
        assert_eq!(begun.len(), 4);
        let text = "this caller runs 4 of 8 calls and leaves 4 to others";
        assert!(full.message().starts_with(text), "{full}");
        drop((begun, second));
        assert_eq!(begin_all(&first).0.len(), 8, "the other has gone");
        assert_eq!(taken(&state), (0, 0, 0));
    }

    #[test]
    fn one_way_calls_of_all_leave_as_much_as_they_take() {
        let state = server(8, 0);
        let first = ConnectionShare::new(state.clone());
        // Alone, and still half: who sends them need not stay.
        let begun = begin_one_ways(&first);
        assert_eq!((begun.len(), taken(&state)), (4, (4, 4, 0)));
        assert!(first.has_room(false) && !first.has_room(true));
        let refused = first.begin_one_way().unwrap_err();
        assert!(refused.is_full() && refused.message().starts_with("4 one-way calls"), "{refused}");
        assert_eq!(taken(&state), (4, 4, 0), "who was refused counts no more");
        let second = ConnectionShare::new(state.clone());
        assert!(second.begin_one_way().is_err(), "another connection makes no room");
        drop(begun);
        assert_eq!(taken(&state), (0, 0, 0));
    }

    #[test]
    fn a_call_that_runs_already_counts_over_the_limit() {
        let state = server(1, 0);
        let share = ConnectionShare::new(state.clone());
        let counted = [share.count_call(false), share.count_call(true), share.count_call(true)];
        assert_eq!(taken(&state), (3, 2, 0));
        assert!(!share.has_room(false) && share.begin_call().is_err());
        drop(counted);
        assert_eq!(taken(&state), (0, 0, 0));
    }

    #[test]
    fn the_last_call_of_a_drain_wakes_who_waits_for_it() {
        let state = server(8, 0);
        let share = ConnectionShare::new(state.clone());
        let (one, another) = (share.begin_call().unwrap(), share.begin_call().unwrap());
        let (woken, waker) = woken();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let mut waits = Box::pin(state.no_calls(deadline));
        let mut context = Context::from_waker(&waker);
        assert!(waits.as_mut().poll(&mut context).is_pending());
        drop(one);
        assert_eq!(woken.load(Ordering::Acquire), 0, "one runs yet");
        drop(another);
        assert_eq!(woken.load(Ordering::Acquire), 1);
        assert_eq!(waits.as_mut().poll(&mut context), Poll::Ready(0));
    }

    /// A waker that counts.
    fn woken() -> (Arc<AtomicUsize>, Waker) {
        struct Counts(Arc<AtomicUsize>);
        impl std::task::Wake for Counts {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::AcqRel);
            }
        }
        let count = Arc::new(AtomicUsize::new(0));
        (count.clone(), Arc::new(Counts(count)).into())
    }

    /// A stream of one message, with a word at its end.
    struct One(bool);

    impl MessageSource for One {
        fn poll_message(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Body, Status>>> {
            let is_first = std::mem::take(&mut self.0);
            Poll::Ready(is_first.then(|| Ok(Body::typed(Returned(())))))
        }

        fn trailers(self: Pin<&mut Self>) -> Metadata {
            let mut trailers = Metadata::new();
            trailers.insert("last", "word");
            trailers
        }
    }

    fn streaming() -> Reply {
        Reply { body: Body::stream(One(true)), ..Reply::new(Returned(())) }
    }

    #[test]
    fn a_call_whose_reply_streams_counts_until_that_has_been_read() {
        let state = server(8, 0);
        let share = ConnectionShare::new(state.clone());
        let plain = share.begin_call().unwrap().until_end(Reply::new(Returned(()))).unwrap();
        assert_eq!((plain.body.is_stream(), taken(&state)), (false, (0, 0, 0)));
        let reply = share.begin_call().unwrap().until_end(streaming()).unwrap();
        assert!(reply.body.is_stream());
        let mut messages = reply.body.messages().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(messages.poll_next(&mut context), Poll::Ready(Some(Ok(_)))));
        assert_eq!(taken(&state), (1, 0, 0));
        assert!(matches!(messages.poll_next(&mut context), Poll::Ready(None)));
        assert_eq!(messages.trailers().value("last"), Some("word"));
        drop((messages, reply.body));
        assert_eq!(taken(&state), (0, 0, 0));
    }

    #[test]
    fn a_reply_that_streams_goes_on_through_a_drain_and_ends_when_the_server_closes() {
        let state = server(8, 0);
        let share = ConnectionShare::new(state.clone());
        let reply = share.begin_call().unwrap().until_end(streaming()).unwrap();
        let mut messages = reply.body.messages().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        state.enter(Phase::Refusing);
        assert!(matches!(messages.poll_next(&mut context), Poll::Ready(Some(Ok(_)))));
        state.enter(Phase::Closing);
        let Poll::Ready(Some(Err(ended))) = messages.poll_next(&mut context) else { panic!() };
        assert_eq!(
            (ended.code(), ended.delivery()),
            (crate::Code::Unavailable, Delivery::Answered)
        );
    }

    #[test]
    fn a_connection_holds_half_of_the_bytes_and_gives_back_what_it_lets_go() {
        let state = server(8, 100);
        let share = ConnectionShare::new(state.clone());
        let mut held = HeldBytes::nothing(share.clone());
        held.grow(0).unwrap();
        held.grow(30).unwrap();
        held.grow(20).unwrap();
        assert_eq!((held.bytes(), taken(&state)), (50, (0, 0, 50)));
        let own = held.grow(1).unwrap_err();
        assert!(
            own.is_full() && own.message().contains("leave to others, 50 of 100 bytes"),
            "{own}"
        );
        let all = held.grow(51).unwrap_err();
        assert!(all.message().contains("have no room for 51 more of 100 bytes"), "{all}");
        assert_eq!((held.bytes(), taken(&state)), (50, (0, 0, 50)));
        held.shrink_to(60);
        assert_eq!((held.bytes(), taken(&state)), (50, (0, 0, 50)), "that is no less");
        held.shrink_to(50);
        held.shrink_to(20);
        assert_eq!((held.bytes(), taken(&state)), (20, (0, 0, 20)));
        drop(held);
        assert_eq!(taken(&state), (0, 0, 0));
    }

    #[test]
    fn bytes_that_are_parted_or_joined_stay_as_many() {
        let state = server(8, 100);
        let mut held = HeldBytes::nothing(ConnectionShare::new(state.clone()));
        held.grow(50).unwrap();
        let mut part = held.split(20);
        assert_eq!((held.bytes(), part.bytes(), taken(&state).2), (30, 20, 50));
        let mut rest = held.split(31);
        assert_eq!((held.bytes(), rest.bytes()), (0, 30), "no more than there are");
        drop(held);
        part.join(&mut rest);
        assert_eq!((part.bytes(), rest.bytes(), taken(&state).2), (50, 0, 50));
        drop(rest);
        assert_eq!(taken(&state).2, 50);
        drop(part);
        assert_eq!(taken(&state).2, 0);
    }

    /// Takes one at a time until there is no more.
    fn most(pool: &Quota, own: &AtomicUsize, alone: bool) -> usize {
        while pool.take(own, 1, alone).is_ok() {}
        own.load(Ordering::Acquire)
    }

    #[test]
    fn each_connection_leaves_as_much_as_it_takes() {
        let pool = Quota::new(12);
        let (first, second, third) = <(AtomicUsize, AtomicUsize, AtomicUsize)>::default();
        assert_eq!(most(&pool, &first, false), 6);
        assert_eq!(most(&pool, &second, false), 3);
        assert_eq!(most(&pool, &third, false), 2);
        assert_eq!(pool.take(&first, 1, false), Err(Shortage::Own(1)));
        assert_eq!(pool.take(&first, 2, false), Err(Shortage::All));
        pool.give_back(&first, 6);
        assert_eq!(most(&pool, &third, false), 5);
    }

    #[test]
    fn many_of_one_peer_leave_room_for_one_more_like_them() {
        let pool = Quota::new(1000);
        let hogs: [AtomicUsize; 9] = Default::default();
        // All of them at once, one call after the other.
        while hogs.iter().filter(|own| pool.take(own, 1, false).is_ok()).count() > 0 {}
        assert_eq!(most(&pool, &AtomicUsize::new(0), false), 50);
        assert_eq!(pool.taken.load(Ordering::Acquire), 950);
    }

    #[test]
    fn what_is_alone_may_take_all() {
        let pool = Quota::new(5);
        assert_eq!(most(&pool, &AtomicUsize::new(0), true), 5);
    }
}
