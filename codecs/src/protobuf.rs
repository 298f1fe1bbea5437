//! Protobuf: the compact form with field numbers, readable by any gRPC peer.
//!
//! Source of the form: the proto3 encoding. It is implemented in `rpc_core::message`, because messages
//! are written in it without a step between; this file gives it a name. Writing allocates nothing
//! besides the buffer.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rpc_core::codec::{CodecError, Limits};
use rpc_core::message::{DecodeError, Message};
use rpc_core::{BuildContext, Codec, Error, Extension, NoConfig};

/// The codec named `protobuf`: proto3's encoding, the most compact and the fastest of the three.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bytes::BytesMut;
/// use dubhe_codecs::Protobuf;
/// use rpc_core::Codec;
/// use rpc_core::codec::Limits;
/// use rpc_macros::message;
///
/// #[message(crate = rpc_core)]
/// struct Article {
///     number: u64,
///     name: String,
/// }
///
/// let mut bytes = BytesMut::new();
/// Protobuf.encode(&Article { number: 7, name: "lamp".into() }, &mut bytes)?;
/// // Field 1 is the varint 7, field 2 has 4 bytes.
/// assert_eq!(&bytes[..], b"\x08\x07\x12\x04lamp");
///
/// // A body that takes more memory than the limit is refused before that is allocated.
/// let mut limits = Limits::new(3);
/// let refused = Protobuf.decode(bytes.freeze(), &mut Article::default(), &mut limits);
/// assert!(refused.is_err() && limits.is_exceeded());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Protobuf;

impl Extension<dyn Codec> for Protobuf {
    const NAME: &'static str = "protobuf";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Codec>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Codec for Protobuf {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn content_subtype(&self) -> &'static str {
        "proto"
    }

    fn dubbo_id(&self) -> u8 {
        13
    }

    fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
        message.encode_proto(buf).map_err(|error| CodecError::new(Self::NAME, error))
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> Result<(), CodecError> {
        // Not by `map_err`: what makes an error stays out of the way of those that make none.
        match message.merge_proto(bytes, limits) {
            Ok(()) => Ok(()),
            Err(error) => Err(unread(error)),
        }
    }
}

#[cold]
fn unread(error: DecodeError) -> CodecError {
    CodecError::new(Protobuf::NAME, error)
}
