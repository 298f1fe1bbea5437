//! Protobuf's wire primitives: the one file that touches prost's hidden `encoding` module.
//!
//! Depth and memory are counted here; prost's own limit of depth is fixed at another number. Field rules (what
//! is written when, packing, presence) are left to the types.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
pub use prost::encoding::WireType;
pub(super) use prost::encoding::{encoded_len_varint, key_len};

use super::problem::Problem;
use super::traits::Field;
use crate::codec::{Exceeded, Limits, MAX_DEPTH};

/// Why bytes are not the protobuf form of a message, and where in it.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Problem);

impl DecodeError {
    /// An error that says what was wrong.
    #[cold]
    #[must_use]
    pub fn new(message: impl fmt::Display) -> Self {
        Self(Problem::new(message))
    }

    /// The same error, in the field of this name.
    #[cold]
    #[must_use]
    pub fn in_field(self, name: &'static str) -> Self {
        Self(self.0.in_field(name))
    }

    /// The same error, in the message of this name.
    #[cold]
    pub(super) fn in_message(self, name: &'static str) -> Self {
        Self(self.0.in_message(name))
    }

    /// The same error, in the element at this index.
    #[cold]
    #[must_use]
    pub fn at_index(self, index: usize) -> Self {
        Self(self.0.at_index(index))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({})", self.0)
    }
}

impl std::error::Error for DecodeError {}

impl From<Problem> for DecodeError {
    #[cold]
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<prost::DecodeError> for DecodeError {
    #[cold]
    fn from(error: prost::DecodeError) -> Self {
        let text = error.to_string();
        Self::new(text.strip_prefix("failed to decode Protobuf message: ").unwrap_or(&text))
    }
}

impl From<Exceeded> for DecodeError {
    #[cold]
    fn from(exceeded: Exceeded) -> Self {
        Self::new(exceeded)
    }
}

/// Bytes being read, and what reading them may still cost.
#[derive(Debug)]
pub struct Input<'a> {
    bytes: Bytes,
    limits: &'a mut Limits,
}

impl<'a> Input<'a> {
    /// The bytes of one whole message.
    #[must_use]
    pub const fn new(bytes: Bytes, limits: &'a mut Limits) -> Self {
        Self { bytes, limits }
    }

    /// Pays for `bytes` of memory.
    ///
    /// # Errors
    /// So much is not left.
    #[inline]
    pub fn take(&mut self, bytes: usize) -> Result<(), DecodeError> {
        Ok(self.limits.take(bytes)?)
    }

    /// Pays for what the default of a `T` holds outside of itself.
    ///
    /// # Errors
    /// So much is not left.
    #[inline]
    pub(super) fn make<T: Field>(&mut self) -> Result<(), DecodeError> {
        self.take(T::DEFAULT_HEAP)
    }

    /// Makes room for one more value, and pays for it.
    #[inline]
    pub(super) fn room<T: Field>(&mut self, list: &mut Vec<T>) -> Result<(), DecodeError> {
        self.make::<T>()?;
        // Each takes a byte at least.
        Ok(self.limits.room(list, || self.bytes.remaining())?)
    }

    /// Reads the fields of a whole message, handing each key to `field`.
    #[inline]
    pub(super) fn whole(
        &mut self,
        mut field: impl FnMut(&mut Self, u32, WireType) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.enter()?;
        while self.bytes.has_remaining() {
            let (tag, wire) = self.key()?;
            field(self, tag, wire)?;
        }
        Ok(())
    }

    /// Reads a length and the key and value of a map's entry within it.
    #[inline]
    pub(super) fn entry(
        &mut self,
        mut field: impl FnMut(&mut Self, u32, WireType) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.delimited(|input| {
            let (tag, wire) = input.key()?;
            field(input, tag, wire)
        })
    }

    /// Reads a length and the fields of the message within it, one level deeper.
    #[inline]
    pub(super) fn message(
        &mut self,
        field: impl FnMut(&mut Self, u32, WireType) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.enter()?;
        self.entry(field)?;
        self.limits.leave();
        Ok(())
    }

