//! A dubbo connection of a provider: it answers requests whose handlers are ready at once, and
//! gives the others tasks of their own.
//!
//! The answers of one read gather into one write. The measured time of a method's first polls
//! decides whether its calls are polled here or in tasks of their own. `read_loop.rs` runs the
//! connection.
//!
//! A connection stops reading while too many bytes wait for its peer, and ends if the peer does not
//! take them, sends a frame too slowly, or is silent for too long without a running call.
//! Everything else that a peer does wrong is answered, and the connection goes on.
//!
//! Long because reading, writing and the phases of a connection are one state.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rpc_core::codec::Codec;
use rpc_core::server::{Answer, HeldBytes, Phase, shutting_down};
use rpc_core::status::{Delivery, Status};
use rpc_core::transport::BoxTransport;
use rpc_core::{Peer, Reply};
use tokio::io::AsyncWrite;
use tokio::time::{Instant, Sleep};

use super::outgoing::{Outgoing, counted};
use super::pace::FramePace;
use super::request::{self, EarlierRequests};
use super::respond::put_refusal;
use super::running::CallsShared;
use crate::dubbo::wire;
use crate::dubbo::wire::event::{self, ConnectionEvent};
use crate::dubbo::wire::frames::{Frame, FrameBuffer};
use crate::dubbo::wire::header::{HESSIAN2, Header, status};
use crate::transport::write_queue::LARGE;

/// After this many answers what is gathered goes out, so that the consumer works meanwhile.
const PORTION: usize = 64;

/// Where the calls of new requests begin to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    /// In the task that drives the connection if they are quick, else in one of their own.
    Here,
    /// In tasks of their own.
    Apart,
    /// Nowhere: the provider takes no new calls.
    Nothing,
}

/// The input that a connection has read, and the output that it has to write.
pub(super) struct Connection {
    shared: Arc<CallsShared>,
    io: BoxTransport,
    peer: Arc<Peer>,
    input: FrameBuffer,
    /// Counts what lies in the input, as far as it is more than a little.
    arriving: HeldBytes,
    /// Whether whole frames may wait in the input.
    more: bool,
    writing: Outgoing,
    /// The last phase that the consumer was notified of.
    told: Phase,
    last_read: Instant,
    before: EarlierRequests,
    /// The frame that has begun and is not whole yet.
    pace: Option<FramePace>,
    /// When the peer last took bytes, or had none to take.
    written_at: Instant,
    /// The serialization the peer last spoke, in which our own events go.
    events: u8,
}

/// The next step of a connection.
#[derive(Default)]
pub(super) struct ConnectionTurn {
    pub(super) read: bool,
    pub(super) flush: bool,
    pub(super) timer: bool,
    pub(super) phase: bool,
}

/// The times of requests that are taken together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// When they arrived.
    pub(super) arrived: Instant,
    pub(super) now: Instant,
    /// From one to the other. Kept, because differences of instants are dear.
    passed: Duration,
}

impl Times {
    /// Of requests that arrive now.
    pub(super) const fn read_at(now: Instant) -> Self {
        Self { arrived: now, now, passed: Duration::ZERO }
    }

    /// Notes that it is `now`; says how much time has passed since that was last done.
    pub(super) fn go_on(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.arrived);
        let took = passed.saturating_sub(self.passed);
        (self.now, self.passed) = (now, passed);
        took
    }
}

/// A call whose handler the connection's own task polls.
pub(super) struct Inline {
    header: Header,
    pub(super) answer: Answer,
    codec: Arc<dyn Codec>,
    held: Option<HeldBytes>,
}

impl Connection {
    pub(super) fn new(
        shared: Arc<CallsShared>,
        io: BoxTransport,
        first: BytesMut,
        peer: Arc<Peer>,
    ) -> Self {
        let now = Instant::now();
        Self {
            io,
            peer,
            // The bytes that were read to recognize the protocol may contain frames.
            more: !first.is_empty(),
            input: FrameBuffer::new(first),
            arriving: HeldBytes::nothing(shared.caller.clone()),
            writing: Outgoing::new(shared.caller.clone()),
            told: Phase::Serving,
            last_read: now,
            before: EarlierRequests::opened(now),
            pace: None,
            written_at: now,
            events: HESSIAN2,
            shared,
        }
    }

