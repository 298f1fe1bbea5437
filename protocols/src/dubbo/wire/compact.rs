//! Our compact bodies: what stands around arguments and replies between Dubhe peers.
//!
//! The layout is in `docs/wire.md`. Lengths and counts are LEB128 varints of at most nine bytes;
//! nothing here allocates by a length that has not arrived.
//!
//! ```text
//! request  flags | path | timeout? | metadata? | records? | arguments
//! answer   kind  |        metadata? | records? | value
//!                                              | code | message | error type | error
//! ```
//!
//! Records are how the form grows: each has an id and a length, and readers skip those that they do
//! not know. A new flag, by contrast, is an error for older peers.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rpc_core::codec::Codec;
use rpc_core::status::{Code, Delivery, Status};
use rpc_core::{Metadata, MetadataValue};

use super::envelope::{
    Envelope, MAX_ENTRIES, MAX_METADATA, Malformed, ParsedAnswer, RequestEnvelope, RequestHead,
    check_metadata,
};
use super::primitives::{
    put_bytes, put_text, put_varint, split_bytes, split_text, split_u8, split_varint,
};

const HAS_TIMEOUT: u8 = 0x01;
const HAS_METADATA: u8 = 0x02;
const HAS_BLOCK: u8 = 0x04;

const VALUE: u8 = 0;
const STATUS: u8 = 1;
const REFUSED: u8 = 2;
const SERVICE_MISSING: u8 = 3;
const KIND: u8 = 0x3f;
const ANSWER_HAS_METADATA: u8 = 0x80;
const ANSWER_HAS_BLOCK: u8 = 0x40;

/// How long a path may be: four names of 255 letters and what stands between them. What is not
/// served is answered by its name.
const MAX_PATH: usize = 1024;

/// Our own form between Dubhe peers.
#[derive(Debug)]
pub(crate) struct Compact;

impl Envelope for Compact {
    fn put_request_head(&self, buf: &mut BytesMut, request: RequestEnvelope<'_>) {
        let RequestEnvelope { path, timeout_us, sent_us, metadata } = request;
        put_request_head(buf, path, timeout_us, sent_us, metadata);
    }

    fn parse_request<'a>(&self, body: &'a [u8]) -> Result<RequestHead<'a>, Malformed> {
        parse_request_head(body)
    }

    fn put_value_head(&self, buf: &mut BytesMut, metadata: &Metadata) {
        put_value_head(buf, metadata);
    }

    fn put_status(&self, buf: &mut BytesMut, status: &Status, codec: &dyn Codec) {
        put_status(buf, status, codec);
    }

    fn parse_answer(&self, body: Bytes) -> Result<ParsedAnswer, Malformed> {
        parse_answer(body)
    }
}

/// Appends what stands before the arguments.
pub(crate) fn put_request_head(
    buf: &mut BytesMut,
    path: &str,
    timeout_us: u64,
    sent_us: u64,
    metadata: &Metadata,
) {
    let flags = buf.len();
    buf.put_u8(HAS_TIMEOUT);
    put_text(buf, path);
    put_varint(buf, timeout_us);
    let (sent, len) = sent_record(sent_us);
    let has = put_beside(buf, metadata, &sent[..len]);
    buf[flags] |= has.flags(HAS_METADATA, HAS_BLOCK);
}

/// Reads what stands before the arguments.
pub(crate) fn parse_request_head(body: &[u8]) -> Result<RequestHead<'_>, Malformed> {
    let mut rest = body;
    let flags = split_u8(&mut rest)?;
    if flags & !(HAS_TIMEOUT | HAS_METADATA | HAS_BLOCK) != 0 {
        return Err(Malformed("unknown flags"));
    }
    let path = split_bytes(&mut rest)?;
    if path.len() > MAX_PATH {
        return Err(Malformed("a path of more than 1024 bytes"));
    }
    let timeout_us = match flags & HAS_TIMEOUT {
        0 => None,
        _ => Some(split_varint(&mut rest)?),
    };
    let (metadata, sent_us) = match (flags & (HAS_METADATA | HAS_BLOCK), rest) {
        // What most requests have beside their arguments, as `sent_record` writes it: read without
        // the way that is for all records.
        (HAS_BLOCK, &[7, SENT_ID, 5, a, b, c, d, e, ref arguments @ ..]) => {
            rest = arguments;
            (Metadata::default(), Some(u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])))
        }
        (flags, _) => {
            let has = |flag| flags & flag != 0;
            let found = split_beside(&mut rest, has(HAS_METADATA), has(HAS_BLOCK))?;
            (found.metadata, found.sent_us)
        }
    };
    let arguments = body.len() - rest.len();
    Ok(RequestHead { path, timeout_us, sent_us, metadata, arguments })
}