    /// Reads a length and calls `item` until as many bytes are gone.
    #[inline]
    pub(super) fn delimited(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let length = self.length()?;
        let end = self.bytes.remaining() - length;
        while self.bytes.remaining() > end {
            item(self)?;
        }
        if self.bytes.remaining() < end {
            return Err(DecodeError::new("a value reaches past the end of its field"));
        }
        Ok(())
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        // Lengths and numbers of one byte are what most bodies are made of.
        if let Some(&byte) = self.bytes.first()
            && byte < 0x80
        {
            self.bytes.advance(1);
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        // Nearly all end within eight bytes, which are looked at together.
        if let Some(&word) = self.bytes.first_chunk() {
            let word = u64::from_le_bytes(word);
            let ends = !word & VARINT_GOES_ON;
            if ends != 0 {
                // The lowest of these bits is the highest one of the last byte.
                let length = ends.trailing_zeros() / 8 + 1;
                self.bytes.advance(length as usize);
                return Ok(join_sevens(word & (u64::MAX >> (64 - 8 * length))));
            }
        }
        self.longest_varint()
    }

    /// One that is cut short, or has more than eight bytes; apart, so that the others keep no stack.
    #[cold]
    #[inline(never)]
    fn longest_varint(&mut self) -> Result<u64, DecodeError> {
        Ok(prost::encoding::decode_varint(&mut self.bytes)?)
    }

    /// Reads the tag of a field and how its value is written.
    #[inline]
    fn key(&mut self) -> Result<(u32, WireType), DecodeError> {
        // A tag below 16 has one byte; 0 is none.
        if let Some(&byte @ 0x08..0x80) = self.bytes.first()
            && let Some(wire) = WIRES[usize::from(byte & 7)]
        {
            self.bytes.advance(1);
            return Ok((u32::from(byte >> 3), wire));
        }
        self.long_key()
    }

    #[inline(never)]
    fn long_key(&mut self) -> Result<(u32, WireType), DecodeError> {
        Ok(prost::encoding::decode_key(&mut self.bytes)?)
    }

    #[inline]
    pub(super) fn fixed32(&mut self) -> Result<[u8; 4], DecodeError> {
        self.array()
    }

    #[inline]
    pub(super) fn fixed64(&mut self) -> Result<[u8; 8], DecodeError> {
        self.array()
    }

    #[inline]
    pub(super) fn string(&mut self, value: &mut String) -> Result<(), DecodeError> {
        let length = self.length()?;
        self.take(length)?;
        let text = std::str::from_utf8(&self.bytes[..length])
            .map_err(|_| DecodeError::new("invalid string value: data is not UTF-8 encoded"))?;
        // Of its exact size at once, instead of grown to it.
        *value = text.to_owned();
        self.bytes.advance(length);
        Ok(())
    }

    /// Bytes, as a slice of the body.
    #[inline]
    pub(super) fn bytes(&mut self, value: &mut Bytes) -> Result<(), DecodeError> {
        let length = self.length()?;
        if length < self.bytes.len() {
            *value = self.bytes.split_to(length);
            return Ok(());
        }
        // All that is left of the body: they change places, which costs neither a count nor a drop.
        std::mem::swap(value, &mut self.bytes);
        if !self.bytes.is_empty() {
            self.bytes = Bytes::new();
        }
        Ok(())
    }

    #[inline]
    pub(super) fn byte_vec(&mut self, value: &mut Vec<u8>) -> Result<(), DecodeError> {
        let length = self.length()?;
        self.take(length)?;
        *value = self.bytes[..length].to_vec();
        self.bytes.advance(length);
        Ok(())
    }

    /// Passes over the value of an unknown field.
    ///
    /// # Errors
    /// A value that is cut short, malformed or nested too deep.
    pub fn skip(&mut self, tag: u32, wire: WireType) -> Result<(), DecodeError> {
        let length = match wire {
            WireType::Varint => return self.varint().map(|_| ()),
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::LengthDelimited => self.length()?,
            WireType::StartGroup => return self.skip_group(tag),
            WireType::EndGroup => return Err(DecodeError::new("a group ends that never began")),
        };
        if length > self.bytes.remaining() {
            return Err(cut_short());
        }
        self.bytes.advance(length);
        Ok(())
    }

    fn skip_group(&mut self, group: u32) -> Result<(), DecodeError> {
        self.enter()?;
        loop {
            let (tag, wire) = self.key()?;
            match wire {
                WireType::EndGroup if tag == group => break,
                _ => self.skip(tag, wire)?,
            }
        }
        self.limits.leave();
        Ok(())
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let array = *self.bytes.first_chunk().ok_or_else(cut_short)?;
        self.bytes.advance(N);
        Ok(array)
    }

    #[inline]
    fn length(&mut self) -> Result<usize, DecodeError> {
        match usize::try_from(self.varint()?) {
            Ok(length) if length <= self.bytes.remaining() => Ok(length),
            _ => Err(cut_short()),
        }
    }

    #[inline]
    fn enter(&mut self) -> Result<(), DecodeError> {
        if self.limits.enter() { Ok(()) } else { Err(DecodeError::new(TooDeep)) }
    }
}

/// The wire types whose keys are read at once, by the lowest three bits of the key.
const WIRES: [Option<WireType>; 8] = [
    Some(WireType::Varint),
    Some(WireType::SixtyFourBit),
    Some(WireType::LengthDelimited),
    None,
    None,
    Some(WireType::ThirtyTwoBit),
    None,
    None,
];

/// The bit of each byte of a varint that says whether another one follows.
const VARINT_GOES_ON: u64 = 0x8080_8080_8080_8080;

/// The number of a varint in up to eight bytes: joins the lower seven bits of each, pairs first,
/// then pairs of pairs.
#[inline]
const fn join_sevens(word: u64) -> u64 {
    let sevens = word & !VARINT_GOES_ON;
    let pairs = sevens & 0x007f_007f_007f_007f | (sevens & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4
}

/// A value in which messages are nested deeper than [`MAX_DEPTH`]: no codec reads or writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooDeep;

impl fmt::Display for TooDeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "messages are nested deeper than the limit of {MAX_DEPTH}")
    }
}

