//! Enums with data: a message of one `oneof`, whose present variant is the only field.
//!
//! An absent variant reads as the enum's default, one of another version as the variant under
//! `#[rpc(other)]`. `null` for a variant says nothing, because some writers list every variant and
//! leave all but one `null`.

use bytes::BytesMut;

use super::item::{Inner, encode_value, value_len};
use super::problem::Read;
use super::reader::Reader;
use super::wire::{
    DecodeError, Input, WireType, encoded_len_varint, expect_wire, key_len, put_key, put_varint,
};
use super::writer::{At, Writer};
use crate::codec::Limits;
use crate::descriptor::Shape;

/// What a variant may hold: every [`Item`](super::Item) but an `Option`, because `null` for a variant
/// says nothing. A list or map is a message of one field in protobuf, as it is in a list.
///
/// All that generated code asks of a type is in this trait: for one that cannot travel, rustc then says
/// the same thing, and so once.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be what a variant of a message holds",
    label = "not a type that can travel, or an `Option`",
    note = "put `#[dubhe::message]` on the type if it is yours",
    note = "an `Option` is nothing in two ways there, of which JSON has one: give it a name, \
            `{{ it: Option<T> }}`",
    note = "`usize`, `isize`, `u128`, `i128`, `char` and references do not travel: use `u64`, `i64`, \
            `String`, or a message"
)]
pub trait VariantValue: Sized {
    /// Bytes that its default holds outside of itself.
    const HEAP: usize;

    /// What it is where nothing was sent.
    fn empty() -> Self;

    /// Whether messages nest at most `levels` deep in the enum that holds it.
    fn nests_within(&self, levels: usize) -> bool;

    /// Length of protobuf's form with its key, also if it is the default.
    fn variant_len(&self, tag: u32) -> usize;

    /// Appends protobuf's form with its key, also if it is the default.
    fn encode_variant(&self, tag: u32, out: &mut BytesMut);

    /// Reads protobuf's form; the key is read.
    ///
    /// # Errors
    /// Bytes that are no protobuf or do not fit.
    fn merge_variant(&mut self, wire: WireType, input: &mut Input<'_>) -> Result<(), DecodeError>;

    /// Offers it to a writer.
    fn write_variant(&self, writer: &mut dyn Writer, at: At);

    /// Reads it over itself.
    ///
    /// # Errors
    /// What the reader reports, values that do not fit, and what is past the limits.
    fn read_variant(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read;

    /// Its type as data.
    fn variant_shape() -> Shape;
}

impl<T: Inner> VariantValue for T {
    const HEAP: usize = T::OWN_HEAP;

    #[inline]
    fn empty() -> Self {
        T::own_absent()
    }

    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        levels != 0 && self.item_nests_within(levels - 1)
    }

    #[inline]
    fn variant_len(&self, tag: u32) -> usize {
        value_len(self, tag)
    }

    #[inline]
    fn encode_variant(&self, tag: u32, out: &mut BytesMut) {
        encode_value(self, tag, out);
    }

    #[inline]
    fn merge_variant(&mut self, wire: WireType, input: &mut Input<'_>) -> Result<(), DecodeError> {
        expect_wire(T::ITEM_WIRE, wire)?;
        self.merge_item_body(input)
    }

    #[inline]
    fn write_variant(&self, writer: &mut dyn Writer, at: At) {
        self.write_item(writer, at);
    }

    #[inline]
    fn read_variant(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        self.read_item(reader, limits)
    }

    fn variant_shape() -> Shape {
        Shape::Single(T::item_type())
    }
}

/// Length of a variant that holds fields of this length.
#[inline]
#[must_use]
pub fn nested_len(tag: u32, fields: usize) -> usize {
    key_len(tag) + encoded_len_varint(fields as u64) + fields
}

/// Appends key and length of a variant that holds fields of this length.
#[inline]
pub fn encode_head(tag: u32, fields: usize, out: &mut BytesMut) {
    put_key(tag, WireType::LengthDelimited, out);
    put_varint(fields as u64, out);
}
