//! Single values that are no messages: numbers, `bool`, strings, bytes.
//!
//! Serde's form follows protobuf's JSON mapping where the format is for people: 64-bit integers
//! are written as strings and read as either, bytes are base64, NaN and infinities are strings.
//! Other formats get the native kind. `null` reads as the default.

use std::fmt::Display;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserializer, Serialize, Serializer};

use super::number;
use super::read::{BytesVisitor, Primitive, PrimitiveVisitor, StringVisitor};
use super::traits::{Element, Value};
use super::wire::{DecodeError, Input, WireType, encoded_len_varint, put_varint};
use crate::codec::Limits;
use crate::descriptor::Type;

/// The serde half of a number's [`Value`], read by [`PrimitiveVisitor`].
macro_rules! serde_form {
    ($kind:ident, $write:path) => {
        fn serialize_value<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            $write(self, serializer)
        }

        fn merge_value<'de, D: Deserializer<'de>>(
            &mut self,
            from: D,
            _: &mut Limits,
        ) -> Result<(), D::Error> {
            from.deserialize_any(PrimitiveVisitor(self))
        }

        fn value_type() -> Type {
            Type::$kind
        }
    };
}

/// Integers: a varint of the value, sign-extended to 64 bits.
macro_rules! integers {
    ($($ty:ident through $wide:ident is $kind:ident, $write:path;)*) => {$(
        impl Value for $ty {
            const WIRE: WireType = WireType::Varint;

            #[inline]
            fn is_default(&self) -> bool {
                *self == 0
            }

            #[inline]
            fn body_len(&self) -> usize {
                encoded_len_varint($wide::from(*self) as u64)
            }

            #[inline]
            fn encode_body(&self, out: &mut BytesMut) {
                put_varint($wide::from(*self) as u64, out);
            }

            #[inline]
            fn merge_body(&mut self, input: &mut Input) -> Result<(), DecodeError> {
                // Protobuf cuts a longer varint to the declared width, and has none below 32 bits.
                let wide = input.varint()? as $wide;
                *self = Self::try_from(wide).map_err(|_| does_not_fit(wide, stringify!($ty)))?;
                Ok(())
            }

            serde_form!($kind, $write);
        }

        impl Primitive for $ty {
            const EXPECTED: &'static str = concat!("a number that fits in ", stringify!($ty));

            fn from_u64(value: u64) -> Option<Self> {
                value.try_into().ok()
            }

            fn from_i64(value: i64) -> Option<Self> {
                value.try_into().ok()
            }

            fn from_f64(value: f64) -> Option<Self> {
                // From 2^53 on a float no longer says which integer was meant.
                let exact = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
                exact.then_some(value as i64)?.try_into().ok()
            }

            fn from_text(text: &str) -> Option<Self> {
                number::integer(text)?.try_into().ok()
            }
        }
    )*};
}

integers! {
    i8 through i32 is Int8, Serialize::serialize;
    i16 through i32 is Int16, Serialize::serialize;
    i32 through i32 is Int32, Serialize::serialize;
    i64 through i64 is Int64, serialize_wide;
    u8 through u32 is Uint8, Serialize::serialize;
    u16 through u32 is Uint16, Serialize::serialize;
    u32 through u32 is Uint32, Serialize::serialize;
    u64 through u64 is Uint64, serialize_wide;
}

#[cold]
fn does_not_fit(value: impl Display, name: &str) -> DecodeError {
    DecodeError::new(format_args!("{value} does not fit in {name}"))
}

/// 64-bit integers: JavaScript would round them as numbers.
fn serialize_wide<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + Display,
    S: Serializer,
{
    if serializer.is_human_readable() {
        serializer.collect_str(value)
    } else {
        value.serialize(serializer)
    }
}

/// Floats: fixed width, little endian.
macro_rules! floats {
    ($($ty:ident is $kind:ident as $wire:ident, $fixed:ident;)*) => {$(
        impl Value for $ty {
            const WIRE: WireType = WireType::$wire;

            #[inline]
            fn is_default(&self) -> bool {
                // Minus zero is not the default.
                self.to_bits() == 0
            }

            #[inline]
            fn body_len(&self) -> usize {
                size_of::<Self>()
            }

            #[inline]
            fn encode_body(&self, out: &mut BytesMut) {
                out.put_slice(&self.to_le_bytes());
            }

            #[inline]
            fn merge_body(&mut self, input: &mut Input) -> Result<(), DecodeError> {
                *self = Self::from_le_bytes(input.$fixed()?);
                Ok(())
            }

            serde_form!($kind, serialize_float);
        }

        impl Primitive for $ty {
            const EXPECTED: &'static str = concat!("a number that fits in ", stringify!($ty));

            fn from_u64(value: u64) -> Option<Self> {
                Some(value as Self)
            }

            fn from_i64(value: i64) -> Option<Self> {
                Some(value as Self)
            }

            fn from_f64(value: f64) -> Option<Self> {
                let narrow = value as Self;
                (narrow.is_finite() || !value.is_finite()).then_some(narrow)
            }

            fn from_text(text: &str) -> Option<Self> {
                match text {
                    "NaN" => Some(Self::NAN),
                    "Infinity" => Some(Self::INFINITY),
                    "-Infinity" => Some(Self::NEG_INFINITY),
                    _ if !number::is_number(text) => None,
                    _ => text.parse().ok().filter(|value: &Self| value.is_finite()),
                }
            }
        }
    )*};
}

