//! The reader of the list.

use std::fmt;

use bytes::Bytes;

use super::events::{Events, SerdeEvent};
use crate::message::json_mapping::{float, from_base64, integer};
use crate::message::problem::{Problem, Read};
use crate::message::reader::{KeyMut, ReadScope, Reader, ValueKind, Variant, set_string};
use crate::message::schema::{EnumSchema, RecordSchema};
use crate::message::wire::TooDeep;

/// From 2^53 on a float no longer says which integer was meant.
const EXACT: f64 = 9_007_199_254_740_992.0;

pub(super) struct Replay<'a> {
    events: &'a Events,
    at: usize,
    is_text: bool,
}

/// What [`ReadScope::aux`] says is open.
mod open {
    pub(super) const MAP: u64 = 0;
    pub(super) const LIST: u64 = 1;
    /// `null` in place of either.
    pub(super) const NOTHING: u64 = 2;
}

impl<'a> Replay<'a> {
    pub(super) fn new(events: &'a Events, is_text: bool) -> Self {
        Self { events, at: 0, is_text }
    }

    fn peek(&self) -> SerdeEvent {
        self.events.at(self.at)
    }

    fn next(&mut self) -> SerdeEvent {
        let event = self.peek();
        self.at += 1;
        event
    }

    /// Whether the list or map that is open ends here; passes over its end.
    fn ends(&mut self) -> bool {
        match self.peek() {
            SerdeEvent::End => {
                self.at += 1;
                true
            }
            _ => false,
        }
    }

    fn expected(&self, what: impl fmt::Display, event: SerdeEvent) -> Problem {
        let found = match event {
            SerdeEvent::Text(start, len) => {
                return Problem::unexpected(what, &self.events.text(start, len));
            }
            SerdeEvent::Bool(value) => return Problem::unexpected(what, &value),
            SerdeEvent::Int(value) => return Problem::unexpected(what, &value),
            SerdeEvent::Uint(value) => return Problem::unexpected(what, &value),
            SerdeEvent::F64(value) => return Problem::unexpected(what, &value),
            other => kind_of(other),
        };
        Problem::unexpected(what, &found)
    }

    /// Refuses a null, unless what stands in the open list or map may be one.
    fn refuse_null(&self, scope: &ReadScope) -> Read {
        match self.peek() {
            SerdeEvent::Null if !scope.takes_null => Err(Problem::null_element()),
            _ => Ok(()),
        }
    }

    /// A whole number, however it is written.
    fn integer(&mut self, what: &str) -> Read<i128> {
        match self.next() {
            SerdeEvent::Null => Ok(0),
            SerdeEvent::Int(value) => Ok(value.into()),
            SerdeEvent::Uint(value) => Ok(value.into()),
            SerdeEvent::F64(value) if value.fract() == 0.0 && value.abs() < EXACT => {
                Ok(value as i128)
            }
            event @ SerdeEvent::Text(start, len) => {
                let text = self.events.text(start, len);
                integer(text).ok_or_else(|| self.expected(what, event))
            }
            other => Err(self.expected(what, other)),
        }
    }

