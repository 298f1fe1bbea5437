//! Stand-in until the codecs land.
use bytes::{BufMut, Bytes, BytesMut};
use rpc_core::codec::CodecError;
use rpc_core::message::Message;
use rpc_core::{Codec, Error, Extension, ExtensionPoint, NoConfig};
use std::sync::Arc;
macro_rules! codec {
    ($t:ident, $name:literal, $sub:literal, $id:literal, $enc:expr, $dec:expr) => {
        #[derive(Debug)]
        struct $t;
        impl Extension<dyn Codec> for $t {
            const NAME: &'static str = $name;
            type Config = NoConfig;
            fn build(_: NoConfig) -> Result<Arc<dyn Codec>, Error> {
                Ok(Arc::new($t))
            }
        }
        impl Codec for $t {
            fn name(&self) -> &'static str {
                $name
            }
            fn content_subtype(&self) -> &'static str {
                $sub
            }
            fn dubbo_id(&self) -> u8 {
                $id
            }
            fn encode(&self, m: &dyn Message, b: &mut BytesMut) -> Result<(), CodecError> {
                $enc(m, b)
            }
            fn decode(&self, b: Bytes, m: &mut dyn Message) -> Result<(), CodecError> {
                $dec(b, m)
            }
        }
    };
}
codec!(
    P,
    "protobuf",
    "proto",
    13,
    |m: &dyn Message, b: &mut BytesMut| {
        m.encode_proto(b);
        Ok(())
    },
    |b: Bytes, m: &mut dyn Message| m.merge_proto(b).map_err(|e| CodecError::new("protobuf", e))
);
codec!(
    M,
    "msgpack",
    "msgpack",
    14,
    |m: &dyn Message, b: &mut BytesMut| {
        let mut w = b.writer();
        let mut s = rmp_serde::Serializer::new(&mut w).with_struct_map();
        erased_serde::serialize(m.as_serialize(), &mut s).map_err(|e| CodecError::new("msgpack", e))
    },
    |b: Bytes, m: &mut dyn Message| {
        let mut d = rmp_serde::Deserializer::from_read_ref(&b[..]);
        m.merge_serde(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut d))
            .map_err(|e| CodecError::new("msgpack", e))
    }
);
codec!(
    J,
    "json",
    "json",
    15,
    |m: &dyn Message, b: &mut BytesMut| {
        let mut s = serde_json::Serializer::new(b.writer());
        erased_serde::serialize(m.as_serialize(), &mut s).map_err(|e| CodecError::new("json", e))
    },
    |b: Bytes, m: &mut dyn Message| {
        let mut d = serde_json::Deserializer::from_slice(&b);
        m.merge_serde(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut d))
            .map_err(|e| CodecError::new("json", e))
    }
);
pub fn builtin() -> ExtensionPoint<dyn Codec> {
    ExtensionPoint::new("codec").with::<P>().with::<M>().with::<J>()
}
