//! The built-in codecs: messages to bytes and back, chosen by name.
//!
//! A codec knows a format and no particular message; what a message looks like in it is decided by
//! `rpc_core::message`, so that the same rules hold in all formats. A codec does no I/O and has no
//! state: bytes in, bytes out.
//!
//! | name | content subtype | dubbo id | for |
//! | --- | --- | --- | --- |
//! | `protobuf` | `proto` | 13 | speed, gRPC peers |
//! | `msgpack` | `msgpack` | 14 | self-describing and compact |
//! | `json` | `json` | 15 | people and browsers |
//!
//! All three write and read every message, so peers may prefer different ones: a call goes out in one
//! that both have. They differ in the form of values:
//!
//! | | `protobuf` | `msgpack` | `json` |
//! | --- | --- | --- | --- |
//! | fields are known by | number | name, or position | name |
//! | `u64` | varint | integer | string |
//! | `Vec<u8>`, `Bytes` | bytes | bin | base64 |
//! | enum without data | number | name | name |
//! | `Bytes` of a body that is read | a slice of it | a slice of it | copied |
//! | a key that occurs twice | the last counts | an error | an error |
//!
//! What is common to them, such as the meaning of absent and unknown fields, is in `docs/wire.md`.
//! Reading is bounded in all of them: by [`Limits`](rpc_core::codec::Limits) of memory, and by
//! [`MAX_DEPTH`](rpc_core::codec::MAX_DEPTH) levels of nesting.
//!
//! # A format of one's own
//!
//! A codec implements [`Codec`] and [`Extension`](rpc_core::Extension). A format that serde has is put
//! behind a message by [`write_with_serde`](rpc_core::message::write_with_serde) and
//! [`read_with_serde`](rpc_core::message::read_with_serde); one that is to cost as little as these
//! implements [`Writer`](rpc_core::message::Writer) and [`Reader`](rpc_core::message::Reader), which a
//! message calls once for each of its values. In this crate it is one file and one line in
//! [`builtin`]; a program adds it to its consumers and providers.
//!
//! # Example
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bytes::BytesMut;
//! use rpc_core::Params;
//! use rpc_core::codec::Limits;
//! use rpc_core::message::Returned;
//!
//! let json = dubhe_codecs::builtin().build("json", Params::new())?;
//! let mut buf = BytesMut::new();
//! json.encode(&Returned(7_u64), &mut buf)?;
//! assert_eq!(&buf[..], br#"{"value":"7"}"#);
//!
//! let mut read = Returned(0_u64);
//! json.decode(buf.freeze(), &mut read, &mut Limits::default())?;
//! assert_eq!(read.0, 7);
//! # Ok(())
//! # }
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)]

use rpc_core::{Codec, ExtensionPoint};

#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(feature = "protobuf")]
mod protobuf;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod window;

#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "msgpack")]
pub use self::msgpack::Msgpack;
#[cfg(feature = "protobuf")]
pub use self::protobuf::Protobuf;

/// Every built-in codec, as far as its feature is on.
///
/// ```
/// let names: Vec<_> = dubhe_codecs::builtin().names().collect();
/// assert_eq!(names, ["json", "msgpack", "protobuf"]);
/// ```
#[must_use]
pub fn builtin() -> ExtensionPoint<dyn Codec> {
    // A codec that a feature leaves out gets an error of its own, rather than that of an unknown name.
    let point = ExtensionPoint::new("codec").without(&["hessian2"]);
    let point = point.by_feature(&["protobuf", "msgpack", "json"]);
    #[cfg(feature = "protobuf")]
    let point = point.with::<Protobuf>();
    #[cfg(feature = "msgpack")]
    let point = point.with::<Msgpack>();
    #[cfg(feature = "json")]
    let point = point.with::<Json>();
    point
}