    /// Passes over a value; a list counts as a level in a list.
    fn pass(&mut self, levels: usize, is_in_list: bool) -> Read {
        let deeper = || levels.checked_sub(1).ok_or_else(|| Problem::from(TooDeep));
        match self.next() {
            SerdeEvent::List(_) => {
                let levels = if is_in_list { deeper()? } else { levels };
                while !self.ends() {
                    self.pass(levels, true)?;
                }
            }
            SerdeEvent::Map(_) => {
                let levels = deeper()?;
                while !self.ends() {
                    // The key.
                    self.at += 1;
                    self.pass(levels, false)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn kind_of(event: SerdeEvent) -> ValueKind {
    match event {
        SerdeEvent::Null => ValueKind::Null,
        SerdeEvent::Bool(_) => ValueKind::Bool,
        SerdeEvent::Int(value) | SerdeEvent::Int64(value) if value < 0 => ValueKind::Signed,
        SerdeEvent::Int(_) | SerdeEvent::Int64(_) | SerdeEvent::Uint(_) | SerdeEvent::Uint64(_) => {
            ValueKind::Unsigned
        }
        SerdeEvent::F32(_) | SerdeEvent::F64(_) => ValueKind::Float,
        SerdeEvent::Text(..) | SerdeEvent::Name(_) | SerdeEvent::Variant(..) => ValueKind::Text,
        SerdeEvent::Bytes(_) => ValueKind::Bytes,
        SerdeEvent::List(_) => ValueKind::List,
        SerdeEvent::Map(_) => ValueKind::Map,
        SerdeEvent::End => ValueKind::Untold,
    }
}

impl Reader for Replay<'_> {
    fn is_text(&self) -> bool {
        self.is_text
    }

    fn kind(&mut self) -> Read<ValueKind> {
        Ok(kind_of(self.peek()))
    }

    fn null(&mut self) -> Read<bool> {
        match self.peek() {
            SerdeEvent::Null => {
                self.at += 1;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn skip(&mut self, levels: usize) -> Read {
        self.pass(levels, false)
    }

    fn bool(&mut self) -> Read<bool> {
        match self.next() {
            SerdeEvent::Null => Ok(false),
            SerdeEvent::Bool(value) => Ok(value),
            other => Err(self.expected("true or false", other)),
        }
    }

    fn i64(&mut self) -> Read<i64> {
        let value = self.integer("a whole number")?;
        value.try_into().map_err(|_| Problem::does_not_fit(value, "i64"))
    }

    fn u64(&mut self) -> Read<u64> {
        let value = self.integer("a whole number")?;
        value.try_into().map_err(|_| Problem::does_not_fit(value, "u64"))
    }

    fn f64(&mut self) -> Read<f64> {
        match self.next() {
            SerdeEvent::Null => Ok(0.0),
            SerdeEvent::Int(value) => Ok(value as f64),
            SerdeEvent::Uint(value) => Ok(value as f64),
            SerdeEvent::F64(value) => Ok(value),
            event @ SerdeEvent::Text(start, len) => {
                let text = self.events.text(start, len);
                float(text).ok_or_else(|| self.expected("a number", event))
            }
            other => Err(self.expected("a number", other)),
        }
    }

    fn string(&mut self, into: &mut String) -> Read {
        match self.next() {
            SerdeEvent::Null => into.clear(),
            SerdeEvent::Text(start, len) => set_string(into, self.events.text(start, len)),
            other => return Err(self.expected("a text", other)),
        }
        Ok(())
    }

    fn bytes(&mut self, into: &mut Bytes) -> Read<usize> {
        *into = match self.next() {
            SerdeEvent::Null => Bytes::new(),
            SerdeEvent::Bytes(index) => self.events.bytes(index).clone(),
            event @ SerdeEvent::Text(start, len) if self.is_text => {
                let bytes = from_base64(self.events.text(start, len));
                bytes.ok_or_else(|| self.expected("base64", event))?.into()
            }
            other => {
                return Err(self.expected(if self.is_text { "base64" } else { "bytes" }, other));
            }
        };
        Ok(into.len())
    }

    fn byte_vec(&mut self, into: &mut Vec<u8>) -> Read<usize> {
        let mut bytes = Bytes::new();
        self.bytes(&mut bytes)?;
        *into = bytes.into();
        Ok(into.len())
    }

    fn variant(&mut self, of: &'static EnumSchema) -> Read<Variant> {
        if let SerdeEvent::Text(start, len) = self.peek() {
            self.at += 1;
            let text = self.events.text(start, len);
            return Ok(match of.number_of(text) {
                Some(number) => Variant::Number(number.into()),
                None => Variant::Unknown(text.to_owned()),
            });
        }
        let number = self.integer("the name or number of a variant")?;
        // One that no number here holds is unknown by its digits.
        Ok(number.try_into().map_or_else(|_| Variant::Unknown(number.to_string()), Variant::Number))
    }

    fn begin_record(&mut self, record: &'static RecordSchema, scope: &mut ReadScope) -> Read {
        let is_positional = record.is_positional(self.is_text);
        scope.aux = match self.next() {
            SerdeEvent::Null => open::NOTHING,
            SerdeEvent::Map(_) => open::MAP,
            SerdeEvent::List(_) if is_positional => open::LIST,
            other => {
                let what = format_args!(
                    "a map{} with the fields of {}",
                    if is_positional { " or array" } else { "" },
                    record.name
                )
                .to_string();
                return Err(self.expected(what, other));
            }
        };
        Ok(())
    }

    fn next_field(
        &mut self,
        record: &'static RecordSchema,
        scope: &mut ReadScope,
    ) -> Read<Option<usize>> {
        if scope.aux == open::NOTHING {
            return Ok(None);
        }
        while !self.ends() {
            let found = if scope.aux == open::LIST {
                scope.position(record)
            } else {
                match self.next() {
                    SerdeEvent::Text(start, len) => {
                        scope.field(record, self.events.text(start, len).as_bytes())?
                    }
                    SerdeEvent::Int(_) | SerdeEvent::Uint(_) => None,
                    other => return Err(self.expected("the name of a field", other)),
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
        scope.aux = match self.next() {
            SerdeEvent::Null => open::NOTHING,
            SerdeEvent::List(_) => open::LIST,
            other => return Err(self.expected("an array", other)),
        };
        Ok(())
    }

    fn next_item(&mut self, scope: &mut ReadScope) -> Read<bool> {
        let comes = scope.aux != open::NOTHING && !self.ends();
        if comes {
            self.refuse_null(scope)?;
        }
        Ok(comes)
    }

    fn begin_map(&mut self, scope: &mut ReadScope) -> Read {
        scope.aux = match self.next() {
            SerdeEvent::Null => open::NOTHING,
            SerdeEvent::Map(_) => open::MAP,
            other => return Err(self.expected("a map", other)),
        };
        Ok(())
    }

    fn next_key(&mut self, scope: &mut ReadScope, key: KeyMut<'_>) -> Read<bool> {
        if scope.aux == open::NOTHING || self.ends() {
            return Ok(false);
        }
        self.refuse_null(&ReadScope::default())?;
        match (key, self.peek()) {
            (KeyMut::Bool(key), event @ SerdeEvent::Text(start, len)) => {
                self.at += 1;
                let text = self.events.text(start, len);
                *key = text.parse().map_err(|_| self.expected("true or false", event))?;
            }
            (KeyMut::Bool(key), _) => *key = self.bool()?,
            (KeyMut::Int(key), _) => *key = self.i64()?,
            (KeyMut::Uint(key), _) => *key = self.u64()?,
            (KeyMut::Str(key), _) => self.string(key)?,
        }
        self.refuse_null(scope)?;
        Ok(true)
    }
}