    /// Writes, and looks what there is to do.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        timer: Pin<&mut Sleep>,
    ) -> Poll<io::Result<ConnectionTurn>> {
        self.shared.driver.register(cx.waker());
        let before = self.writing.len();
        let written = self.writing.poll_write(&mut self.io, cx)?.is_ready();
        if written || self.writing.len() < before {
            self.written_at = Instant::now();
        }
        let (flush, besides) = {
            let inner = self.shared.lock();
            (inner.flush, inner.out.len())
        };
        let phase = self.shared.state.phase() != self.told;
        let mut seen =
            ConnectionTurn { flush: written && flush, phase, ..ConnectionTurn::default() };
        if self.writing.is_full(besides) {
            // We have stopped reading, which is not the peer's fault.
            self.last_read = Instant::now();
            if let Some(pace) = &mut self.pace {
                pace.since = self.last_read;
            }
        } else if self.more {
            seen.read = true;
        } else {
            if let Poll::Ready(read) = self.input.poll_read(&mut self.io, cx) {
                if read? == 0 {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                seen.read = true;
            }
        }
        seen.timer = Future::poll(timer, cx).is_ready();
        if seen.read || seen.flush || seen.timer || seen.phase {
            Poll::Ready(Ok(seen))
        } else {
            Poll::Pending
        }
    }

    /// The next whole frame, of which the body has no more bytes than may be.
    pub(super) fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        let frame = self.input.next(self.shared.state.config().payload)?;
        if frame.is_some() {
            self.pace = None;
        }
        Ok(frame)
    }

    /// Begins to take frames.
    pub(super) fn begin_taking(&mut self, now: Instant) {
        self.last_read = now;
        self.more = false;
    }

    /// Writes what the stream takes at once; `false` if the rest of the input has to wait until the
    /// peer has taken some of its answers.
    pub(super) fn write_some(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if let Poll::Ready(written) = self.writing.poll_write(&mut self.io, cx) {
            written?;
        }
        self.more = self.writing.is_full(0);
        Ok(!self.more)
    }

    /// Whether enough answers have gathered to go out.
    pub(super) fn has_gathered(&self, taken: usize) -> bool {
        taken.is_multiple_of(PORTION) || self.writing.is_long()
    }

    /// Leaves the rest of the input for later.
    pub(super) fn leave_rest(&mut self) {
        self.more = true;
    }

    /// Has taken every frame it could, of those that came at `now`.
    pub(super) fn end_taking(&mut self, now: Instant) {
        self.count_arriving();
        self.pace = match self.input.is_empty() {
            true => None,
            false => self.pace.or_else(|| Some(FramePace::begun(now))),
        };
    }

    /// Acts on a frame; leaves the call in `inline` of which the handler is to be polled here.
    #[inline]
    pub(super) fn take_frame(
        &mut self,
        frame: Frame,
        begins: Begins,
        times: Times,
        inline: &mut Option<Inline>,
    ) {
        match frame {
            Frame::TooLarge(header) => self.refuse_large(header),
            Frame::Whole(header, body) if header.is_event() => self.take_event(header, &body),
            Frame::Whole(header, body) if header.is_request() && begins == Begins::Nothing => {
                self.turn_away(header, &body, &shutting_down(), status::OK);
            }
            Frame::Whole(header, body) if header.is_request() => {
                self.take_request(header, body, begins, times, inline);
            }
            // A provider sends no requests, so there is nothing that an answer could be for.
            Frame::Whole(..) => {}
        }
    }

    /// Counts what lies in the input. A frame that there is no room for is refused; its bytes are
    /// dropped as they come.
    fn count_arriving(&mut self) {
        let due = counted(self.input.waiting());
        self.arriving.shrink_to(due);
        // Nothing more is read before the frames that wait here are taken.
        if self.more {
            return;
        }
        if let Err(full) = self.arriving.grow(due - self.arriving.bytes()) {
            self.arriving.shrink_to(0);
            if let Some(header) = self.input.give_up() {
                self.turn_away(header, &[], &full, status::OVERLOADED);
            }
        }
    }

    /// Counts the body of a request, unless it is small: as many as may run hold little of these.
    fn hold(&mut self, len: usize) -> Result<Option<HeldBytes>, Status> {
        if len < LARGE {
            return Ok(None);
        }
        let mut held = self.arriving.split(len);
        held.grow(len - held.bytes())?;
        Ok(Some(held))
    }

    /// Answers a request over the limit; its bytes are dropped as they come.
    fn refuse_large(&mut self, header: Header) {
        let (len, limit) = (header.body_len, self.shared.state.config().payload);
        let text = format!(
            "Data length too large: {len}, max payload: {limit}; send less or raise \
             `provider.limits.payload`"
        );
        let refused = Status::invalid_argument(text).with_delivery(Delivery::Refused);
        self.turn_away(header, &[], &refused, status::BAD_REQUEST);
    }

    /// Takes an event frame: answers a heartbeat, ends the call that is cancelled. Others need
    /// nothing.
    fn take_event(&mut self, header: Header, body: &[u8]) {
        if !header.is_request() || body.len() > event::MAX_LEN {
            return;
        }
        self.events = header.serialization();
        match ConnectionEvent::parse(body) {
            ConnectionEvent::Heartbeat if header.is_two_way() => {
                let out = self.writing.tail();
                event::put_heartbeat_answer(out, header.serialization(), header.id);
            }
            ConnectionEvent::Cancel(id) => {
                let task = self.shared.lock().running.remove(&id);
                if let Some(task) = task {
                    task.abort();
                }
            }
            ConnectionEvent::Heartbeat
            | ConnectionEvent::ReadOnly
            | ConnectionEvent::Writeable
            | ConnectionEvent::Unknown => {}
        }
    }

    /// Takes a request frame: refuses it, gives it a task, or puts it into `inline` to be polled
    /// here.
    ///
    /// A call that has no room, or no time left, is refused before its handler runs.
    fn take_request(
        &mut self,
        header: Header,
        body: Bytes,
        begins: Begins,
        Times { arrived, now, .. }: Times,
        inline: &mut Option<Inline>,
    ) {
        self.events = header.serialization();
        let len = body.len();
        let (shared, peer, before) = (&self.shared, &self.peer, &mut self.before);
        let parsed = request::parse(&shared.state, peer, header, body, arrived, before);
        let request = match parsed {
            Ok(request) => request,
            Err((refused, status)) => {
                self.refuse(header, &refused, status);
                return;
            }
        };
        if request.deadline.instant() <= now {
            let text = "the deadline passed before the handler could start";
            let refused = Status::deadline_exceeded(text).with_delivery(Delivery::Refused);
            request.note(&self.shared.state, &self.peer, header, &refused);
            self.refuse(header, &refused, status::OK);
            return;
        }
        let held = match self.hold(len) {
            Ok(held) => held,
            Err(full) => {
                request.note(&self.shared.state, &self.peer, header, &full);
                self.refuse(header, &full, status::OVERLOADED);
                return;
            }
        };
        // Without room, a call that would not end at once must not even begin.
        let waits = request.route.waits();
        let here = begins == Begins::Here
            && request.route.runs_inline(now)
            && (!waits || self.shared.caller.has_room(!header.is_two_way()));
        let (route, invocation, codec) = request.into_call(header, &self.peer);
        if !here {
            return self.spawn(header, Answer::new(route, invocation, arrived), codec, held);
        }
        // Made where it stays.
        let answer = Answer::new(route, invocation, arrived);
        let Inline { answer, .. } = inline.insert(Inline { header, answer, codec, held });
        // Once polled it has begun, and could be turned away no more.
        let asks = waits && header.is_two_way();
        if asks && let Err(full) = answer.begin() {
            *inline = None;
            self.refuse(header, &full, status::OVERLOADED);
        }
    }

    /// Takes what the first poll of the call in `inline` brought, which has just ended.
    #[inline]
    pub(super) fn take_polled(
        &mut self,
        inline: &mut Option<Inline>,
        polled: Poll<Result<Reply, Status>>,
        times: Times,
    ) {
        match polled {
            // The new task polls it again at once, and registers its own waker.
            Poll::Pending => {
                if let Some(Inline { header, answer, codec, held }) = inline.take() {
                    answer.route().note_waiting();
                    self.spawn(header, answer, codec, held);
                }
            }
            Poll::Ready(result) => {
                if let Some(Inline { header, answer, codec, held }) = inline {
                    answer.record_after(&result, times.now, times.passed);
                    drop(held.take());
                    if header.is_two_way() {
                        let limit = self.shared.state.config().payload;
                        self.writing.put_answer(header.id, &**codec, result, limit);
                    }
                }
                *inline = None;
            }
        }
    }

    fn spawn(
        &mut self,
        header: Header,
        call: Answer,
        codec: Arc<dyn Codec>,
        held: Option<HeldBytes>,
    ) {
        let begun = match header.is_two_way() {
            true => self.shared.spawn(header.id, call, codec, held),
            false => self.shared.spawn_one_way(call, held),
        };
        if let Err((refused, status)) = begun {
            self.refuse(header, &refused, status);
        }
    }

    /// Answers a request that is turned away before it was read, and says so in the access log.
    #[cold]
    fn turn_away(&mut self, header: Header, body: &[u8], why: &Status, status: u8) {
        let envelope = wire::envelope_of(header.serialization());
        let head = envelope.and_then(|envelope| envelope.parse_request(body).ok());
        let head = head.as_ref().map(|head| (head.path, &head.metadata));
        request::note_head(&self.shared.state, &self.peer, header, head, why);
        self.refuse(header, why, status);
    }

    /// Answers a request that is turned away; one that is one-way has no answer.
    fn refuse(&mut self, header: Header, refused: &Status, status: u8) {
        if header.is_request() && header.is_two_way() {
            let codecs = self.shared.state.dispatcher().codecs();
            put_refusal(self.writing.tail(), header, codecs, refused, status);
        }
    }

    /// Moves the answers of calls with tasks of their own to what is written.
    pub(super) fn take_out(&mut self) {
        let mut inner = self.shared.lock();
        inner.flush = false;
        self.writing.take(&mut inner.out);
    }

    /// Notifies the consumer of a new phase; `true` when it is time to close.
    pub(super) fn enter_phase(&mut self) -> bool {
        let phase = self.shared.state.phase();
        if self.told == Phase::Serving {
            ConnectionEvent::ReadOnly.put(self.writing.tail(), self.events, 0);
        }
        self.told = phase;
        phase == Phase::Closing
    }

    /// Writes what is left; ready once nothing is.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing.poll_write(&mut self.io, cx)
    }

    /// Closes the writing side, so that the peer sees the end.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Drops what the peer still sends; ready once it has closed.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while ready!(self.input.poll_read(&mut self.io, cx))? > 0 {
            self.input.clear();
        }
        Poll::Ready(Ok(()))
    }

    /// When [`check_time`](Self::check_time) is due.
    pub(super) fn next_timer(&self) -> Instant {
        let config = &self.shared.state.config();
        let tick = config.header_timeout.min(config.write_timeout).min(config.idle_timeout) / 2;
        Instant::now() + tick
    }

    /// Ends a connection that is idle, sends a frame without end, or takes no answers.
    pub(super) fn check_time(&mut self) -> io::Result<()> {
        let (now, config) = (Instant::now(), &self.shared.state.config());
        let timed_out = |what: &str| Err(io::Error::new(io::ErrorKind::TimedOut, what));
        let begun = self.input.begun();
        if self.pace.as_mut().is_some_and(|pace| !pace.keeps_up(now, begun, config)) {
            return timed_out("a frame did not arrive whole in time");
        }
        if self.writing.len() > 0 && now - self.written_at > config.write_timeout {
            return timed_out("the peer takes no answers");
        }
        if now - self.last_read > config.idle_timeout && self.shared.lock().running.is_empty() {
            return timed_out("the connection was idle");
        }
        Ok(())
    }
}
