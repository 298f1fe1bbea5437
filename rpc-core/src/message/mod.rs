//! What messages are to codecs: an object-safe [`Message`] with protobuf's form and serde's.
//!
//! `#[dubhe::message]` implements it for structs and enums, `#[dubhe::service]` for argument
//! lists, and [`Returned`](crate::message) wraps replies. The rules of the forms are in
//! `docs/wire.md`.

use bytes::{Bytes, BytesMut};

/// A value that travels as a whole message.
///
/// Made by the macros; implementing it by hand is possible and rarely needed.
pub trait Message: Send + Sync + 'static {
    /// Length of protobuf's form in bytes.
    fn proto_len(&self) -> usize;

    /// Appends protobuf's form.
    fn encode_proto(&self, buf: &mut BytesMut);

    /// Reads protobuf's form over `self`; fields that are absent keep their value.
    ///
    /// # Errors
    /// Bytes that are no protobuf, are cut short, or are nested too deep.
    fn merge_proto(&mut self, bytes: Bytes) -> Result<(), prost::DecodeError>;

    /// Serde's form.
    fn as_serialize(&self) -> &dyn erased_serde::Serialize;

    /// Reads serde's form over `self`.
    ///
    /// # Errors
    /// Whatever the deserializer reports, and values that do not fit.
    fn merge_serde(
        &mut self,
        deserializer: &mut dyn erased_serde::Deserializer<'_>,
    ) -> Result<(), erased_serde::Error>;
}
