//! Enums with data: a message of one `oneof`, whose present variant is the only field.
//!
//! An absent variant reads as the enum's default, one of another version as the variant under
//! `#[rpc(other)]`. `null` for a variant says nothing, because some writers list every variant and
//! leave all but one `null`.

use super::wire::WireType;
use super::wire::{encoded_len_varint, key_len, put_key, put_varint};

/// Length of a variant that holds fields of this length.
#[inline]
#[must_use]
pub fn nested_len(tag: u32, fields: usize) -> usize {
    key_len(tag) + encoded_len_varint(fields as u64) + fields
}

/// Appends key and length of a variant that holds fields of this length.
#[inline]
pub fn encode_head(tag: u32, fields: usize, out: &mut bytes::BytesMut) {
    put_key(tag, WireType::LengthDelimited, out);
    put_varint(fields as u64, out);
}
