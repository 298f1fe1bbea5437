//! JSON in protobuf's mapping: for people, browsers and `curl`.
//!
//! lowerCamelCase names, 64-bit integers as strings, bytes in base64, enums by name. Costs about
//! three times protobuf's time and bytes.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use rpc_core::codec::{CodecError, Limits};
use rpc_core::message::Message;
use rpc_core::{BuildContext, Codec, Error, Extension, NoConfig};
use serde::Serialize;

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
        let mut json = serde_json::Serializer::new(buf.writer());
        message
            .as_serialize()
            .serialize(&mut json)
            .map_err(|error| CodecError::new(Self::NAME, error))
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> Result<(), CodecError> {
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        // Messages count their own depth, and what is skipped is skipped without recursion.
        json.disable_recursion_limit();
        message
            .merge_serde(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json), limits)
            .map_err(|error| CodecError::new(Self::NAME, error))?;
        json.end().map_err(|error| CodecError::new(Self::NAME, error))
    }
}
