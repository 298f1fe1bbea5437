//! One call on an open connection: encodes its request into the shared buffer, waits in its slot,
//! reads the answer.
//!
//! Until the write that carries its frame begins, a call that is given up is *not sent*: its frame
//! is turned into an event without meaning. After that it is *maybe sent*, and a cancel follows it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use rpc_core::codec::{Codec, Codecs};
use rpc_core::status::{Delivery, Details, Status};
use rpc_core::{Body, CallId, Invocation, MethodKind, Reply, SentAs};
use tokio::time::Instant;

use super::pending::{CallEnd, Sent};
use super::shared::{ConnectionShared, Inner};
use crate::dubbo::wire;
use crate::dubbo::wire::envelope::{Envelope, ParsedAnswer, RequestEnvelope, check_metadata};
use crate::dubbo::wire::event::ConnectionEvent;
use crate::dubbo::wire::header::{self, EVENTS, Header, NO_REQUEST};
use crate::transport::write_queue::LARGE;

/// One call on an open connection. Dropping it frees its slot and tells the provider.
pub(super) struct Call {
    shared: Arc<ConnectionShared>,
    /// The first of these codecs writes the request and reads the answer.
    codecs: Option<Codecs>,
    stage: Stage,
}

/// How far a call is.
enum Stage {
    /// Not encoded yet, so no provider has heard of it.
    Unsent(Invocation),
    /// In the slot of this request id; written, or about to be.
    Waiting(u64),
    /// Ended: an answer, a failure, or nothing to wait for.
    Over,
}

impl Call {
    pub(super) fn new(shared: Arc<ConnectionShared>, mut invocation: Invocation) -> Self {
        let codecs = invocation.codecs.take();
        Self { shared, codecs, stage: Stage::Unsent(invocation) }
    }

    fn codec(&self) -> Option<&Arc<dyn Codec>> {
        self.codecs.as_ref().map(Codecs::first)
    }

    /// Encodes the request into the connection's buffer; `None` for a one-way call, which is over.
    fn send(&self, invocation: &Invocation, cx: &Context<'_>) -> Result<Option<u64>, Status> {
        let not_sent = |status: Status| status.with_delivery(Delivery::NotSent);
        let Some(codec) = self.codec() else {
            return Err(not_sent(Status::internal("the call names no codec")));
        };
        let serialization = codec.dubbo_id();
        let Some(envelope) = wire::envelope_of(serialization) else {
            let text =
                format!("calls in serialization {serialization} are not supported over dubbo");
            return Err(not_sent(Status::unimplemented(text)));
        };
        // Large bodies are encoded outside of the lock and not copied into the buffer.
        let large = match invocation.body.size_hint() >= LARGE && !envelope.has_tail() {
            true => Some(invocation.body.encoded(&**codec).map_err(|error| {
                not_sent(error.into_argument_status(invocation.method().path()))
            })?),
            false => None,
        };
        check_metadata(&invocation.metadata).map_err(|beyond| {
            let remedy = "send less, or send it as an argument";
            not_sent(Status::invalid_argument(format!("{beyond}; {remedy}")))
        })?;
        let now = Instant::now();
        let left = invocation.deadline.remaining_from(now);
        if left.is_zero() {
            return Err(not_sent(Status::deadline_exceeded("no time was left to send the call")));
        }
        let mut inner = self.shared.lock();
        let earliest = inner.earliest;
        let id = self.admit(&mut inner, invocation, left, cx)?;
        let header = Header::request(serialization, id.is_some(), id.unwrap_or(NO_REQUEST));
        let request = RequestEnvelope {
            path: invocation.method().path(),
            timeout_us: u64::try_from(left.as_micros()).unwrap_or(u64::MAX),
            sent_us: self.shared.micros(now),
            metadata: &invocation.metadata,
        };
        let around = (header, envelope, request);
        let limit = self.shared.config.payload;
        if let Err(status) = put(&mut inner, around, &invocation.body, &**codec, large, limit) {
            id.map(|id| inner.pending.abandon(id));
            return Err(not_sent(status));
        }
        // Also for an earlier deadline alone: a write that is stuck must not hide it from the task.
        let wake = inner.request_flush() | (inner.earliest != earliest);
        drop(inner);
        if let Some(id) = id {
            SentAs::note(invocation, CallId::Request(id));
        }
        if wake {
            self.shared.wake();
        }
        Ok(id)
    }

    /// Checks the limits of the connection and takes a slot for the answer, if there will be one.
    fn admit(
        &self,
        inner: &mut Inner,
        invocation: &Invocation,
        left: Duration,
        cx: &Context<'_>,
    ) -> Result<Option<u64>, Status> {
        if let Some(closed) = &inner.closed {
            return Err(closed.clone());
        }
        let ConnectionShared { address, config, .. } = &*self.shared;
        let full = |text| Status::resource_exhausted(text).with_delivery(Delivery::NotSent);
        let (queued, limit) = (inner.out.len(), config.queued);
        if queued > limit {
            return Err(full(format!(
                "{queued} bytes wait to be written to {address}, more than the limit of {limit}; \
                 raise `consumer.limits.queued`"
            )));
        }
        if invocation.method().kind() == MethodKind::OneWay {
            return Ok(None);
        }
        let deadline = invocation.deadline.instant();
        let sent = Sent { batch: inner.batch, place: inner.out.place() };
        let halfway = deadline.checked_sub(left / 2).unwrap_or(deadline);
        let Some(id) = inner.pending.insert(cx.waker().clone(), halfway, deadline, sent) else {
            let limit = config.in_flight;
            return Err(full(format!(
                "{limit} calls wait for {address} already; raise `consumer.limits.in_flight`"
            )));
        };
        if inner.earliest.is_none_or(|earliest| halfway < earliest) {
            inner.earliest = Some(halfway);
        }
        Ok(Some(id))
    }

