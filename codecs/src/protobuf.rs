//! Protobuf: the compact form with field numbers, readable by any gRPC peer.
//!
//! Writing allocates nothing besides the buffer. The form itself is `rpc_core::message`'s.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rpc_core::codec::{CodecError, Limits};
use rpc_core::message::Message;
use rpc_core::{BuildContext, Codec, Error, Extension, NoConfig};

/// The codec named `protobuf`.
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
        message.merge_proto(bytes, limits).map_err(|error| CodecError::new(Self::NAME, error))
    }
}
