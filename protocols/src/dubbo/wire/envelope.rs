//! The parts around arguments and replies in the body of a frame, chosen by the serialization id
//! of its header.
//!
//! Our compact form is one; Dubbo's hessian2, which has attachments behind the arguments, finds its
//! place beside it.

use bytes::{Bytes, BytesMut};
use rpc_core::Metadata;
use rpc_core::codec::Codec;
use rpc_core::status::Status;

/// How many bytes of metadata a frame may carry.
pub(crate) const MAX_METADATA: usize = 16 * 1024;

/// How many entries of metadata a frame may carry.
pub(crate) const MAX_ENTRIES: usize = 128;

/// A body that is not of its serialization, or not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed frame body: {0}")]
pub(crate) struct Malformed(pub(super) &'static str);

/// The envelope of a request, as it is written: everything but the arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestEnvelope<'a> {
    /// `service/method`.
    pub(crate) path: &'a str,
    /// Time left, in microseconds.
    pub(crate) timeout_us: u64,
    /// When it is sent, in microseconds since its sender opened the connection.
    pub(crate) sent_us: u64,
    pub(crate) metadata: &'a Metadata,
}

/// The envelope of a request, as it is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestHead<'a> {
    /// `service/method`.
    pub(crate) path: &'a [u8],
    /// Time left when it was sent, in microseconds.
    pub(crate) timeout_us: Option<u64>,
    /// When it was sent, in microseconds since its sender opened the connection.
    pub(crate) sent_us: Option<u64>,
    pub(crate) metadata: Metadata,
    /// Where in the body the arguments begin.
    pub(crate) arguments: usize,
}

/// An answer without its codec.
#[derive(Debug)]
pub(crate) enum ParsedAnswer {
    /// The bytes of the value.
    Value { metadata: Metadata, value: Bytes },
    /// A failure, and the typed error beside it: name and bytes.
    Status { status: Status, details: Option<(Bytes, Bytes)> },
}

/// The form of the parts around arguments and replies.
pub(crate) trait Envelope: Send + Sync {
    /// Appends what stands before the arguments.
    fn put_request_head(&self, buf: &mut BytesMut, request: RequestEnvelope<'_>);

    /// Appends what stands behind them, if anything does.
    fn put_request_tail(&self, _: &mut BytesMut, _: RequestEnvelope<'_>) {}

    /// Whether something stands behind arguments or value, so that these cannot go out as they are
    /// behind the frame.
    fn has_tail(&self) -> bool {
        false
    }

    /// Reads what stands around the arguments in `body`.
    fn parse_request<'a>(&self, body: &'a [u8]) -> Result<RequestHead<'a>, Malformed>;

    /// Appends what stands before the value of an answer.
    fn put_value_head(&self, buf: &mut BytesMut, metadata: &Metadata);

    /// Appends what stands behind it, if anything does.
    fn put_value_tail(&self, _: &mut BytesMut, _: &Metadata) {}

    /// Appends a status in place of a value. Details that cannot be written are left out.
    fn put_status(&self, buf: &mut BytesMut, status: &Status, codec: &dyn Codec);

    /// Reads the body of an answer.
    fn parse_answer(&self, body: Bytes) -> Result<ParsedAnswer, Malformed>;
}

/// Whether `metadata` is within what a frame may carry, and else how far it is beyond that.
#[inline]
pub(crate) fn check_metadata(metadata: &Metadata) -> Result<(), String> {
    if metadata.is_empty() {
        return Ok(());
    }
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len() + 4).sum();
    if metadata.len() <= MAX_ENTRIES && bytes <= MAX_METADATA {
        return Ok(());
    }
    let entries = metadata.len();
    Err(format!(
        "the metadata has {entries} entries of {bytes} bytes in all, more than the limits of \
         {MAX_ENTRIES} and {MAX_METADATA}"
    ))
}
