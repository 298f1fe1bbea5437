//! Answers as frames: a value, a status, or a bare text for peers whose codec is not spoken.

use bytes::{BufMut, BytesMut};
use rpc_core::Reply;
use rpc_core::codec::{Codec, Codecs};
use rpc_core::status::Status;

use crate::dubbo::wire;
use crate::dubbo::wire::envelope::check_metadata;
use crate::dubbo::wire::header::{self, Header, status};
use crate::transport::write_queue::{LARGE, WriteQueue};

/// Appends the outcome of a call. What cannot be written, or finds no `room` with so many bytes in
/// `out`, becomes the status that says so.
pub(super) fn put_answer(
    out: &mut WriteQueue,
    id: u64,
    codec: &dyn Codec,
    result: Result<Reply, Status>,
    limit: usize,
    room: impl FnOnce(usize) -> Result<(), Status>,
) {
    let failed = match &result {
        Ok(reply) => put_reply(out, id, codec, reply, limit, room).err(),
        Err(status) => put_failure(out, id, codec, status, limit, room).err(),
    };
    if let Some(failed) = failed {
        put_status(out.tail(), id, status::OK, codec, &failed);
    }
}

/// Appends a reply as a frame. Whatever does not fit is taken back, so that a failure can follow.
///
/// # Errors
/// Too much metadata, a value that the codec cannot write, a frame over the limit, or no `room` for
/// it.
fn put_reply(
    out: &mut WriteQueue,
    id: u64,
    codec: &dyn Codec,
    reply: &Reply,
    limit: usize,
    room: impl FnOnce(usize) -> Result<(), Status>,
) -> Result<(), Status> {
    check_metadata(&reply.metadata).map_err(|beyond| {
        let remedy = "return less, or return it as a value";
        Status::resource_exhausted(format!(
            "the reply of the call is too large: {beyond}; {remedy}"
        ))
    })?;
    let Some(envelope) = wire::envelope_of(codec.dubbo_id()) else { return Err(not_spoken(codec)) };
    let unfit = |error: rpc_core::codec::CodecError| error.into_reply_status("the call");
    // Large bodies go out as they are instead of through the gathering buffer.
    let large = match reply.body.size_hint() >= LARGE && !envelope.has_tail() {
        true => Some(reply.body.encoded(codec).map_err(unfit)?),
        false => None,
    };
    let extra = large.as_ref().map_or(0, bytes::Bytes::len);
    let waits = out.len();
    let buf = out.tail();
    let start = buf.len();
    Header::response(codec.dubbo_id(), status::OK, id).put(buf);
    envelope.put_value_head(buf, &reply.metadata);
    let encoded = match &large {
        Some(_) => Ok(()),
        None => reply.body.encode(codec, buf).map_err(unfit),
    };
    envelope.put_value_tail(buf, &reply.metadata);
    let finished = encoded
        .and_then(|()| {
            header::finish(buf, start, extra, limit).map_err(|len| too_large("reply", len, limit))
        })
        .and_then(|_| room(waits + buf.len() - start + extra));
    if let Err(status) = finished {
        buf.truncate(start);
        return Err(status);
    }
    if let Some(bytes) = large {
        out.push_shared(bytes);
    }
    Ok(())
}

/// Appends the status of a call that failed.
fn put_failure(
    out: &mut WriteQueue,
    id: u64,
    codec: &dyn Codec,
    failed: &Status,
    limit: usize,
    room: impl FnOnce(usize) -> Result<(), Status>,
) -> Result<(), Status> {
    let waits = out.len();
    let buf = out.tail();
    let start = buf.len();
    put_status(buf, id, status::OK, codec, failed);
    let len = buf.len() - start;
    let fits = match len <= limit.saturating_add(header::LEN) {
        true => room(waits + len),
        false => Err(too_large("error", len, limit)),
    };
    if fits.is_err() {
        buf.truncate(start);
    }
    fits
}

/// No request of such a serialization has come this far.
fn not_spoken(codec: &dyn Codec) -> Status {
    let id = codec.dubbo_id();
    Status::internal(format!("calls in serialization {id} are not supported over dubbo"))
}

fn too_large(what: &str, len: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!(
        "the {what} has {len} bytes, more than the limit of {limit}; raise \
         `provider.limits.payload` or return less"
    ))
}

/// Appends a refusal: a status in the codec of the request, or a text if that is not spoken here.
pub(super) fn put_refusal(
    buf: &mut BytesMut,
    request: Header,
    codecs: &Codecs,
    refused: &Status,
    number: u8,
) {
    match codecs.by_dubbo_id(request.serialization()) {
        Some(codec) => put_status(buf, request.id, number, &**codec, refused),
        None => put_bad_request(buf, request, refused.message()),
    }
}

/// Appends a status as answer to `id`; `number` is the status byte of the header.
pub(in crate::dubbo) fn put_status(
    buf: &mut BytesMut,
    id: u64,
    number: u8,
    codec: &dyn Codec,
    failed: &Status,
) {
    let start = buf.len();
    Header::response(codec.dubbo_id(), number, id).put(buf);
    if let Some(envelope) = wire::envelope_of(codec.dubbo_id()) {
        envelope.put_status(buf, failed, codec);
    }
    // The writer has checked the limit; the length always fits into 32 bits.
    let _ = header::finish(buf, start, 0, u32::MAX as usize);
}

/// Appends status 40 with a text, as hessian2 writes strings: all that can be said to a peer whose
/// serialization is not spoken here.
fn put_bad_request(buf: &mut BytesMut, request: Header, text: &str) {
    let text: String = text.chars().filter(char::is_ascii).take(1000).collect();
    let start = buf.len();
    Header::response(header::HESSIAN2, status::BAD_REQUEST, request.id).put(buf);
    // Hessian 2: `30` to `33` and a byte are the length of a string of up to 1023 characters.
    buf.put_u8(0x30 + (text.len() >> 8) as u8);
    buf.put_u8(text.len() as u8);
    buf.put_slice(text.as_bytes());
    let _ = header::finish(buf, start, 0, u32::MAX as usize);
}
