//! Single values that are no messages: numbers, `bool`, strings, bytes.
//!
//! Numbers cross the seam to readers in 64 bits and are narrowed here, so that what does not fit
//! is the same in every format. `null` reads as the default.

use std::fmt::Display;

use bytes::{BufMut, Bytes, BytesMut};

use super::container::read_numbers;
use super::problem::{Problem, Read};
use super::reader::Reader;
use super::traits::{Element, Value};
use super::wire::{DecodeError, Input, WireType, encoded_len_varint, put_varint};
use super::writer::{At, Writer};
use crate::codec::Limits;
use crate::descriptor::Type;

/// The half of a number's [`Value`] that writers and readers see. It crosses the seam to readers
/// as `$wide`; `$written` is the method of writers and its type, `$list` that for whole lists.
macro_rules! number {
    ($kind:ident, $write:ident as $written:ty, $read:ident $(, $list:ident)?; $reads:ident) => {
        #[inline]
        fn write_value(&self, writer: &mut dyn Writer, at: At) {
            writer.$write(at, <$written>::from(*self));
        }

        #[inline]
        fn read_value(&mut self, reader: &mut dyn Reader, _: &mut Limits) -> Read {
            *self = Self::narrow(reader.$read()?)?;
            Ok(())
        }

        $(fn write_list(list: &[Self], writer: &mut dyn Writer, at: At) {
            writer.$list(at, list);
        })?

        fn read_list(list: &mut Vec<Self>, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
            let read = |reader: &mut dyn Reader, scope: &mut _, into: &mut [_]| {
                reader.$reads(scope, into)
            };
            read_numbers(list, reader, limits, read, Self::narrow)
        }

        fn value_type() -> Type {
            Type::$kind
        }
    };
}

/// A number, made of one of 64 bits.
trait Narrow<W>: Sized {
    fn narrow(wide: W) -> Read<Self>;
}

/// Integers: a varint of the value, sign-extended to 64 bits.
macro_rules! integers {
    ($($ty:ident through $wide:ident is $kind:ident, $write:ident, $read:ident, $reads:ident
        $(, $list:ident)?;)*) => {$(
        impl Value for $ty {
            const WIRE: WireType = WireType::Varint;

            #[inline]
            fn empty() -> Self {
                0
            }

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
            fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
                // Protobuf cuts a longer varint to the declared width, and has none below 32 bits.
                let wide = input.varint()? as $wide;
                *self = Self::try_from(wide).map_err(|_| does_not_fit(wide, stringify!($ty)))?;
                Ok(())
            }

            number!($kind, $write as $wide, $read $(, $list)?; $reads);
        }

        impl Narrow<$read> for $ty {
            #[inline]
            fn narrow(wide: $read) -> Read<Self> {
                Self::try_from(wide).map_err(|_| Problem::does_not_fit(wide, stringify!($ty)))
            }
        }
    )*};
}

integers! {
    i8 through i32 is Int8, i32, i64, i64s;
    i16 through i32 is Int16, i32, i64, i64s;
    i32 through i32 is Int32, i32, i64, i64s, i32s;
    i64 through i64 is Int64, i64, i64, i64s, i64s;
    u8 through u32 is Uint8, u32, u64, u64s;
    u16 through u32 is Uint16, u32, u64, u64s;
    u32 through u32 is Uint32, u32, u64, u64s, u32s;
    u64 through u64 is Uint64, u64, u64, u64s, u64s;
}

#[cold]
fn does_not_fit(value: impl Display, name: &str) -> DecodeError {
    DecodeError::new(format_args!("{value} does not fit in {name}"))
}

/// Floats: fixed width, little endian.
macro_rules! floats {
    ($($ty:ident is $kind:ident as $wire:ident, $fixed:ident, $list:ident;)*) => {$(
        impl Value for $ty {
            const WIRE: WireType = WireType::$wire;

            #[inline]
            fn empty() -> Self {
                0.0
            }

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
            fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
                *self = Self::from_le_bytes(input.$fixed()?);
                Ok(())
            }

            number!($kind, $ty as $ty, f64, $list; f64s);
        }
    )*};
}

floats! {
    f32 is Float as ThirtyTwoBit, fixed32, f32s;
    f64 is Double as SixtyFourBit, fixed64, f64s;
}

impl Narrow<f64> for f32 {
    #[inline]
    fn narrow(wide: f64) -> Read<Self> {
        let narrow = wide as Self;
        if narrow.is_finite() || !wide.is_finite() {
            Ok(narrow)
        } else {
            Err(Problem::does_not_fit(wide, "f32"))
        }
    }
}

impl Narrow<Self> for f64 {
    #[inline]
    fn narrow(wide: Self) -> Read<Self> {
        Ok(wide)
    }
}

// === impl bool ===

impl Value for bool {
    const WIRE: WireType = WireType::Varint;

    #[inline]
    fn empty() -> Self {
        false
    }

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
    fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        *self = input.varint()? != 0;
        Ok(())
    }

    #[inline]
    fn write_value(&self, writer: &mut dyn Writer, at: At) {
        writer.bool(at, *self);
    }

    #[inline]
    fn read_value(&mut self, reader: &mut dyn Reader, _: &mut Limits) -> Read {
        *self = reader.bool()?;
        Ok(())
    }

    fn value_type() -> Type {
        Type::Bool
    }
}

// === impl String ===

impl Value for String {
    #[inline]
    fn empty() -> Self {
        Self::new()
    }

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
    fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        input.string(self)
    }

    #[inline]
    fn write_value(&self, writer: &mut dyn Writer, at: At) {
        writer.str(at, self);
    }

    #[inline]
    fn read_value(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        reader.string(self)?;
        Ok(limits.take(self.len())?)
    }

    fn value_type() -> Type {
        Type::String
    }
}

// === impl bytes ===

macro_rules! bytes {
    ($($ty:ty, $write:ident, $read:ident, $merge:ident;)*) => {$(
        impl Value for $ty {
            #[inline]
            fn empty() -> Self {
                Self::new()
            }

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
            fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
                input.$merge(self)
            }

            #[inline]
            fn write_value(&self, writer: &mut dyn Writer, at: At) {
                writer.$write(at, self);
            }

            fn read_value(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
                let copied = reader.$read(self)?;
                Ok(limits.take(copied)?)
            }

            fn value_type() -> Type {
                Type::Bytes
            }
        }
    )*};
}

bytes! {
    Vec<u8>, bytes, byte_vec, byte_vec;
    // A slice of the body takes nothing.
    Bytes, shared, bytes, bytes;
}

macro_rules! elements {
    ($($ty:ty),*) => {$(impl Element for $ty {})*};
}

// Not `u8`: a `Vec` of it is bytes.
elements!(bool, i8, i16, i32, i64, u16, u32, u64, f32, f64, String, Vec<u8>, Bytes);
