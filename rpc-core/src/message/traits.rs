//! The traits behind messages: [`Value`] (one value), [`Element`] (may be repeated), [`Field`]
//! (anything that may stand in a message, an argument list or a result).
//!
//! Their methods are called by generated code only; users meet the names in bounds and in
//! compile errors.

use bytes::BytesMut;

use super::item::{encode_value, value_len};
use super::problem::Read;
use super::reader::Reader;
use super::record::Record;
use super::wire::{self, DecodeError, Input, WireType};
use super::writer::{At, Writer};
use super::{container, sole, text};
use crate::codec::Limits;
use crate::descriptor::{FieldType, MessageType, Shape, Type};

/// One value of protobuf: a number, a string, bytes, an enum or a message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a single value in a message",
    label = "not a number, `bool`, `String`, bytes, enum or message",
    note = "put `#[dubhe::message]` on the type if it is yours",
    note = "`Option`, `Vec` and maps are no single values",
    note = "`usize`, `isize`, `u128`, `i128`, `char` and references do not travel: use `u64`, `i64`, \
            `String`, or a message"
)]
pub trait Value: Sized + Send + Sync + 'static {
    /// How protobuf writes it.
    #[doc(hidden)]
    const WIRE: WireType = WireType::LengthDelimited;

    /// Whether it is a message, so that it can be a whole body.
    #[doc(hidden)]
    const IS_MESSAGE: bool = false;

    /// Whether [`nests_within`](Self::nests_within) may be false of it.
    #[doc(hidden)]
    const IS_CHECKED: bool = Self::IS_MESSAGE;

    /// Bytes that [`empty`](Self::empty) holds outside of itself.
    #[doc(hidden)]
    const DEFAULT_HEAP: usize = 0;

    /// Whether `null` is one of its values, so that it may stand in a list.
    #[doc(hidden)]
    const TAKES_NULL: bool = false;

    /// What newtypes that hold each other in a circle need themselves for, which rustc reports: their
    /// type has no end. Its name is all that can be said there.
    #[doc(hidden)]
    const ENDLESS_NEWTYPE_USE_A_NAMED_FIELD: bool = false;

    /// What it is where nothing was sent: zero, the empty text, a message of such fields. Not
    /// `Default`, which a type need not have and a program may write as it likes.
    #[doc(hidden)]
    fn empty() -> Self;

    /// Whether messages nest at most `levels` deep in it, itself included, and every value in it has
    /// a form: what is false of cannot be written.
    #[doc(hidden)]
    #[inline]
    fn nests_within(&self, _levels: usize) -> bool {
        true
    }

    /// Whether protobuf's form leaves it out; the reader fills in the default. Never so for
    /// messages, because peers in other languages can ask whether one is there.
    #[doc(hidden)]
    #[inline]
    fn is_default(&self) -> bool {
        false
    }

    /// Length without key and length prefix.
    #[doc(hidden)]
    fn body_len(&self) -> usize;

    /// Appends it without key and length prefix.
    #[doc(hidden)]
    fn encode_body(&self, out: &mut BytesMut);

    /// Reads it; the key is read, a length prefix is not.
    #[doc(hidden)]
    fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError>;

    /// Reads one of its fields. Only messages have any.
    #[doc(hidden)]
    fn merge_tag(
        &mut self,
        tag: u32,
        wire: WireType,
        input: &mut Input<'_>,
    ) -> Result<(), DecodeError> {
        input.skip(tag, wire)
    }

    /// Offers it to a writer.
    #[doc(hidden)]
    fn write_value(&self, writer: &mut dyn Writer, at: At);

    /// Reads it over `self`.
    #[doc(hidden)]
    fn read_value(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read;

    /// Offers a list of it.
    #[doc(hidden)]
    fn write_list(list: &[Self], writer: &mut dyn Writer, at: At) {
        writer.begin_list(at, list.len());
        list.iter().for_each(|value| value.write_value(writer, None));
        writer.end_list();
    }

    /// Reads a list of it in place of what is there.
    #[doc(hidden)]
    fn read_list(list: &mut Vec<Self>, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        container::read_list(list, reader, limits)
    }

    /// Its type for descriptors.
    #[doc(hidden)]
    fn value_type() -> Type;

    // As a field. A newtype is here what it holds, which may be repeated.

    /// As [`Field::nests_within`].
    #[doc(hidden)]
    #[inline]
    fn field_nests_within(&self, levels: usize) -> bool {
        self.nests_within(levels)
    }

    /// As [`Field::field_len`].
    #[doc(hidden)]
    #[inline]
    fn value_field_len(&self, tag: u32) -> usize {
        if self.is_default() {
            return 0;
        }
        value_len(self, tag)
    }

    /// As [`Field::encode_field`].
    #[doc(hidden)]
    #[inline]
    fn encode_value_field(&self, tag: u32, out: &mut BytesMut) {
        if !self.is_default() {
            encode_value(self, tag, out);
        }
    }

    /// As [`Field::merge_field`].
    #[doc(hidden)]
    #[inline]
    fn merge_value_field(
        &mut self,
        wire: WireType,
        input: &mut Input<'_>,
    ) -> Result<(), DecodeError> {
        wire::expect_wire(Self::WIRE, wire)?;
        self.merge_body(input)
    }

    /// As [`Field::read`].
    #[doc(hidden)]
    #[inline]
    fn read_value_field(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        self.read_value(reader, limits)
    }

    /// As [`Field::shape`].
    #[doc(hidden)]
    fn value_shape() -> Shape {
        Shape::Single(Self::value_type())
    }
}

