//! The first bytes of MessagePack's values.
//!
//! Source: the MessagePack specification. Small values are in the first byte itself: `00`–`7f` and
//! `e0`–`ff` are the numbers 0 to 127 and -32 to -1, and `FIX_MAP`, `FIX_ARRAY` and `FIX_STR` have
//! their length in the low bits. The others are followed by a length or a value, big-endian.

pub(super) const FIX_MAP: u8 = 0x80;
pub(super) const FIX_ARRAY: u8 = 0x90;
pub(super) const FIX_STR: u8 = 0xa0;
pub(super) const NIL: u8 = 0xc0;
pub(super) const NEVER_USED: u8 = 0xc1;
pub(super) const FALSE: u8 = 0xc2;
pub(super) const TRUE: u8 = 0xc3;
pub(super) const BIN8: u8 = 0xc4;
pub(super) const BIN16: u8 = 0xc5;
pub(super) const BIN32: u8 = 0xc6;
pub(super) const EXT8: u8 = 0xc7;
pub(super) const EXT16: u8 = 0xc8;
pub(super) const F32: u8 = 0xca;
pub(super) const F64: u8 = 0xcb;
pub(super) const U8: u8 = 0xcc;
pub(super) const U16: u8 = 0xcd;
pub(super) const U32: u8 = 0xce;
pub(super) const U64: u8 = 0xcf;
pub(super) const I8: u8 = 0xd0;
pub(super) const I16: u8 = 0xd1;
pub(super) const I32: u8 = 0xd2;
pub(super) const I64: u8 = 0xd3;
pub(super) const FIX_EXT1: u8 = 0xd4;
pub(super) const FIX_EXT2: u8 = 0xd5;
pub(super) const FIX_EXT4: u8 = 0xd6;
pub(super) const FIX_EXT8: u8 = 0xd7;
pub(super) const FIX_EXT16: u8 = 0xd8;
pub(super) const STR8: u8 = 0xd9;
pub(super) const STR16: u8 = 0xda;
pub(super) const STR32: u8 = 0xdb;
pub(super) const ARRAY16: u8 = 0xdc;
pub(super) const ARRAY32: u8 = 0xdd;
pub(super) const MAP16: u8 = 0xde;
pub(super) const MAP32: u8 = 0xdf;
