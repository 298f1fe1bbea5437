//! MessagePack as named maps: self-describing, compact, with native integers and bytes.
//!
//! The names are JSON's. Maps by name and arrays by position are both read.

mod cursor;
mod marker;
mod reader;
mod writer;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rpc_core::codec::{CodecError, Limits};
use rpc_core::message::Message;
use rpc_core::{BuildContext, Codec, Error, Extension, NoConfig};

use self::cursor::MsgpackCursor;
use self::writer::MsgpackWriter;

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
        let mut writer = MsgpackWriter::new(buf);
        message.write(&mut writer);
        writer.finish().map_err(|problem| CodecError::new(Self::NAME, problem))
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> Result<(), CodecError> {
        let mut reader = MsgpackCursor::new(&bytes);
        message
            .read(&mut reader, limits)
            .and_then(|()| reader.end())
            .map_err(|problem| CodecError::new(Self::NAME, problem))
    }
}
