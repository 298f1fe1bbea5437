//! JSON in protobuf's mapping: for people, browsers and `curl`.
//!
//! Source of the form: the JSON mapping of proto3. Names are lowerCamelCase, 64-bit integers are
//! strings, bytes are base64, enums are names. Readers accept more than writers produce: names as they
//! are in Rust, numbers as strings and strings as numbers, both alphabets of base64.
//!
//! `docs/benchmarks.md` compares its cost with the other codecs.

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

/// The codec named `json`: proto3's JSON mapping, for people, browsers and `curl`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bytes::BytesMut;
/// use dubhe_codecs::Json;
/// use rpc_core::Codec;
/// use rpc_core::codec::Limits;
/// use rpc_macros::message;
///
/// #[message(crate = rpc_core)]
/// struct Article {
///     number: u64,
///     price_cents: Option<u32>,
///     picture: Vec<u8>,
/// }
///
/// let lamp = Article { number: 7, price_cents: Some(250), picture: vec![1, 2] };
/// let mut json = BytesMut::new();
/// Json.encode(&lamp, &mut json)?;
/// assert_eq!(&json[..], br#"{"number":"7","priceCents":250,"picture":"AQI="}"#);
///
/// // Rust's own spelling and a plain number are read as well; the absent field keeps its value.
/// let mut read = Article::default();
/// Json.decode(r#"{"number":7,"price_cents":3}"#.into(), &mut read, &mut Limits::default())?;
/// assert_eq!((read.number, read.price_cents, read.picture.len()), (7, Some(3), 0));
///
/// let wrong = Json.decode(r#"{"number":"x"}"#.into(), &mut read, &mut Limits::default());
/// assert!(wrong.unwrap_err().to_string().contains("number"), "it names the field");
/// # Ok(())
/// # }
/// ```
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