impl std::error::Error for TooDeep {}

#[cold]
fn cut_short() -> DecodeError {
    DecodeError::new("the bytes end inside a value")
}

/// A field's value has another wire type than its declaration.
#[inline]
pub(super) fn expect_wire(expected: WireType, actual: WireType) -> Result<(), DecodeError> {
    if expected == actual { Ok(()) } else { Err(other_wire(expected, actual)) }
}

#[cold]
fn other_wire(expected: WireType, actual: WireType) -> DecodeError {
    let problem = Problem::other_version(format_args!(
        "{} was expected, not {}",
        wire_name(expected),
        wire_name(actual)
    ));
    problem.into()
}

/// A wire type in protobuf's words.
const fn wire_name(wire: WireType) -> &'static str {
    match wire {
        WireType::Varint => "a varint",
        WireType::SixtyFourBit => "a value of 64 bits",
        WireType::LengthDelimited => "a value with a length",
        WireType::StartGroup | WireType::EndGroup => "a group",
        WireType::ThirtyTwoBit => "a value of 32 bits",
    }
}

#[inline]
pub(super) fn put_key(tag: u32, wire: WireType, out: &mut BytesMut) {
    put_varint(u64::from(tag << 3 | wire as u32), out);
}

#[inline]
pub(super) fn put_varint(value: u64, out: &mut BytesMut) {
    if value < 0x80 {
        // The usual length, tag or small number.
        out.put_u8(value as u8);
    } else {
        prost::encoding::encode_varint(value, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_length_are_read_as_prost_writes_them() {
        for bits in 0..=64_u32 {
            let most = u64::MAX.checked_shr(64 - bits).unwrap_or(0);
            for value in [most, most / 3, most.wrapping_sub(1), most & 0xaaaa_5555_aaaa_5555] {
                for follows in [&b""[..], b"\x00", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
                    let mut bytes = BytesMut::new();
                    prost::encoding::encode_varint(value, &mut bytes);
                    bytes.extend_from_slice(follows);
                    let mut limits = Limits::default();
                    let mut input = Input::new(bytes.freeze(), &mut limits);
                    assert_eq!(input.varint().unwrap(), value);
                    assert_eq!(&input.bytes[..], follows, "{value}");
                }
            }
        }
    }

    #[test]
    fn a_varint_that_has_no_end_or_more_than_64_bits_is_an_error() {
        for bytes in [
            &b""[..],
            b"\x80",
            b"\xff\xff\xff",
            b"\xff\xff\xff\xff\xff\xff\xff",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            let mut limits = Limits::default();
            let mut input = Input::new(Bytes::copy_from_slice(bytes), &mut limits);
            assert!(input.varint().is_err(), "{bytes:?}");
        }
        // Longer than needed, as some writers have it: still the number.
        let mut limits = Limits::default();
        let mut input = Input::new(Bytes::from_static(b"\x81\x80\x80\x00"), &mut limits);
        assert_eq!(input.varint().unwrap(), 1);
    }

    #[test]
    fn bytes_are_slices_of_the_body_wherever_they_stand_and_the_last_ones_count() {
        let body = Bytes::from_static(b"\x03one\x00\x03two");
        let (mut limits, mut value) = (Limits::new(0), Bytes::from_static(b"before"));
        let mut input = Input::new(body.clone(), &mut limits);
        for (expected, left) in [(&b"one"[..], 5), (b"", 4), (b"two", 0)] {
            input.bytes(&mut value).unwrap();
            assert_eq!((&value[..], input.bytes.len()), (expected, left));
        }
        assert_eq!(value.as_ptr(), body[6..].as_ptr(), "nothing is copied");
        assert!(input.bytes(&mut value).is_err(), "nothing is left");
        assert_eq!(value, "two");
        // What they change places with at the end is not read as what follows.
        let mut input = Input::new(Bytes::from_static(b"\x00"), &mut limits);
        input.bytes(&mut value).unwrap();
        assert!(value.is_empty() && input.bytes.is_empty());
    }
}
