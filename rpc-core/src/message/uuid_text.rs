//! `uuid::Uuid`: its usual text in every format, so that any language reads it and it may be the key
//! of a map. The one of zeros is the absent one.

use bytes::{BufMut, BytesMut};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::map::MapKey;
use super::problem::{Cut, Problem, Read};
use super::reader::{KeyMut, ReadScope, Reader};
use super::traits::{Element, Value};
use super::wire::{DecodeError, Input};
use super::writer::{At, KeyRef, Writer};
use crate::codec::Limits;
use crate::descriptor::Type;

fn parse(text: &str) -> Read<Uuid> {
    if text.is_empty() {
        return Ok(Uuid::nil());
    }
    Uuid::try_parse(text).map_err(|_| {
        Problem::new(format_args!(
            "a UUID such as \"67e55044-10b1-426f-9247-bb680e5fe0c8\" was expected, not \"{}\"",
            Cut(text)
        ))
    })
}

impl Value for Uuid {
    fn empty() -> Self {
        Self::nil()
    }

    fn is_default(&self) -> bool {
        self.is_nil()
    }

    fn body_len(&self) -> usize {
        Hyphenated::LENGTH
    }

    fn encode_body(&self, out: &mut BytesMut) {
        let mut buf = Self::encode_buffer();
        out.put_slice(self.hyphenated().encode_lower(&mut buf).as_bytes());
    }

    fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        let mut text = String::new();
        input.string(&mut text)?;
        *self = parse(&text)?;
        Ok(())
    }

    fn write_value(&self, writer: &mut dyn Writer, at: At) {
        writer.str(at, self.hyphenated().encode_lower(&mut Self::encode_buffer()));
    }

    fn read_value(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        let mut text = String::new();
        reader.string(&mut text)?;
        limits.take(text.len())?;
        *self = parse(&text)?;
        Ok(())
    }

    fn value_type() -> Type {
        Type::String
    }
}

impl Element for Uuid {}

impl MapKey for Uuid {
    fn offer_key(&self, writer: &mut dyn Writer) {
        writer.key(KeyRef::Str(self.hyphenated().encode_lower(&mut Self::encode_buffer())));
    }

    fn key_text(&self) -> String {
        self.to_string()
    }

    fn next_key(
        reader: &mut dyn Reader,
        scope: &mut ReadScope,
        limits: &mut Limits,
    ) -> Read<Option<Self>> {
        let mut text = String::new();
        if !reader.next_key(scope, KeyMut::Str(&mut text))? {
            return Ok(None);
        }
        limits.take(text.len())?;
        parse(&text).map(Some)
    }
}
