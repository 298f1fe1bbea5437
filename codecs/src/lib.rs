//! The built-in codecs: messages to bytes and back, chosen by name.
//!
//! A codec knows a format and no message; what a message looks like in it is decided by
//! `rpc_core::message`, so that the same rules hold in all. No I/O, no state.
//!
//! | name | content subtype | dubbo id | for |
//! | --- | --- | --- | --- |
//! | `protobuf` | `proto` | 13 | speed, gRPC peers |
//! | `msgpack` | `msgpack` | 14 | self-describing and compact |
//! | `json` | `json` | 15 | people and browsers |
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

/// Every built-in codec.
#[must_use]
pub fn builtin() -> ExtensionPoint<dyn Codec> {
    // What a feature leaves out is no unknown name.
    let point = ExtensionPoint::new("codec").without(&["protobuf", "msgpack", "json", "hessian2"]);
    #[cfg(feature = "protobuf")]
    let point = point.with::<Protobuf>();
    #[cfg(feature = "msgpack")]
    let point = point.with::<Msgpack>();
    #[cfg(feature = "json")]
    let point = point.with::<Json>();
    point
}
