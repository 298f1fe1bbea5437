//! What messages are to codecs: an object-safe [`Message`] that offers its values to a [`Writer`]
//! and takes them from a [`Reader`], besides protobuf's own form, and the traits of the types that
//! messages are made of.
//!
//! `#[dubhe::message]` implements them for structs and enums, `#[dubhe::service]` for argument
//! lists, and [`Returned`] wraps replies. The rules of the forms are in `docs/wire.md`; each
//! type's are beside its implementation.

mod array;
mod business;
mod container;
mod enumeration;
mod item;
pub mod json_mapping;
#[cfg(feature = "serde_json")]
mod json_value;
mod map;
mod newtype;
#[doc(hidden)]
pub mod oneof;
mod own_default;
mod problem;
mod reader;
mod record;
mod returned;
mod scalar;
mod schema;
mod single;
mod sole;
mod text;
mod time;
mod traits;
mod tuple;
mod unwritable;
#[cfg(feature = "uuid")]
mod uuid_text;
mod wire;
mod with_serde;
mod writer;

use std::any::Any;

use bytes::{Bytes, BytesMut};

use crate::codec::Limits;

pub use self::business::BusinessError;
pub use self::item::{Inner, Item, ListItem};
pub use self::map::MapKey;
pub use self::problem::{Problem, Read};
pub use self::reader::{KeyMut, ReadScope, Reader, ValueKind, Variant, set_string};
pub use self::returned::Returned;
pub use self::schema::{EnumSchema, FieldSchema, Positions, RecordSchema, VariantSchema};
pub use self::traits::{Describe, Element, Field, Value};
pub use self::wire::{DecodeError, TooDeep};
pub use self::with_serde::{read_with_serde, write_with_serde};
pub use self::writer::{At, KeyRef, Writer};

/// What generated code calls besides.
#[doc(hidden)]
pub mod generated {
    pub use super::business::{typed_error, typed_status};
    pub use super::enumeration::{
        Enumeration, Unrecognized, enum_key_text, merge_enum, next_enum_key, offer_enum_key,
        read_enum, serialize_enum, write_enum,
    };
    pub use super::newtype::{Newtype, NewtypeForm};
    pub use super::oneof;
    pub use super::reader::Variant;
    pub use super::record::{
        Record, encode_whole, in_tagged, len_whole, merge_nested, merge_unknown, merge_whole,
        read_record, write_record, write_whole,
    };
    pub use super::returned::generic_name;
    pub use super::text::append as append_text;
    pub use super::wire::{DecodeError, Input, WireType};
    pub use super::with_serde::{
        deserialize, deserialize_value, read_value as read_value_with_serde, serialize_value,
        write_with_serde,
    };
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
    /// Messages are nested too deep in it, or a value is out of protobuf's range; nothing is appended
    /// then.
    fn encode_proto(&self, buf: &mut BytesMut) -> Read;

    /// Reads protobuf's form over `self`; fields that are absent keep their value.
    ///
    /// # Errors
    /// Bytes that are not protobuf, are cut short, are nested too deep or take too much memory.
    fn merge_proto(&mut self, bytes: Bytes, limits: &mut Limits) -> Result<(), DecodeError>;

    /// Appends the text of the argument at `index`, for what hashes it; `false` if there is none.
    ///
    /// The text is that of Java's `String.valueOf` for strings, integers and booleans. A message
    /// that is not a list of arguments is the one argument itself.
    fn argument_text(&self, index: usize, out: &mut String) -> bool {
        index == 0 && text::append(out, |writer| self.write(writer))
    }

    /// Offers its values to a writer; what is nested too deep or out of range fails.
    fn write(&self, writer: &mut dyn Writer);

    /// Reads it over `self`; fields that are absent keep their value.
    ///
    /// # Errors
    /// What the reader reports, values that do not fit, and what is past the limits.
    fn read(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read;
}
