//! MessagePack as named maps: self-describing, compact, with native integers and bytes.
//!
//! The names are JSON's. Maps by name and arrays by position are both read.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use rpc_core::codec::{CodecError, Limits, MAX_DEPTH};
use rpc_core::message::Message;
use rpc_core::{BuildContext, Codec, Error, Extension, NoConfig};
use serde::Serialize;

/// The codec named `msgpack`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Msgpack;

impl Extension<dyn Codec> for Msgpack {
    const NAME: &'static str = "msgpack";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Codec>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Codec for Msgpack {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn content_subtype(&self) -> &'static str {
        "msgpack"
    }

    fn dubbo_id(&self) -> u8 {
        14
    }

    fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
        let mut writer = buf.writer();
        let mut msgpack = rmp_serde::Serializer::new(&mut writer);
        message
            .as_serialize()
            .serialize(&mut msgpack)
            .map_err(|error| CodecError::new(Self::NAME, error))
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> Result<(), CodecError> {
        let mut msgpack = rmp_serde::Deserializer::from_read_ref(&*bytes);
        // Messages count their own depth. This one also bounds what is skipped; a list or map in
        // each message is one level more.
        msgpack.set_max_depth(2 * MAX_DEPTH + 2);
        message
            .merge_serde(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut msgpack), limits)
            .map_err(|error| CodecError::new(Self::NAME, error))
    }
}
