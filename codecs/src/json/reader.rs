//! JSON as a [`Reader`]: values by protobuf's JSON mapping.
//!
//! The message asks for the values that it expects, one after the other, and this looks whether the
//! text has them. Where the mapping allows several forms (a number or a string, two alphabets of
//! base64), all of them are read. A value that does not fit is a problem at a byte, to which the
//! message adds the field.

use bytes::Bytes;
use rpc_core::message::json_mapping::{self, from_base64};
use rpc_core::message::{
    EnumSchema, KeyMut, Problem, Read, ReadScope, Reader, RecordSchema, ValueKind, Variant,
    set_string,
};

use super::cursor::{JsonCursor, open};
use super::scan;

/// What [`ReadScope::left`] says of a record.
const BY_POSITION: u64 = 1;

impl Reader for JsonCursor<'_> {
    fn is_text(&self) -> bool {
        true
    }

    fn kind(&mut self) -> Read<ValueKind> {
        Ok(match self.peek() {
            Some(b'{') => ValueKind::Map,
            Some(b'[') => ValueKind::List,
            Some(b'"') => ValueKind::Text,
            Some(b't' | b'f') => ValueKind::Bool,
            Some(b'n') => ValueKind::Null,
            Some(_) => {
                let end = scan::number_end(self.body(), self.at);
                let end = end.ok_or_else(|| self.unexpected("a value"))?;
                let number = &self.text[self.at..end];
                let signed = || number.parse::<i64>().is_ok_and(|value| value < 0);
                match number.parse::<u64>() {
                    Ok(_) => ValueKind::Unsigned,
                    Err(_) if signed() => ValueKind::Signed,
                    Err(_) => ValueKind::Float,
                }
            }
            None => return Err(self.cut_short()),
        })
    }

    fn null(&mut self) -> Read<bool> {
        match self.peek() {
            Some(b'n') => self.word("null").map(|()| true),
            Some(_) => Ok(false),
            None => Err(self.cut_short()),
        }
    }

    fn skip(&mut self, levels: usize) -> Read {
        self.pass(levels, false)
    }

    fn bool(&mut self) -> Read<bool> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            Some(b'n') => self.word("null").map(|()| false),
            _ => Err(self.unexpected("true or false")),
        }
    }

    fn i64(&mut self) -> Read<i64> {
        let is_quoted = self.peek() == Some(b'"');
        let start = self.at + usize::from(is_quoted);
        let is_negative = self.body().get(start) == Some(&b'-');
        let before = self.at;
        let value = self.digits(start + usize::from(is_negative), is_quoted).and_then(|digits| {
            if is_negative { 0_i64.checked_sub_unsigned(digits) } else { digits.try_into().ok() }
        });
        if let Some(value) = value {
            return Ok(value);
        }
        self.at = before;
        let value = self.integer("a whole number")?;
        value.try_into().map_err(|_| Problem::does_not_fit(value, "i64"))
    }

    fn u64(&mut self) -> Read<u64> {
        let is_quoted = self.peek() == Some(b'"');
        if let Some(value) = self.digits(self.at + usize::from(is_quoted), is_quoted) {
            return Ok(value);
        }
        let value = self.integer("a whole number")?;
        value.try_into().map_err(|_| Problem::does_not_fit(value, "u64"))
    }

    fn f64(&mut self) -> Read<f64> {
        self.peek();
        let start = self.at;
        let is_quoted = self.body().get(start) == Some(&b'"');
        let text = self.number("a number")?;
        let value = if is_quoted {
            json_mapping::float(&text)
        } else {
            text.parse().ok().filter(|value: &f64| value.is_finite())
        };
        value.ok_or_else(|| {
            self.at = start;
            self.unexpected("a number that fits in f64")
        })
    }

    fn string(&mut self, into: &mut String) -> Read {
        match self.peek() {
            Some(b'"') => {}
            Some(b'n') => {
                into.clear();
                return self.word("null");
            }
            _ => return Err(self.unexpected("a text")),
        }
        let start = self.at + 1;
        let end = scan::plain_end(self.body(), start);
        if self.body().get(end) == Some(&b'"') {
            set_string(into, &self.text[start..end]);
            self.at = end + 1;
            return Ok(());
        }
        into.clear();
        self.escaped(start, end, into)
    }

    fn bytes(&mut self, into: &mut Bytes) -> Read<usize> {
        let mut bytes = Vec::new();
        self.byte_vec(&mut bytes)?;
        *into = bytes.into();
        Ok(into.len())
    }

    fn byte_vec(&mut self, into: &mut Vec<u8>) -> Read<usize> {
        if self.null()? {
            into.clear();
            return Ok(0);
        }
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("base64"));
        }
        let text = self.quoted()?;
        *into = from_base64(&text).ok_or_else(|| {
            self.at = start;
            self.unexpected("base64")
        })?;
        Ok(into.len())
    }

    fn variant(&mut self, of: &'static EnumSchema) -> Read<Variant> {
        if self.peek() == Some(b'"') {
            let name = self.quoted()?;
            return Ok(match of.number_of(&name) {
                Some(number) => Variant::Number(number.into()),
                None => Variant::Unknown(name.into_owned()),
            });
        }
        let number = self.integer("the name or number of a variant")?;
        // One that no number here holds is unknown by its digits.
        Ok(number.try_into().map_or_else(|_| Variant::Unknown(number.to_string()), Variant::Number))
    }

    fn begin_record(&mut self, record: &'static RecordSchema, scope: &mut ReadScope) -> Read {
        let is_positional = record.is_positional(true);
        if is_positional && self.peek() == Some(b'[') {
            self.at += 1;
            (scope.aux, scope.left) = (open::FIRST, BY_POSITION);
            return Ok(());
        }
        match self.peek() {
            Some(b'{' | b'n') => self.open(scope, b'{', ""),
            _ => {
                let or_array = if is_positional { " or array" } else { "" };
                let name = record.name;
                Err(self.unexpected(format_args!("a map{or_array} with the fields of {name}")))
            }
        }
    }

    fn next_field(
        &mut self,
        record: &'static RecordSchema,
        scope: &mut ReadScope,
    ) -> Read<Option<usize>> {
        loop {
            let found = if scope.left == BY_POSITION {
                if !self.next(scope, b']')? {
                    return Ok(None);
                }
                scope.position(record)
            } else {
                if !self.next(scope, b'}')? {
                    return Ok(None);
                }
                let name = self.key()?;
                scope.field(record, name.as_bytes())?
            };
            if found.is_some() {
                return Ok(found);
            }
            self.skip(scope.levels())?;
        }
    }

    fn begin_list(&mut self, scope: &mut ReadScope) -> Read {
        self.open(scope, b'[', "an array")
    }

    fn next_item(&mut self, scope: &mut ReadScope) -> Read<bool> {
        Ok(self.next(scope, b']')? && self.is_value(scope)?)
    }

    fn begin_map(&mut self, scope: &mut ReadScope) -> Read {
        self.open(scope, b'{', "a map")
    }

    fn next_key(&mut self, scope: &mut ReadScope, key: KeyMut<'_>) -> Read<bool> {
        if !self.next(scope, b'}')? {
            return Ok(false);
        }
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in quotes"));
        }
        match key {
            KeyMut::Str(key) => self.string(key)?,
            KeyMut::Int(key) => *key = self.i64()?,
            KeyMut::Uint(key) => *key = self.u64()?,
            KeyMut::Bool(key) => {
                let start = self.at;
                let text = self.quoted()?;
                *key = text.parse().map_err(|_| {
                    self.at = start;
                    self.unexpected("\"true\" or \"false\"")
                })?;
            }
        }
        self.colon()?;
        self.is_value(scope)
    }
}
