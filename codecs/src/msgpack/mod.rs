//! MessagePack as named maps: self-describing, compact, with native integers and bytes.
//!
//! Source of the form: the MessagePack specification. A message is a map whose keys are the names that
//! it has in JSON; numbers have their shortest form, bytes are bin. Maps by name and arrays by position
//! are both read, since other writers leave names out.

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

/// The codec named `msgpack`: MessagePack, self-describing and compact.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bytes::BytesMut;
/// use dubhe_codecs::Msgpack;
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
/// Msgpack.encode(&Article { number: 7, name: "lamp".into() }, &mut bytes)?;
/// assert_eq!(&bytes[..], b"\x82\xa6number\x07\xa4name\xa4lamp");
///
/// // The same without names.
/// let mut read = Article::default();
/// Msgpack.decode(b"\x92\x07\xa4lamp".as_slice().into(), &mut read, &mut Limits::default())?;
/// assert_eq!((read.number, &*read.name), (7, "lamp"));
/// # Ok(())
/// # }
/// ```
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
