//! The provider's end of a dubbo connection: one task reads requests, answers those whose handlers
//! are ready at once, and gives the others tasks of their own.
//!
//! The answers of one read gather into one write. Whether a method is polled here or in a task of
//! its own is decided by the measured time of its first polls.
//!
//! Long because one task reads, polls handlers, writes and drains: what it holds is one state.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use rpc_core::Peer;
use rpc_core::codec::Codec;
use rpc_core::protocol::Accepted;
use rpc_core::server::{Answer, HeldBytes, Phase, Reading, shutting_down};
use rpc_core::status::{Delivery, Status};
use rpc_core::transport::BoxTransport;
use tokio::time::{Instant, Sleep};

use super::outgoing::{Outgoing, counted};
use super::pace::Pace;
use super::request;
use super::respond::put_refusal;
use super::running::{AbortCalls, Shared};
use super::transit::Transit;
use crate::dubbo::wire::event::{self, Event};
use crate::dubbo::wire::frames::{Frame, Input};
use crate::dubbo::wire::header::{HESSIAN2, Header, status};
use crate::transport::write_queue::LARGE;

/// After this many answers what is gathered goes out, so that the consumer works meanwhile.
const PORTION: usize = 64;

/// After this many requests the task lets others run.
const FAIR: usize = 512;

/// How long a closing connection goes on reading what the peer still sends.
const LINGER: Duration = Duration::from_millis(500);

/// Serves a connection to its end.
pub(crate) async fn serve(accepted: Accepted, peer: Arc<Peer>) -> io::Result<()> {
    let Accepted { io, first, server, driver, .. } = accepted;
    let shared = Shared::new(server, driver);
    let now = Instant::now();
    let mut connection = Connection {
        shared: shared.clone(),
        io,
        peer,
        input: Input::new(first),
        arriving: HeldBytes::nothing(shared.caller.clone()),
        more: false,
        writing: Outgoing::new(shared.caller.clone()),
        told: Phase::Serving,
        last_read: now,
        transit: Transit::opened(now),
        pace: None,
        written_at: now,
        events: HESSIAN2,
    };
    // Nobody waits for its calls once it is over, however that comes.
    let _calls = AbortCalls(shared);
    connection.drive().await
}

struct Connection {
    shared: Arc<Shared>,
    io: BoxTransport,
    peer: Arc<Peer>,
    input: Input,
    /// Counts what lies in the input, as far as it is more than a little.
    arriving: HeldBytes,
    /// Whether whole frames may wait in the input.
    more: bool,
    writing: Outgoing,
    /// The last phase the consumer was told of.
    told: Phase,
    last_read: Instant,
    transit: Transit,
    /// The frame that has begun and is not whole yet.
    pace: Option<Pace>,
    /// When the peer last took bytes, or had none to take.
    written_at: Instant,
    /// The serialization the peer last spoke, in which our own events go.
    events: u8,
}

#[derive(Default)]
struct Seen {
    read: bool,
    flush: bool,
    timer: bool,
    phase: bool,
}

