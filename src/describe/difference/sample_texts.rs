//! Bytes and times that stand for all others, with their texts.

use crate::describe::types::TypeKind;

/// Bytes that are a text, that are none, and whose base64 is a number.
pub(super) const BYTES: [(&[u8], &str); 3] =
    [(b"abc", "YWJj"), (b"\xff\xfe", "//4="), (b"\xd7\x6d\xf8", "1234")];

/// A time as a text.
pub(super) fn time_text(kind: TypeKind) -> &'static str {
    if kind == TypeKind::Duration { "1.500s" } else { "2024-02-29T12:00:00Z" }
}