    fn poll_outcome(&self, id: u64, cx: &Context<'_>) -> Option<CallEnd> {
        self.shared.lock().pending.poll(id, cx.waker())
    }

    /// Nothing comes back: the body is empty, and no stub reads it.
    fn sent_one_way(&self) -> Result<Reply, Status> {
        let codec = self.codec().cloned();
        let codec = codec.ok_or_else(|| Status::internal("a one-way call was sent uncoded"))?;
        Ok(Reply::from_body(Body::from_bytes(codec, Bytes::new())))
    }

    /// The reply or the failure in what ended the call.
    ///
    /// # Errors
    /// The status of the answer, or of a connection that ended; `internal`, maybe sent, if the
    /// answer cannot be read.
    fn finish(&self, outcome: CallEnd) -> Result<Reply, Status> {
        let (header, body) = match outcome {
            CallEnd::Frame(header, body) => (header, body),
            CallEnd::Failed(status) => return Err(status),
        };
        let codec = self.codec().filter(|codec| codec.dubbo_id() == header.serialization());
        let Some(codec) = codec else {
            let (id, status) = (header.serialization(), header.status);
            let text = format!("the answer is in serialization {id} (status {status})");
            return Err(Status::internal(text).with_delivery(Delivery::MaybeSent));
        };
        let body_of = |bytes| {
            let limit = self.shared.config.decoded;
            Body::from_bytes(codec.clone(), bytes).with_decoded_limit(limit)
        };
        let Some(envelope) = wire::envelope_of(header.serialization()) else {
            let text = "the answer is in a serialization that is not supported";
            return Err(Status::internal(text).with_delivery(Delivery::MaybeSent));
        };
        match envelope.parse_answer(body) {
            Ok(ParsedAnswer::Value { metadata, value }) => {
                let mut reply = Reply::from_body(body_of(value));
                reply.metadata = metadata;
                Ok(reply)
            }
            Ok(ParsedAnswer::Status { status, details: None }) => Err(status),
            Ok(ParsedAnswer::Status { status, details: Some((name, bytes)) }) => {
                let type_name = String::from_utf8_lossy(&name).into();
                Err(status.with_details(Details { type_name, body: body_of(bytes) }))
            }
            Err(error) => {
                let text = format!("the answer cannot be read: {error}");
                Err(Status::internal(text).with_delivery(Delivery::MaybeSent))
            }
        }
    }
}

/// Appends header, arguments and what stands around them, or nothing at all.
fn put(
    inner: &mut Inner,
    (header, envelope, request): (Header, &dyn Envelope, RequestEnvelope<'_>),
    body: &Body,
    codec: &dyn Codec,
    large: Option<Bytes>,
    limit: usize,
) -> Result<(), Status> {
    let buf = inner.out.tail();
    let start = buf.len();
    header.put(buf);
    envelope.put_request_head(buf, request);
    let extra = large.as_ref().map_or(0, Bytes::len);
    let encoded = match large {
        Some(_) => Ok(()),
        None => body.encode(codec, buf),
    };
    envelope.put_request_tail(buf, request);
    let finished =
        encoded.map_err(|error| error.into_argument_status(request.path)).and_then(|()| {
            header::finish(buf, start, extra, limit).map_err(|len| {
                Status::invalid_argument(format!(
                    "the request has {len} bytes, more than the limit of {limit}; send less or \
                     raise `consumer.limits.payload`"
                ))
            })
        });
    if let Err(status) = finished {
        buf.truncate(start);
        return Err(status);
    }
    if let Some(bytes) = large {
        inner.out.push_shared(bytes);
    }
    Ok(())
}

impl Future for Call {
    type Output = Result<Reply, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match &this.stage {
            // Waiting => (Waiting | Over)
            &Stage::Waiting(id) => match this.poll_outcome(id, cx) {
                Some(outcome) => {
                    this.stage = Stage::Over;
                    let named = |status: Status| status.with_id(CallId::Request(id));
                    Poll::Ready(this.finish(outcome).map_err(named))
                }
                None => Poll::Pending,
            },
            // Unsent => (Waiting | Over)
            Stage::Unsent(invocation) => match this.send(invocation, cx) {
                Ok(Some(id)) => {
                    this.stage = Stage::Waiting(id);
                    Poll::Pending
                }
                sent => {
                    this.stage = Stage::Over;
                    Poll::Ready(sent.and_then(|_| this.sent_one_way()))
                }
            },
            Stage::Over => unreachable!("a call is not polled after it ended"),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Stage::Waiting(id) = self.stage else {
            return;
        };
        let mut inner = self.shared.lock();
        let unanswered = inner.pending.abandon(id).filter(|_| inner.closed.is_none());
        let cancelled = unanswered.is_some_and(|sent| !inner.void(sent));
        if cancelled {
            let serialization = self.codec().map_or(EVENTS, |codec| codec.dubbo_id());
            ConnectionEvent::Cancel(id).put(inner.out.tail(), serialization, id);
        }
        let wake = cancelled && inner.request_flush();
        drop(inner);
        if wake {
            self.shared.wake();
        }
    }
}