impl Connection {
    async fn drive(&mut self) -> io::Result<()> {
        let mut timer = pin!(tokio::time::sleep_until(self.next_timer()));
        if !self.input.is_empty() {
            self.take_frames().await?;
        }
        loop {
            let seen = poll_fn(|cx| self.poll(cx, timer.as_mut())).await?;
            if seen.read {
                self.take_frames().await?;
            }
            if seen.phase && self.enter_phase() {
                return self.close().await;
            }
            if seen.timer {
                self.check_time()?;
                timer.as_mut().reset(self.next_timer());
            }
            if seen.flush {
                if self.shared.lock().running.len() > 1 {
                    // Other handlers may be ready to answer: one write for all of them.
                    tokio::task::yield_now().await;
                }
                self.take_out();
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, timer: Pin<&mut Sleep>) -> Poll<io::Result<Seen>> {
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
        let mut seen = Seen { flush: written && flush, phase, ..Seen::default() };
        if self.writing.is_full(besides) {
            // It is we who do not read: no fault of the peer's.
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
        seen.timer = timer.poll(cx).is_ready();
        if seen.read || seen.flush || seen.timer || seen.phase {
            Poll::Ready(Ok(seen))
        } else {
            Poll::Pending
        }
    }

    /// Acts on every whole frame of the input.
    async fn take_frames(&mut self) -> io::Result<()> {
        let shared = self.shared.clone();
        // HeldBytes until the requests of this read have begun.
        let reading = shared.state.begin_reading();
        let now = Instant::now();
        self.last_read = now;
        let (mut clock, mut taken) = (now, 0_usize);
        self.more = false;
        let limit = self.shared.state.config().max_payload;
        while let Some(frame) = self.input.next(limit)? {
            self.pace = None;
            self.take_frame(frame, reading.as_ref(), now, &mut clock);
            taken += 1;
            if taken.is_multiple_of(PORTION) || self.writing.is_long() {
                self.write_some().await?;
                // The rest stays in the input until the peer has taken some of its answers.
                self.more = self.writing.is_full(0);
                if self.more {
                    break;
                }
            }
            if taken.is_multiple_of(FAIR) {
                tokio::task::yield_now().await;
                clock = Instant::now();
            }
        }
        self.count_arriving();
        self.pace = match self.input.is_empty() {
            true => None,
            false => self.pace.or_else(|| Some(Pace::begun(now))),
        };
        Ok(())
    }

    fn take_frame(
        &mut self,
        frame: Frame,
        reading: Option<&Reading<'_>>,
        now: Instant,
        clock: &mut Instant,
    ) {
        match frame {
            Frame::TooLarge(header) => self.refuse_large(header),
            Frame::Whole(header, body) if header.is_event() => self.take_event(header, &body),
            Frame::Whole(header, _) if header.is_request() && reading.is_none() => {
                self.refuse(header, &shutting_down(), status::OK);
            }
            Frame::Whole(header, body) if header.is_request() => {
                self.take_request(header, body, now, clock);
            }
            // Nobody here has asked anything that an answer could be for.
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
                self.refuse(header, &full, status::OVERLOADED);
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
        let (len, limit) = (header.body_len, self.shared.state.config().max_payload);
        let text = format!(
            "Data length too large: {len}, max payload: {limit}; send less or raise \
             `provider.limits.payload`"
        );
        let refused = Status::invalid_argument(text).with_delivery(Delivery::Refused);
        self.refuse(header, &refused, status::BAD_REQUEST);
    }

    fn take_event(&mut self, header: Header, body: &[u8]) {
        if !header.is_request() || body.len() > event::MAX_LEN {
            return;
        }
        self.events = header.serialization();
        match Event::parse(body) {
            Event::Heartbeat if header.is_two_way() => {
                let out = self.writing.tail();
                event::put_heartbeat_answer(out, header.serialization(), header.id);
            }
            Event::Cancel(id) => {
                let task = self.shared.lock().running.remove(&id);
                if let Some(task) = task {
                    task.abort();
                }
            }
            Event::Heartbeat | Event::ReadOnly | Event::Writeable | Event::Unknown => {}
        }
    }

    fn take_request(&mut self, header: Header, body: Bytes, now: Instant, clock: &mut Instant) {
        self.events = header.serialization();
        let len = body.len();
        let (shared, peer, transit) = (&self.shared, &self.peer, &mut self.transit);
        let parsed = request::parse(&shared.state, peer, header, body, now, transit);
        let (route, invocation, codec) = match parsed {
            Ok(parsed) => parsed,
            Err((refused, status)) => return self.refuse(header, &refused, status),
        };
        if invocation.deadline.instant() <= *clock {
            let text = "the deadline passed before the handler could start";
            let refused = Status::deadline_exceeded(text).with_delivery(Delivery::Refused);
            return self.refuse(header, &refused, status::OK);
        }
        let held = match self.hold(len) {
            Ok(held) => held,
            Err(full) => return self.refuse(header, &full, status::OVERLOADED),
        };
        // Without room, a call that would not end at once must not even begin.
        let waits = route.waits();
        let inline =
            route.runs_inline() && (!waits || self.shared.caller.has_room(!header.is_two_way()));
        let mut answer = Answer::new(route, invocation, now);
        if !inline {
            return self.spawn(header, answer, codec, held);
        }
        // Once polled it has begun, and could be turned away no more.
        let asks = waits && header.is_two_way();
        if asks && let Err(full) = answer.begin() {
            return self.refuse(header, &full, status::OVERLOADED);
        }
        let began = *clock;
        let polled = Pin::new(&mut answer).poll(&mut Context::from_waker(Waker::noop()));
        *clock = Instant::now();
        answer.route().note_first_poll(clock.saturating_duration_since(began));
        match polled {
            // Its new task polls it again at once and is the one to be woken.
            Poll::Pending => {
                answer.route().note_waiting();
                self.spawn(header, answer, codec, held);
            }
            Poll::Ready(result) => {
                answer.record(&result, *clock);
                drop(held);
                if header.is_two_way() {
                    let limit = self.shared.state.config().max_payload;
                    self.writing.put_answer(header.id, &*codec, result, limit);
                }
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

    /// Answers a request that is turned away; one that is one-way has no answer.
    fn refuse(&mut self, header: Header, refused: &Status, status: u8) {
        if header.is_request() && header.is_two_way() {
            let codecs = self.shared.state.dispatcher().codecs();
            put_refusal(self.writing.tail(), header, codecs, refused, status);
        }
    }

    /// Writes what the stream takes at once.
    async fn write_some(&mut self) -> io::Result<()> {
        poll_fn(|cx| match self.writing.poll_write(&mut self.io, cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
        })
        .await
    }

    fn take_out(&mut self) {
        let mut inner = self.shared.lock();
        inner.flush = false;
        self.writing.take(&mut inner.out);
    }

    /// Tells the consumer of a new phase; `true` when it is time to close.
    fn enter_phase(&mut self) -> bool {
        let phase = self.shared.state.phase();
        if self.told == Phase::Serving {
            Event::ReadOnly.put(self.writing.tail(), self.events, 0);
        }
        self.told = phase;
        phase == Phase::Closing
    }

    /// Writes what is left and closes; who drains bounds the time.
    async fn close(&mut self) -> io::Result<()> {
        self.take_out();
        poll_fn(|cx| self.writing.poll_write(&mut self.io, cx)).await?;
        tokio::io::AsyncWriteExt::shutdown(&mut self.io).await?;
        // Closing with unread input would reset the connection and lose answers on their way.
        let discard = async {
            while poll_fn(|cx| self.input.poll_read(&mut self.io, cx)).await? > 0 {
                self.input.clear();
            }
            Ok(())
        };
        tokio::time::timeout(LINGER, discard).await.unwrap_or(Ok(()))
    }

    fn next_timer(&self) -> Instant {
        let config = &self.shared.state.config();
        let tick = config.frame_timeout.min(config.write_timeout).min(config.idle_timeout) / 2;
        Instant::now() + tick
    }

    /// Ends a connection that is idle, sends a frame without end, or takes no answers.
    fn check_time(&mut self) -> io::Result<()> {
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
