//! What messages are to codecs: an object-safe [`Message`] with protobuf's form and serde's, and
//! the traits of the types that messages are made of.
//!
//! `#[dubhe::message]` implements them for structs and enums, `#[dubhe::service]` for argument
//! lists, and [`Returned`] wraps replies. The rules of the forms are in `docs/wire.md`; each
//! type's are beside its implementation.

mod business;
mod container;
mod enumeration;
mod map;
mod number;
#[doc(hidden)]
pub mod oneof;
mod read;
mod record;
mod returned;
mod scalar;
mod single;
mod skip;
#[doc(hidden)]
pub mod sole;
mod text;
mod traits;
mod wire;
mod write;

use std::any::Any;

use bytes::{Bytes, BytesMut};

use crate::codec::Limits;

pub use self::business::BusinessError;
pub use self::map::MapKey;
pub use self::returned::Returned;
pub use self::traits::{Describe, Element, Field, Value};
pub use self::wire::{DecodeError, TooDeep};

/// What generated code calls besides.
#[doc(hidden)]
pub mod generated {
    pub use super::business::{typed_error, typed_status};
    pub use super::enumeration::{Enumeration, merge_enum, serialize_enum};
    pub use super::number::is_number;
    pub use super::oneof::{self, OneOf};
    pub use super::read::{Positions, make, merge_record};
    pub use super::record::{
        Record, absent, encode_whole, len_whole, merge_nested, merge_whole, serialize_whole,
        skip_value,
    };
    pub use super::returned::generic_name;
    pub use super::sole;
    pub use super::text::{append as append_text, argument_text};
    pub use super::wire::{DecodeError, Input, TooDeep, WireType};
    pub use super::write::RecordWriter;
}

/// A value that travels as a whole message.
///
/// Made by the macros; implementing it by hand is possible and rarely needed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "put `#[dubhe::message]` on the type"
)]
pub trait Message: Any + Send + Sync {
    /// Length of protobuf's form in bytes; 0 if [`encode_proto`](Self::encode_proto) refuses it.
    fn proto_len(&self) -> usize;

    /// Appends protobuf's form.
    ///
    /// # Errors
    /// Messages are nested too deep in it; nothing is appended then.
    fn encode_proto(&self, buf: &mut BytesMut) -> Result<(), TooDeep>;

    /// Reads protobuf's form over `self`; fields that are absent keep their value.
    ///
    /// # Errors
    /// Bytes that are no protobuf, are cut short, are nested too deep or take too much memory.
    fn merge_proto(&mut self, bytes: Bytes, limits: &mut Limits) -> Result<(), DecodeError>;

    /// Appends the text of the argument at `index`, for what hashes it; `false` if there is none.
    ///
    /// The text is that of Java's `String.valueOf` for strings, integers and booleans. A message
    /// that is no list of arguments is the one argument itself.
    fn argument_text(&self, index: usize, out: &mut String) -> bool {
        index == 0 && text::append(self.as_serialize(), out)
    }

    /// Serde's form; it refuses to be written if messages are nested too deep in it.
    fn as_serialize(&self) -> &dyn erased_serde::Serialize;

    /// Reads serde's form over `self`.
    ///
    /// # Errors
    /// Whatever the deserializer reports, and values that do not fit or are past the limits.
    fn merge_serde(
        &mut self,
        deserializer: &mut dyn erased_serde::Deserializer<'_>,
        limits: &mut Limits,
    ) -> Result<(), erased_serde::Error>;
}
