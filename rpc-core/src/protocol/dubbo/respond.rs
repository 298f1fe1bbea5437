//! Answers as frames: a value, a status, or a bare text for peers whose codec is not spoken.

use bytes::{BufMut, BytesMut};

use super::compact;
use super::header::{self, Header, status};
use crate::codec::{Codec, Codecs};
use crate::reply::Reply;
use crate::status::Status;
use crate::transport::write_queue::{LARGE, WriteQueue};

/// Appends the outcome of a call. A reply that cannot be written becomes the status that says so.
pub(super) fn put_answer(
    out: &mut WriteQueue,
    id: u64,
    codec: &dyn Codec,
    result: Result<Reply, Status>,
    limit: usize,
) {
    let failed = match result {
        Ok(reply) => put_reply(out, id, codec, &reply, limit).err(),
        Err(status) => Some(status),
    };
    if let Some(failed) = failed {
        put_status(out.tail(), id, status::OK, codec, &failed);
    }
}

fn put_reply(
    out: &mut WriteQueue,
    id: u64,
    codec: &dyn Codec,
    reply: &Reply,
    limit: usize,
) -> Result<(), Status> {
    let unfit = |error: crate::codec::CodecError| error.into_reply_status("the call");
    // Large bodies go out as they are instead of through the gathering buffer.
    let large = match reply.body.size_hint() >= LARGE {
        true => Some(reply.body.encoded(codec).map_err(unfit)?),
        false => None,
    };
    let buf = out.tail();
    let start = buf.len();
    Header::response(codec.dubbo_id(), status::OK, id).put(buf);
    compact::put_value_head(buf, &reply.metadata);
    let encoded = match &large {
        Some(_) => Ok(()),
        None => reply.body.encode(codec, buf).map_err(unfit),
    };
    let extra = large.as_ref().map_or(0, bytes::Bytes::len);
    let finished = encoded.and_then(|()| {
        header::finish(buf, start, extra, limit).map_err(|len| {
            Status::resource_exhausted(format!(
                "the reply has {len} bytes, more than the limit of {limit}; raise \
                 `provider.limits.payload` or return less"
            ))
        })
    });
    match (finished, large) {
        (Ok(_), Some(bytes)) => out.push_shared(bytes),
        (Ok(_), None) => {}
        (Err(status), _) => {
            buf.truncate(start);
            return Err(status);
        }
    }
    Ok(())
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
pub(super) fn put_status(
    buf: &mut BytesMut,
    id: u64,
    number: u8,
    codec: &dyn Codec,
    failed: &Status,
) {
    let start = buf.len();
    Header::response(codec.dubbo_id(), number, id).put(buf);
    compact::put_status(buf, failed, codec);
    // A status is as large as the handler made it; what passes 32 bits cannot be in memory here.
    let _ = header::finish(buf, start, 0, u32::MAX as usize);
}

/// Appends status 40 with a text, as hessian2 writes strings: all that can be said to a peer whose
/// serialization is not spoken here.
fn put_bad_request(buf: &mut BytesMut, request: Header, text: &str) {
    let text: String = text.chars().filter(char::is_ascii).take(1000).collect();
    let start = buf.len();
    Header::response(super::server::HESSIAN2, status::BAD_REQUEST, request.id).put(buf);
    // Hessian 2: `30` to `33` and a byte are the length of a string of up to 1023 characters.
    buf.put_u8(0x30 + (text.len() >> 8) as u8);
    buf.put_u8(text.len() as u8);
    buf.put_slice(text.as_bytes());
    let _ = header::finish(buf, start, 0, u32::MAX as usize);
}