floats! {
    f32 is Float as ThirtyTwoBit, fixed32;
    f64 is Double as SixtyFourBit, fixed64;
}

/// JSON has no word for what is no number.
fn serialize_float<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + Into<f64> + Copy,
    S: Serializer,
{
    let wide: f64 = (*value).into();
    if wide.is_finite() || !serializer.is_human_readable() {
        value.serialize(serializer)
    } else if wide.is_nan() {
        serializer.serialize_str("NaN")
    } else if wide > 0.0 {
        serializer.serialize_str("Infinity")
    } else {
        serializer.serialize_str("-Infinity")
    }
}

// === impl bool ===

impl Value for bool {
    const WIRE: WireType = WireType::Varint;

    #[inline]
    fn is_default(&self) -> bool {
        !*self
    }

    #[inline]
    fn body_len(&self) -> usize {
        1
    }

    #[inline]
    fn encode_body(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(*self));
    }

    #[inline]
    fn merge_body(&mut self, input: &mut Input) -> Result<(), DecodeError> {
        *self = input.varint()? != 0;
        Ok(())
    }

    serde_form!(Bool, Serialize::serialize);
}

impl Primitive for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }

    /// Keys of maps are strings in JSON.
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

// === impl String ===

impl Value for String {
    #[inline]
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    #[inline]
    fn body_len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn encode_body(&self, out: &mut BytesMut) {
        out.put_slice(self.as_bytes());
    }

    #[inline]
    fn merge_body(&mut self, input: &mut Input) -> Result<(), DecodeError> {
        input.string(self)
    }

    fn serialize_value<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }

    fn merge_value<'de, D: Deserializer<'de>>(
        &mut self,
        from: D,
        limits: &mut Limits,
    ) -> Result<(), D::Error> {
        from.deserialize_any(StringVisitor { value: self, limits })
    }

    fn value_type() -> Type {
        Type::String
    }
}

// === impl bytes ===

/// Writes the standard alphabet, padded.
const BASE64: GeneralPurpose = base64::engine::general_purpose::STANDARD;

/// Reads both alphabets, padded or not; the URL-safe characters are replaced before.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes of base64 text in either alphabet.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    if text.contains(['-', '_']) {
        let standard = text.replace('-', "+").replace('_', "/");
        return LENIENT.decode(standard).ok();
    }
    LENIENT.decode(text).ok()
}

macro_rules! bytes {
    ($($ty:ty, copied: $is_copy:literal;)*) => {$(
        impl Value for $ty {
            #[inline]
            fn is_default(&self) -> bool {
                self.is_empty()
            }

            #[inline]
            fn body_len(&self) -> usize {
                self.len()
            }

            #[inline]
            fn encode_body(&self, out: &mut BytesMut) {
                out.put_slice(self);
            }

            #[inline]
            fn merge_body(&mut self, input: &mut Input) -> Result<(), DecodeError> {
                input.bytes(self)?;
                // A slice of the body takes nothing.
                if $is_copy { input.take(self.len()) } else { Ok(()) }
            }

            fn serialize_value<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.serialize_str(&BASE64.encode(self))
                } else {
                    serializer.serialize_bytes(self)
                }
            }

            fn merge_value<'de, D: Deserializer<'de>>(
                &mut self,
                from: D,
                limits: &mut Limits,
            ) -> Result<(), D::Error> {
                let is_text = from.is_human_readable();
                from.deserialize_any(BytesVisitor { is_text, value: self, limits })
            }

            fn value_type() -> Type {
                Type::Bytes
            }
        }
    )*};
}

bytes! {
    Vec<u8>, copied: true;
    Bytes, copied: false;
}

macro_rules! elements {
    ($($ty:ty),*) => {$(impl Element for $ty {})*};
}

// Not `u8`: a `Vec` of it is bytes.
elements!(bool, i8, i16, i32, i64, u16, u32, u64, f32, f64, String, Vec<u8>, Bytes);