/// A [`Value`] that may be repeated: every one but `u8`, because `Vec<u8>` is bytes.
///
/// Type parameters of generic messages are bound by it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the parameter of a message",
    label = "not a number, `bool`, `String`, bytes, enum or message",
    note = "put `#[dubhe::message]` on the type if it is yours",
    note = "`Option`, `Vec` and maps are no single values: hold it in a newtype with \
            `#[dubhe::message]`"
)]
pub trait Element: Value {}

/// What a field of a message, an argument and a result can be: a [`Value`], or an `Option`, `Vec`
/// or map of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field, an argument or a result",
    label = "not a type that can travel",
    note = "put `#[dubhe::message]` on the type if it is yours",
    note = "what travels: `bool`, `i8`..`i64`, `u8`..`u64`, `f32`, `f64`, `String`, `Vec<u8>`, \
            `Bytes`, `()`, `Duration`, `SystemTime`, messages, enums, and `Option`, `Vec`, \
            `HashMap`, `BTreeMap`, arrays and tuples of those",
    note = "`usize`, `isize`, `u128`, `i128`, `char` and references do not: use `u64`, `i64`, \
            `String`, or a struct with `#[dubhe::message]`"
)]
pub trait Field: Sized + Send + Sync + 'static {
    /// Whether it is a message, so that it can be a whole body.
    #[doc(hidden)]
    const IS_MESSAGE: bool = false;

    /// As [`Value::DEFAULT_HEAP`].
    #[doc(hidden)]
    const DEFAULT_HEAP: usize = 0;

    /// As [`Value::nests_within`].
    #[doc(hidden)]
    fn nests_within(&self, levels: usize) -> bool;

    /// Length in protobuf with its key; 0 if it is left out.
    #[doc(hidden)]
    fn field_len(&self, tag: u32) -> usize;

    /// Appends protobuf's form with its key, or nothing if it is the default.
    #[doc(hidden)]
    fn encode_field(&self, tag: u32, out: &mut BytesMut);

    /// Reads protobuf's form; the key is read.
    #[doc(hidden)]
    fn merge_field(&mut self, wire: WireType, input: &mut Input<'_>) -> Result<(), DecodeError>;

    /// Whether every form leaves it out.
    #[doc(hidden)]
    #[inline]
    fn is_absent(&self) -> bool {
        false
    }

    /// Offers it to a writer, unless it is absent.
    #[doc(hidden)]
    fn write(&self, writer: &mut dyn Writer, at: At);

    /// Reads it over `self`.
    #[doc(hidden)]
    fn read(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read;

    /// Length as a whole body; asked of messages only.
    #[doc(hidden)]
    fn whole_len(&self) -> usize {
        self.field_len(1)
    }

    /// Appends a whole body; asked of messages only.
    #[doc(hidden)]
    fn encode_whole(&self, out: &mut BytesMut) {
        self.encode_field(1, out);
    }

    /// Reads one field of a whole body; asked of messages only.
    #[doc(hidden)]
    fn merge_whole(
        &mut self,
        tag: u32,
        wire: WireType,
        input: &mut Input<'_>,
    ) -> Result<(), DecodeError> {
        input.skip(tag, wire)
    }

    /// Its type for descriptors.
    #[doc(hidden)]
    fn shape() -> Shape;

    /// What a field is that was not sent.
    #[doc(hidden)]
    #[must_use]
    fn absent() -> Self;

    /// Appends its text as an argument; `false` if it has none.
    #[doc(hidden)]
    fn argument_text(&self, out: &mut String) -> bool {
        text::argument_text(self, out)
    }

    // Of a list of arguments that holds it alone.

    /// As [`nests_within`](Self::nests_within), of the list.
    #[doc(hidden)]
    #[inline]
    fn sole_nests_within(&self, levels: usize) -> bool {
        sole::nests_within(self, levels)
    }

    /// Length of the list in protobuf.
    #[doc(hidden)]
    #[inline]
    fn sole_len(&self) -> usize {
        sole::len(self)
    }

    /// Appends protobuf's form of the list.
    #[doc(hidden)]
    #[inline]
    fn encode_sole(&self, out: &mut BytesMut) {
        sole::encode(self, out);
    }

    /// Reads one field of protobuf's form of the list, in which `name` is its own.
    #[doc(hidden)]
    #[inline]
    fn merge_sole(
        &mut self,
        tag: u32,
        wire: WireType,
        input: &mut Input<'_>,
        name: &'static str,
    ) -> Result<(), DecodeError> {
        sole::merge_tagged(self, tag, wire, input, name)
    }

    /// Offers the list to a writer.
    #[doc(hidden)]
    fn write_sole<R: Record>(&self, list: &R, writer: &mut dyn Writer) {
        sole::write(list, self, writer);
    }

    /// Reads the list.
    #[doc(hidden)]
    fn read_sole<R: Record>(
        list: &mut R,
        value: fn(&mut R) -> &mut Self,
        reader: &mut dyn Reader,
        limits: &mut Limits,
    ) -> Read {
        sole::read_argument(list, value, reader, limits)
    }

    /// The list as data.
    #[doc(hidden)]
    fn describe_sole(own: impl FnOnce(FieldType) -> MessageType, field: FieldType) -> MessageType {
        sole::describe::<Self>(own, field)
    }
}

impl<T: Value> Field for T {
    const IS_MESSAGE: bool = T::IS_MESSAGE;
    const DEFAULT_HEAP: usize = T::DEFAULT_HEAP;

    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        self.field_nests_within(levels)
    }

    #[inline]
    fn field_len(&self, tag: u32) -> usize {
        self.value_field_len(tag)
    }

    #[inline]
    fn encode_field(&self, tag: u32, out: &mut BytesMut) {
        self.encode_value_field(tag, out);
    }

    #[inline]
    fn merge_field(&mut self, wire: WireType, input: &mut Input<'_>) -> Result<(), DecodeError> {
        self.merge_value_field(wire, input)
    }

    #[inline]
    fn write(&self, writer: &mut dyn Writer, at: At) {
        self.write_value(writer, at);
    }

    #[inline]
    fn read(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        self.read_value_field(reader, limits)
    }

    #[inline]
    fn whole_len(&self) -> usize {
        self.body_len()
    }

    #[inline]
    fn encode_whole(&self, out: &mut BytesMut) {
        self.encode_body(out);
    }

    #[inline]
    fn merge_whole(
        &mut self,
        tag: u32,
        wire: WireType,
        input: &mut Input<'_>,
    ) -> Result<(), DecodeError> {
        self.merge_tag(tag, wire, input)
    }

    fn shape() -> Shape {
        T::value_shape()
    }

    #[inline]
    fn absent() -> Self {
        T::empty()
    }
}

/// What can print itself into a `.proto`: messages, argument lists, replies.
pub trait Describe {
    /// The message as data.
    fn message_type() -> MessageType;
}