/// Appends what stands before the value of an answer.
pub(crate) fn put_value_head(buf: &mut BytesMut, metadata: &Metadata) {
    put_kind(buf, VALUE, metadata, &[]);
}

/// Appends a status in place of a value. Details that cannot be written are left out.
pub(crate) fn put_status(buf: &mut BytesMut, status: &Status, codec: &dyn Codec) {
    let kind = match status.delivery() {
        Delivery::Refused if status.is_service_missing() => SERVICE_MISSING,
        Delivery::Refused => REFUSED,
        Delivery::NotSent | Delivery::MaybeSent | Delivery::Answered => STATUS,
    };
    let mut records = BytesMut::new();
    if let Some(origin) = status.origin().filter(|origin| origin.len() <= MAX_PATH) {
        put_record(&mut records, ORIGIN, |record| record.put_slice(origin.as_bytes()));
    }
    if let Some(wait) = status.retry_after() {
        // A number of nine bytes has 63 bits.
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).min(u64::MAX >> 1);
        put_record(&mut records, RETRY_AFTER, |record| put_varint(record, millis));
    }
    // A failure without its metadata is better than one that the peer cannot read.
    let metadata = Some(status.metadata()).filter(|metadata| check_metadata(metadata).is_ok());
    put_kind(buf, kind, metadata.unwrap_or(&Metadata::new()), &records);
    buf.put_u8(status.code().number());
    put_text(buf, status.message());
    let Some(details) = status.details() else {
        buf.put_u8(0);
        return;
    };
    let start = buf.len();
    put_text(buf, &details.type_name);
    if let Err(error) = details.body.encode(codec, buf) {
        tracing::warn!(
            target: "dubhe::connection",
            %error, details = %details.type_name, "error details could not be written"
        );
        buf.truncate(start);
        buf.put_u8(0);
    }
}

/// Reads the body of an answer.
pub(crate) fn parse_answer(mut body: Bytes) -> Result<ParsedAnswer, Malformed> {
    let mut rest = &body[..];
    let kind = split_u8(&mut rest)?;
    if kind == VALUE {
        // Most answers are a value without anything beside it.
        body.advance(1);
        return Ok(ParsedAnswer::Value { metadata: Metadata::new(), value: body });
    }
    let has = |flag| kind & flag != 0;
    let beside = split_beside(&mut rest, has(ANSWER_HAS_METADATA), has(ANSWER_HAS_BLOCK))?;
    let Found { metadata, origin, retry_after_ms, .. } = beside;
    match kind & KIND {
        VALUE => {
            let value = body.len() - rest.len();
            body.advance(value);
            Ok(ParsedAnswer::Value { metadata, value: body })
        }
        kind @ (STATUS | REFUSED | SERVICE_MISSING) => {
            let code = Code::from_number(split_u8(&mut rest)?);
            let message = split_text(&mut rest)?;
            let type_name = split_bytes(&mut rest)?;
            let status = match kind {
                SERVICE_MISSING => Status::service_missing(message),
                REFUSED => Status::new(code, message).with_delivery(Delivery::Refused),
                _ => Status::new(code, message),
            };
            let mut status = status.with_metadata(metadata);
            if let Some(origin) = origin {
                status = status.with_origin(origin);
            }
            if let Some(millis) = retry_after_ms {
                status = status.with_retry_after(Duration::from_millis(millis));
            }
            let details =
                (!type_name.is_empty()).then(|| (body.slice_ref(type_name), body.slice_ref(rest)));
            Ok(ParsedAnswer::Status { status, details })
        }
        _ => Err(Malformed("unknown kind of answer")),
    }
}

fn put_kind(buf: &mut BytesMut, kind: u8, metadata: &Metadata, records: &[u8]) {
    if metadata.is_empty() && records.is_empty() {
        buf.put_u8(kind);
        return;
    }
    let start = buf.len();
    buf.put_u8(kind);
    let has = put_beside(buf, metadata, records);
    buf[start] |= has.flags(ANSWER_HAS_METADATA, ANSWER_HAS_BLOCK);
}

