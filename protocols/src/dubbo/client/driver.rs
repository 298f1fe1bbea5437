//! One open connection of a consumer: callers encode into a shared buffer, one task moves bytes.
//!
//! What makes it fast: a request is encoded straight into the buffer under a short
//! lock; the task that writes lets every ready caller run before it takes the buffer, so that one
//! system call carries them all; answers are handed out in portions, so that callers and peer work
//! at the same time; deadlines are swept, not timed one by one.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use rpc_core::status::{Delivery, Status};
use rpc_core::transport::BoxTransport;
use tokio::time::{Instant, Sleep};

use super::heartbeat::Heartbeat;
use super::pending::CallEnd;
use super::shared::{ConnectionLife, ConnectionShared, Inner, take_event, void};
use crate::dubbo::wire;
use crate::dubbo::wire::envelope::ParsedAnswer;
use crate::dubbo::wire::event::ConnectionEvent;
use crate::dubbo::wire::frames::{Frame, FrameBuffer};
use crate::dubbo::wire::header::{EVENTS, Header, NO_REQUEST};
use crate::transport::write_queue::WriteQueue;

/// Portions in which answers are handed out: a quarter of the calls in flight, within these.
const PORTION: std::ops::RangeInclusive<usize> = 16..=64;

/// Moves the bytes of one connection. Ends when the connection does, or once it is closed by its
/// channel and has no calls left; by then every waiting call has ended.
pub(super) struct Driver<F> {
    shared: Arc<ConnectionShared>,
    io: BoxTransport,
    input: FrameBuffer,
    writing: WriteQueue,
    wakers: Vec<Waker>,
    /// When the deadlines are looked through next.
    sweep: Option<Instant>,
    heartbeat: Heartbeat,
    /// Why the provider does not take this connection.
    refused: Option<Status>,
    on_life: F,
}

/// How a connection ended.
enum End {
    /// The connection broke. What was written may have been read, and run.
    Lost(String),
    /// The provider has taken nothing that was written, and said why.
    Refused(Status),
}

/// The result of polling the stream.
#[derive(Default)]
struct Seen {
    read: bool,
    flush: bool,
    timer: bool,
    closing: bool,
}

impl<F: Fn(ConnectionLife) + Send> Driver<F> {
    /// A driver of `io`; `on_life` is called with what the connection has become.
    pub(super) fn new(shared: Arc<ConnectionShared>, io: BoxTransport, on_life: F) -> Self {
        let heartbeat = Heartbeat::new(shared.config.heartbeat, Instant::now());
        Self {
            shared,
            io,
            input: FrameBuffer::new(BytesMut::new()),
            writing: WriteQueue::default(),
            wakers: Vec::new(),
            sweep: None,
            heartbeat,
            refused: None,
            on_life,
        }
    }

    /// Runs until the connection ends.
    pub(super) async fn run(mut self) {
        let ended = self.drive().await;
        let why = match (ended, self.refused.take()) {
            (_, Some(status)) => End::Refused(status),
            (Ok(()), None) => End::Lost("the channel was closed".to_owned()),
            (Err(error), None) => End::Lost(error.to_string()),
        };
        self.fail_all(&why);
    }

    /// Moves bytes until the connection ends: reads answers, wakes their callers, writes requests,
    /// sweeps deadlines, sends heartbeats.
    async fn drive(&mut self) -> io::Result<()> {
        // A provider closes connections that say nothing: the first word is ours. Its answer proves
        // that there is more than a kernel that accepts.
        let ConnectionShared { config, .. } = &*self.shared;
        self.ask(Instant::now(), config.heartbeat_timeout.min(config.connect_timeout));
        let mut timer = pin!(tokio::time::sleep_until(self.next_timer()));
        loop {
            let seen = poll_fn(|cx| self.poll(cx, timer.as_mut())).await?;
            if seen.closing {
                return Ok(());
            }
            if seen.read {
                self.take_frames()?;
                self.hand_out().await?;
            }
            if seen.timer {
                self.tick()?;
            }
            if seen.flush {
                self.flush(!seen.read).await;
            }
            // Reads push the heartbeat back; the timer finds that out when it fires, not before.
            let next = self.next_timer();
            if seen.timer || next < timer.deadline() {
                timer.as_mut().reset(next);
            }
        }
    }

