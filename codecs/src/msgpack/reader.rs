//! MessagePack as a [`Reader`].
//!
//! A record is read from a map by name or from an array by position. Numbers are read across their
//! types where the value is the same; a text is never read as bytes, nor the other way round.

use bytes::Bytes;
use rpc_core::message::{
    EnumSchema, KeyMut, Problem, Read, ReadScope, Reader, RecordSchema, ValueKind, Variant,
    json_mapping, set_string,
};

use super::cursor::{MsgpackCursor, Token, kind_of};
use super::marker;

/// What [`ReadScope::aux`] says of a record.
mod open {
    /// Names and values.
    pub(super) const MAP: u64 = 0;
    /// Values by position.
    pub(super) const ARRAY: u64 = 1;
}

impl Reader for MsgpackCursor<'_> {
    fn is_text(&self) -> bool {
        false
    }

    fn kind(&mut self) -> Read<ValueKind> {
        let before = self.rest;
        let value = self.value()?;
        self.rest = before;
        Ok(kind_of(value))
    }

    fn null(&mut self) -> Read<bool> {
        match self.rest.split_first() {
            Some((&marker::NIL, rest)) => {
                self.rest = rest;
                Ok(true)
            }
            Some(_) => Ok(false),
            None => Err(self.cut_short()),
        }
    }

    fn skip(&mut self, levels: usize) -> Read {
        self.pass(levels, false)
    }

    fn bool(&mut self) -> Read<bool> {
        match self.value()? {
            Token::Bool(value) => Ok(value),
            Token::Null => Ok(false),
            other => Err(self.unexpected("true or false", other)),
        }
    }

    fn i64(&mut self) -> Read<i64> {
        let before = self.rest;
        match self.unsigned().map(i64::try_from) {
            Some(Ok(value)) => return Ok(value),
            _ => self.rest = before,
        }
        match self.value()? {
            Token::Int(value) => Ok(value),
            Token::Uint(value) if value <= i64::MAX as u64 => Ok(value as i64),
            other => {
                let value = self.other_integer(other)?;
                value.try_into().map_err(|_| Problem::does_not_fit(value, "i64"))
            }
        }
    }

    fn u64(&mut self) -> Read<u64> {
        if let Some(value) = self.unsigned() {
            return Ok(value);
        }
        match self.value()? {
            Token::Uint(value) => Ok(value),
            other => {
                let value = self.other_integer(other)?;
                value.try_into().map_err(|_| Problem::does_not_fit(value, "u64"))
            }
        }
    }

    fn f64(&mut self) -> Read<f64> {
        match self.value()? {
            Token::F64(value) => Ok(value),
            Token::F32(value) => Ok(value.into()),
            Token::Int(value) => Ok(value as f64),
            Token::Uint(value) => Ok(value as f64),
            Token::Null => Ok(0.0),
            other => {
                let number = match other {
                    Token::Text(text) => {
                        std::str::from_utf8(text).ok().and_then(json_mapping::float)
                    }
                    _ => None,
                };
                number.ok_or_else(|| self.unexpected("a number", other))
            }
        }
    }

    fn string(&mut self, into: &mut String) -> Read {
        match self.value()? {
            Token::Text(text) => set_string(into, self.utf8(text)?),
            Token::Null => into.clear(),
            other => return Err(self.unexpected("a text", other)),
        }
        Ok(())
    }

    fn bytes(&mut self, into: &mut Bytes) -> Read<usize> {
        *into = match self.value()? {
            Token::Bytes(bytes) => self.body.slice_ref(bytes),
            Token::Null => Bytes::new(),
            other => return Err(self.unexpected("bytes", other)),
        };
        Ok(0)
    }

    fn byte_vec(&mut self, into: &mut Vec<u8>) -> Read<usize> {
        into.clear();
        match self.value()? {
            Token::Bytes(bytes) => into.extend_from_slice(bytes),
            Token::Null => {}
            other => return Err(self.unexpected("bytes", other)),
        }
        Ok(into.len())
    }

    fn variant(&mut self, of: &'static EnumSchema) -> Read<Variant> {
        let value = self.value()?;
        if let Token::Text(text) = value {
            let text = self.utf8(text)?;
            return Ok(match of.number_of(text) {
                Some(number) => Variant::Number(number.into()),
                None => Variant::Unknown(text.to_owned()),
            });
        }
        let number = self.other_integer(value)?;
        // One that no number here holds is unknown by its digits.
        Ok(number.try_into().map_or_else(|_| Variant::Unknown(number.to_string()), Variant::Number))
    }

    fn begin_record(&mut self, record: &'static RecordSchema, scope: &mut ReadScope) -> Read {
        let is_positional = record.is_positional(false);
        let (aux, left) = match self.value()? {
            Token::Map(len) => (open::MAP, len),
            Token::Array(len) if is_positional => (open::ARRAY, len),
            Token::Null => (open::MAP, 0),
            other => {
                let or_array = if is_positional { " or array" } else { "" };
                let name = record.name;
                let what = format_args!("a map{or_array} with the fields of {name}").to_string();
                return Err(self.unexpected(what, other));
            }
        };
        (scope.aux, scope.left) = (aux, left as u64);
        Ok(())
    }

    fn next_field(
        &mut self,
        record: &'static RecordSchema,
        scope: &mut ReadScope,
    ) -> Read<Option<usize>> {
        while scope.left != 0 {
            scope.left -= 1;
            let found = if scope.aux == open::ARRAY {
                scope.position(record)
            } else {
                match self.field_name()? {
                    Some(name) => scope.field(record, name)?,
                    None => None,
                }
            };
            if found.is_some() {
                return Ok(found);
            }
            self.skip(scope.levels())?;
        }
        Ok(None)
    }

    fn begin_list(&mut self, scope: &mut ReadScope) -> Read {
        let len = match self.value()? {
            Token::Array(len) => len,
            Token::Null => 0,
            other => return Err(self.unexpected("an array", other)),
        };
        (scope.left, scope.hint) = (len as u64, self.hint(len, 1));
        Ok(())
    }

    fn next_item(&mut self, scope: &mut ReadScope) -> Read<bool> {
        let comes = scope.left != 0;
        scope.left = scope.left.saturating_sub(1);
        if comes {
            self.refuse_null(scope)?;
        }
        Ok(comes)
    }

    fn begin_map(&mut self, scope: &mut ReadScope) -> Read {
        let len = match self.value()? {
            Token::Map(len) => len,
            Token::Null => 0,
            other => return Err(self.unexpected("a map", other)),
        };
        (scope.left, scope.hint) = (len as u64, self.hint(len, 2));
        Ok(())
    }

    fn next_key(&mut self, scope: &mut ReadScope, key: KeyMut<'_>) -> Read<bool> {
        if scope.left == 0 {
            return Ok(false);
        }
        scope.left -= 1;
        self.refuse_null(&ReadScope::default())?;
        match key {
            KeyMut::Int(key) => *key = self.i64()?,
            KeyMut::Uint(key) => *key = self.u64()?,
            KeyMut::Str(key) => self.string(key)?,
            KeyMut::Bool(key) => match self.value()? {
                Token::Bool(value) => *key = value,
                Token::Text(b"true") => *key = true,
                Token::Text(b"false") => *key = false,
                other => return Err(self.unexpected("true or false", other)),
            },
        }
        self.refuse_null(scope)?;
        Ok(true)
    }

    fn i64s(&mut self, scope: &mut ReadScope, into: &mut [i64]) -> Read<usize> {
        let count = into.len().min(usize::try_from(scope.left).unwrap_or(usize::MAX));
        for value in into.iter_mut().take(count) {
            self.refuse_null(scope)?;
            *value = self.i64()?;
        }
        scope.left -= count as u64;
        Ok(count)
    }

    fn u64s(&mut self, scope: &mut ReadScope, into: &mut [u64]) -> Read<usize> {
        let count = into.len().min(usize::try_from(scope.left).unwrap_or(usize::MAX));
        for value in into.iter_mut().take(count) {
            self.refuse_null(scope)?;
            *value = self.u64()?;
        }
        scope.left -= count as u64;
        Ok(count)
    }

    fn f64s(&mut self, scope: &mut ReadScope, into: &mut [f64]) -> Read<usize> {
        let count = into.len().min(usize::try_from(scope.left).unwrap_or(usize::MAX));
        for value in into.iter_mut().take(count) {
            self.refuse_null(scope)?;
            *value = self.f64()?;
        }
        scope.left -= count as u64;
        Ok(count)
    }
}