/// Which parts beside arguments or value were written.
struct Beside {
    metadata: bool,
    block: bool,
}

impl Beside {
    const fn flags(&self, metadata: u8, block: u8) -> u8 {
        (if self.metadata { metadata } else { 0 }) | if self.block { block } else { 0 }
    }
}

/// Appends the texts, then the block with these records and the bytes; each only if there are any.
fn put_beside(buf: &mut BytesMut, metadata: &Metadata, records: &[u8]) -> Beside {
    let has_records = !records.is_empty();
    if metadata.is_empty() {
        if has_records {
            put_bytes(buf, records);
        }
        return Beside { metadata: false, block: has_records };
    }
    let texts = || metadata.iter().filter_map(|(key, value)| Some((key, value.as_text()?)));
    let texts_len = texts().count();
    if texts_len > 0 {
        put_varint(buf, texts_len as u64);
        for (key, value) in texts() {
            put_text(buf, key);
            put_text(buf, value);
        }
    }
    let has_bytes = metadata.len() > texts_len;
    if has_bytes {
        let mut records = BytesMut::from(records);
        put_record(&mut records, BINARY_METADATA, |record| {
            put_varint(record, (metadata.len() - texts_len) as u64);
            for (key, value) in metadata.iter() {
                if let Some(bytes) = value.as_binary() {
                    put_text(record, key);
                    put_bytes(record, bytes);
                }
            }
        });
        put_bytes(buf, &records);
    } else if has_records {
        put_bytes(buf, records);
    }
    Beside { metadata: texts_len > 0, block: has_bytes || has_records }
}

// === the block of records ===

/// A record of the block: bytes of metadata. Readers skip records that they do not know.
const BINARY_METADATA: u64 = 1;

/// A record of the block of an answer: the call that failed in truth.
const ORIGIN: u64 = 2;

/// A record of the block of an answer: after how many milliseconds to come back.
const RETRY_AFTER: u64 = 3;

/// A record of the block of a request: when it was sent.
const SENT: u64 = SENT_ID as u64;
const SENT_ID: u8 = 4;

/// How many bytes a block may have: what metadata may have, and as much for everything else.
const MAX_BLOCK: usize = 2 * MAX_METADATA;

/// The record of a sending time, and how many of these bytes it has. The number has five bytes for
/// twelve days, so that equal calls have frames of equal length, and eight after that. Every
/// request has it, so it is made without any other buffer.
fn sent_record(sent_us: u64) -> ([u8; 10], usize) {
    let len = if sent_us < 1 << 40 { 5 } else { 8 };
    let [a, b, c, d, e, f, g, h] = sent_us.to_le_bytes();
    ([SENT_ID, len as u8, a, b, c, d, e, f, g, h], 2 + len)
}

fn put_record(block: &mut BytesMut, id: u64, write: impl FnOnce(&mut BytesMut)) {
    let mut record = BytesMut::new();
    write(&mut record);
    put_varint(block, id);
    put_bytes(block, &record);
}

/// Reads what stands beside arguments or value.
fn split_beside(body: &mut &[u8], metadata: bool, block: bool) -> Result<Found, Malformed> {
    let mut found = Found::default();
    if metadata {
        found.split_entries(body, |body| Ok(split_text(body)?.into()))?;
    }
    if block {
        let mut block = split_bytes(body)?;
        if block.len() > MAX_BLOCK {
            return Err(Malformed("a block of more than 32 KiB"));
        }
        while !block.is_empty() {
            let id = split_varint(&mut block)?;
            found.take_record(id, split_bytes(&mut block)?)?;
        }
    }
    Ok(found)
}

/// Reads the parts beside arguments or value: metadata against the limits of texts and
/// bytes together.
#[derive(Default)]
struct Found {
    metadata: Metadata,
    entries: u64,
    bytes: usize,
    sent_us: Option<u64>,
    origin: Option<Arc<str>>,
    retry_after_ms: Option<u64>,
}

fn split_sent(record: &[u8]) -> Result<u64, Malformed> {
    let mut bytes = [0; 8];
    let place = bytes.get_mut(..record.len());
    place.ok_or(Malformed("a sending time of more than 8 bytes"))?.copy_from_slice(record);
    Ok(u64::from_le_bytes(bytes))
}