    /// Waits until there is something to do; writes and reads as much as goes meanwhile.
    fn poll(&mut self, cx: &mut Context<'_>, timer: Pin<&mut Sleep>) -> Poll<io::Result<Seen>> {
        self.shared.driver.register(cx.waker());
        let mut seen = Seen::default();
        let written = self.writing.poll_write(&mut self.io, cx)?.is_ready();
        {
            let mut inner = self.shared.lock();
            seen.flush = written && inner.flush;
            seen.closing = inner.closing && inner.pending.waiting() == 0 && !inner.flush && written;
            // Separate from the flush: deadlines also pass while the peer reads nothing.
            if let Some(earliest) = inner.earliest.take() {
                self.sweep = Some(self.sweep.map_or(earliest, |sweep| sweep.min(earliest)));
            }
        }
        if let Poll::Ready(read) = self.input.poll_read(&mut self.io, cx) {
            if read? == 0 {
                let what = "the provider closed the connection";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, what)));
            }
            seen.read = true;
        }
        seen.timer = self.next_timer() < timer.deadline() || timer.poll(cx).is_ready();
        if seen.read || seen.flush || seen.timer || seen.closing {
            Poll::Ready(Ok(seen))
        } else {
            Poll::Pending
        }
    }

    /// Passes every whole frame of the input to its call.
    fn take_frames(&mut self) -> io::Result<()> {
        self.heartbeat.heard(Instant::now());
        let shared = self.shared.clone();
        let before = shared.life();
        let mut life = before;
        let mut inner = shared.lock();
        while let Some(frame) = self.input.next(shared.config.payload)? {
            match frame {
                Frame::TooLarge(header) => self.refuse_large(&mut inner, header),
                Frame::Whole(header, body) if header.is_event() || header.is_request() => {
                    life = take_event(&mut inner, header, &body).unwrap_or(life);
                }
                Frame::Whole(header, body) if header.id == NO_REQUEST => {
                    let answer = wire::envelope_of(header.serialization())
                        .map(|envelope| envelope.parse_answer(body));
                    if let Some(Ok(ParsedAnswer::Status { status, .. })) = answer {
                        self.refused = Some(status);
                        return Err(io::ErrorKind::ConnectionRefused.into());
                    }
                }
                Frame::Whole(header, body) => {
                    let outcome = CallEnd::Frame(header, body);
                    self.wakers.extend(inner.pending.complete(header.id, outcome));
                }
            }
            life = if life == ConnectionLife::Unproven { ConnectionLife::Open } else { life };
        }
        drop(inner);
        if life != before {
            shared.set_life(life);
            (self.on_life)(life);
        }
        Ok(())
    }

    fn refuse_large(&mut self, inner: &mut Inner, header: Header) {
        let (len, limit) = (header.body_len, self.shared.config.payload);
        let text = format!(
            "the reply has {len} bytes, more than the limit of {limit}; raise \
             `consumer.limits.payload` or ask for less"
        );
        let failed = CallEnd::Failed(Status::resource_exhausted(text));
        self.wakers.extend(inner.pending.complete(header.id, failed));
    }

    /// Wakes the callers whose answers are here, a portion at a time. After each portion they run
    /// and their next requests are written before the next one is woken.
    async fn hand_out(&mut self) -> io::Result<()> {
        if self.wakers.len() <= 1 {
            // A lone caller: the flush of its next request comes with the next look.
            self.wakers.drain(..).for_each(Waker::wake);
            return Ok(());
        }
        let in_flight = self.wakers.len() + self.shared.lock().pending.waiting();
        let portion = (in_flight / 4).clamp(*PORTION.start(), *PORTION.end());
        let mut wakers = std::mem::take(&mut self.wakers);
        while !wakers.is_empty() {
            let rest = wakers.len().saturating_sub(portion);
            wakers.drain(rest..).for_each(Waker::wake);
            tokio::task::yield_now().await;
            if self.writing.is_empty() {
                self.take_out();
            }
            if !self.writing.is_empty() {
                poll_fn(|cx| match self.writing.poll_write(&mut self.io, cx) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
                })
                .await?;
            }
        }
        self.wakers = wakers;
        Ok(())
    }

    /// Takes what callers have appended, after the others have run: with several calls in flight
    /// the task goes to the back of the run queue once.
    async fn flush(&mut self, may_wait: bool) {
        if may_wait && self.shared.lock().pending.waiting() > 1 {
            tokio::task::yield_now().await;
        }
        self.take_out();
    }

    fn take_out(&mut self) {
        let mut inner = self.shared.lock();
        inner.flush = false;
        inner.batch += 1;
        self.writing.take(&mut inner.out);
    }

    fn next_timer(&self) -> Instant {
        let alive = self.heartbeat.due();
        self.sweep.map_or(alive, |sweep| sweep.min(alive))
    }

    fn tick(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let is_silent = self.heartbeat.is_due(now)?;
        if self.sweep.is_some_and(|sweep| sweep <= now) {
            self.sweep_deadlines(now);
        }
        if is_silent {
            self.ask(now, self.shared.config.heartbeat_timeout);
        }
        Ok(())
    }

    /// Asks whether the peer is there; it has `patience` to answer.
    fn ask(&mut self, now: Instant, patience: Duration) {
        let mut inner = self.shared.lock();
        ConnectionEvent::Heartbeat.put(inner.out.tail(), EVENTS, NO_REQUEST);
        inner.flush = true;
        self.heartbeat.asked(now, patience);
        self.shared.wake();
    }

    /// Ends every call whose deadline has passed and cancels it at the provider.
    fn sweep_deadlines(&mut self, now: Instant) {
        let mut inner = self.shared.lock();
        let Inner { pending, out, batch, .. } = &mut *inner;
        let mut late = false;
        let next = pending.sweep(now, &mut self.wakers, |id, sent| {
            if void(out, *batch, sent) {
                let text = "the deadline passed before the call was written";
                return Status::deadline_exceeded(text).with_delivery(Delivery::NotSent);
            }
            late = true;
            ConnectionEvent::Cancel(id).put(out.tail(), EVENTS, id);
            Status::deadline_exceeded("no answer before the deadline")
                .with_delivery(Delivery::MaybeSent)
        });
        // At most one sweep a millisecond, however the deadlines are spread.
        self.sweep = next.map(|next| next.max(now + Duration::from_millis(1)));
        if late {
            inner.flush = true;
            self.shared.wake();
        }
        drop(inner);
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl<F> Driver<F> {
    /// Ends every waiting call, because the connection is gone.
    fn fail_all(&mut self, end: &End) {
        self.shared.set_life(ConnectionLife::Closed);
        let mut inner = self.shared.lock();
        let written = inner.batch;
        inner.closed = Some(end.status(Delivery::NotSent));
        inner.out.clear();
        inner.pending.fail_all(&mut self.wakers, |batch| end.status(delivery(batch, written)));
        drop(inner);
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl End {
    /// The failure of a call that got this far before the end.
    fn status(&self, delivery: Delivery) -> Status {
        match (self, delivery) {
            (Self::Lost(why), _) => {
                Status::unavailable(format!("connection lost: {why}")).with_delivery(delivery)
            }
            (Self::Refused(status), Delivery::NotSent) => status.clone().with_delivery(delivery),
            (Self::Refused(status), _) => status.clone().with_delivery(Delivery::Refused),
        }
    }
}

impl<F> Drop for Driver<F> {
    /// The runtime that drove the connection may end before its callers' do.
    fn drop(&mut self) {
        if self.shared.life() != ConnectionLife::Closed {
            self.fail_all(&End::Lost("its task was ended".to_owned()));
        }
    }
}

/// Whether a request that goes with write `batch` may have left, when `written` writes are taken.
fn delivery(batch: u64, written: u64) -> Delivery {
    if batch < written { Delivery::MaybeSent } else { Delivery::NotSent }
}
