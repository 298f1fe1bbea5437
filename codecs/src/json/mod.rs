//! JSON in protobuf's mapping: for people, browsers and `curl`.
//!
//! lowerCamelCase names, 64-bit integers as strings, bytes in base64, enums by name. What that costs
//! beside the other codecs is in `docs/benchmarks.md`.

mod cursor;
mod reader;
mod scan;
mod writer;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rpc_core::codec::{CodecError, Limits};
use rpc_core::message::Message;
use rpc_core::{BuildContext, Codec, Error, Extension, NoConfig};

use self::cursor::JsonCursor;
use self::writer::JsonWriter;

/// The codec named `json`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl Extension<dyn Codec> for Json {
    const NAME: &'static str = "json";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Codec>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Codec for Json {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn content_subtype(&self) -> &'static str {
        "json"
    }

    fn dubbo_id(&self) -> u8 {
        15
    }

    fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
        let mut writer = JsonWriter::new(buf);
        message.write(&mut writer);
        writer.finish().map_err(|problem| CodecError::new(Self::NAME, problem))
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> Result<(), CodecError> {
        let read = JsonCursor::new(&bytes)
            .and_then(|mut reader| message.read(&mut reader, limits).and_then(|()| reader.end()));
        read.map_err(|problem| CodecError::new(Self::NAME, problem))
    }
}