fn split_origin(record: &[u8]) -> Result<Arc<str>, Malformed> {
    if record.len() > MAX_PATH {
        return Err(Malformed("an origin of more than 1024 bytes"));
    }
    let origin = std::str::from_utf8(record).map_err(|_| Malformed("an origin is not UTF-8"))?;
    Ok(origin.into())
}

impl Found {
    fn take_record(&mut self, id: u64, mut record: &[u8]) -> Result<(), Malformed> {
        match id {
            SENT => self.sent_us = Some(split_sent(record)?),
            // A copy: a few bytes must not keep the whole frame alive.
            BINARY_METADATA => self.split_entries(&mut record, |record| {
                Ok(Bytes::copy_from_slice(split_bytes(record)?).into())
            })?,
            ORIGIN => self.origin = Some(split_origin(record)?),
            RETRY_AFTER => self.retry_after_ms = Some(split_varint(&mut record)?),
            _ => {}
        }
        Ok(())
    }

    fn split_entries(
        &mut self,
        body: &mut &[u8],
        value: impl Fn(&mut &[u8]) -> Result<MetadataValue, Malformed>,
    ) -> Result<(), Malformed> {
        let count = split_varint(body)?;
        self.entries = self.entries.saturating_add(count);
        if self.entries > MAX_ENTRIES as u64 {
            return Err(Malformed("more than 128 entries of metadata"));
        }
        for _ in 0..count {
            let before = body.len();
            self.metadata.append(split_text(body)?, value(body)?);
            self.bytes += before - body.len();
            if self.bytes > MAX_METADATA {
                return Err(Malformed("more than 16 KiB of metadata"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rpc_core::codec::CodecError;
    use rpc_core::message::Message;

    use super::*;

    fn request_bytes() -> Bytes {
        let mut buf = BytesMut::new();
        let metadata = Metadata::from_iter([("trace", "1"), ("tenant", "blue")]);
        put_request_head(&mut buf, "shop.Inventory/reserve", 300_000, 71_000_000, &metadata);
        buf.put_slice(b"arguments");
        buf.freeze()
    }

    #[test]
    fn a_request_head_survives_and_leaves_the_arguments() {
        let body = request_bytes();
        let head = parse_request_head(&body).unwrap();
        assert_eq!(head.path, b"shop.Inventory/reserve");
        assert_eq!((head.timeout_us, head.sent_us), (Some(300_000), Some(71_000_000)));
        assert_eq!(head.metadata.value("tenant"), Some("blue"));
        assert_eq!(&body[head.arguments..], b"arguments");
    }

    #[test]
    fn a_sending_time_has_five_bytes_for_twelve_days_and_eight_at_most() {
        let head = |sent_us| {
            let mut buf = BytesMut::new();
            put_request_head(&mut buf, "S/m", 1, sent_us, &Metadata::new());
            buf.freeze()
        };
        for (sent_us, len) in [(0, 5), (71 << 30, 5), (1 << 40, 8), (u64::MAX, 8)] {
            let bytes = head(sent_us);
            assert_eq!(bytes.len(), 1 + 4 + 1 + 3 + len, "{sent_us}");
            assert_eq!(parse_request_head(&bytes).unwrap().sent_us, Some(sent_us));
        }
        let long = [&[HAS_BLOCK, 3][..], b"S/m", &[11, 4, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]].concat();
        let read = parse_request_head(&long);
        assert_eq!(read, Err(Malformed("a sending time of more than 8 bytes")));
    }

    #[test]
    fn a_request_head_cut_anywhere_is_malformed() {
        let whole = request_bytes();
        for len in 0..whole.len() - b"arguments".len() {
            assert!(parse_request_head(&whole[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn metadata_of_text_and_bytes_survives_in_requests_and_answers() {
        let mut metadata = Metadata::from_iter([("a", "1"), ("a", "2")]);
        metadata.append("trace-bin", Bytes::from_static(&[0, 255]));
        let only_bytes = Metadata::from_iter([("b-bin", Bytes::from_static(b"x"))]);
        for metadata in [metadata, only_bytes] {
            let mut buf = BytesMut::new();
            put_request_head(&mut buf, "S/m", 1, 2, &metadata);
            buf.put_slice(b"arguments");
            let head = parse_request_head(&buf).unwrap();
            assert_eq!(head.metadata, metadata);
            assert_eq!(&buf[head.arguments..], b"arguments");
            let mut buf = BytesMut::new();
            put_value_head(&mut buf, &metadata);
            let Ok(ParsedAnswer::Value { metadata: read, value }) = parse_answer(buf.freeze())
            else {
                panic!("a value");
            };
            assert_eq!((read, value), (metadata, Bytes::new()));
        }
    }

    #[test]
    fn records_that_are_not_known_are_skipped_and_their_lengths_are_checked() {
        let head = |block: &[u8]| {
            let head = [&[HAS_BLOCK, 3][..], b"S/m", &[block.len() as u8], block].concat();
            parse_request_head(&head).map(|head| head.metadata)
        };
        // Record 99 of two bytes, then `k` as a byte.
        let known = [1, 4, 1, 1, b'k', 1, 7];
        let read = head(&[&[99, 2, 0, 0][..], &known[..2], &[5], &known[2..]].concat());
        assert!(read.is_err(), "a record that does not end");
        let read = head(&[&[99, 2, 0, 0, 1, 5][..], &known[2..]].concat()).unwrap();
        assert_eq!(read.binary("k").unwrap(), &[7][..]);
        assert_eq!(head(&[99, 3, 0]), Err(Malformed("a length passes the end")));
        assert_eq!(head(&[]), Ok(Metadata::new()));
    }

    /// A codec for what has nothing to encode.
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
            13
        }

        fn encode(&self, _: &dyn Message, _: &mut BytesMut) -> Result<(), CodecError> {
            Ok(())
        }

        fn decode(
            &self,
            _: Bytes,
            _: &mut dyn Message,
            _: &mut rpc_core::codec::Limits,
        ) -> Result<(), CodecError> {
            Ok(())
        }
    }

    /// A failure as its caller reads it.
    fn failed(status: &Status) -> Status {
        let mut buf = BytesMut::new();
        put_status(&mut buf, status, &Unused);
        match parse_answer(buf.freeze()) {
            Ok(ParsedAnswer::Status { status, details: None }) => status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_failure_arrives_without_metadata_that_no_frame_may_carry() {
        let many = Metadata::from_iter((0..129).map(|n| (format!("key-{n}"), "value")));
        let long = Metadata::from_iter([("key", "x".repeat(MAX_METADATA))]);
        for metadata in [many, long] {
            assert!(check_metadata(&metadata).is_err());
            let told = failed(&Status::not_found("no such item").with_metadata(metadata));
            assert_eq!((told.code(), told.message()), (Code::NotFound, "no such item"));
            assert!(told.metadata().is_empty());
        }
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let full = Status::resource_exhausted("full").with_delivery(Delivery::Refused);
        let wait = Duration::from_millis(250);
        let trace = Metadata::from_iter([("trace", "1")]);
        let told = failed(&full.clone().with_retry_after(wait).with_metadata(trace.clone()));
        assert_eq!((told.retry_after(), told.metadata()), (Some(wait), &trace));
        assert!(told.is_full());
        assert_eq!(failed(&full).retry_after(), None);
        for long in [Duration::MAX, Duration::from_millis(u64::MAX)] {
            let told = failed(&full.clone().with_retry_after(long));
            assert!(told.is_full() && told.retry_after() > Some(wait), "{long:?}: {told}");
        }
    }

    #[test]
    fn a_failure_of_a_call_further_on_keeps_the_name_of_that() {
        let origin: Arc<str> = "shop.Inventory/reserve".into();
        let nested = Status::unavailable("x").with_origin(origin.clone());
        assert_eq!(failed(&nested).origin(), Some(&*origin));
        assert_eq!(failed(&Status::unavailable("x")).origin(), None);
        let long = Status::unavailable("x").with_origin("x".repeat(MAX_PATH + 1).into());
        assert_eq!(failed(&long).origin(), None, "what readers would refuse is not written");
    }

    #[test]
    fn lengths_past_the_end_do_not_allocate() {
        let body = [0, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(parse_request_head(&body), Err(Malformed("a length passes the end")));
        assert_eq!(parse_request_head(&[0xf8; 32]), Err(Malformed("unknown flags")));
    }
}
