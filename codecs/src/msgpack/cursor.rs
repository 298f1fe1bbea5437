//! MessagePack being read, value by value.
//!
//! Texts and bytes are slices of the body, of which `Bytes` fields keep a part without a copy.
//! Nothing is allocated by a length that the bytes merely claim: a list of a million elements in
//! ten bytes is an error at its second element.

use std::fmt;

use bytes::Bytes;
use rpc_core::message::{Problem, Read, ReadScope, TooDeep, ValueKind, json_mapping};

use super::marker;

/// From 2^53 on a float no longer says which integer was meant.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The body, and what of it was not read yet.
#[derive(Debug)]
pub(super) struct MsgpackCursor<'a> {
    pub(super) body: &'a Bytes,
    pub(super) rest: &'a [u8],
}

/// The first byte of a value and what belongs to it, apart from what a list or map holds.
#[derive(Clone, Copy)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    F32(f32),
    F64(f64),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    Array(usize),
    Map(usize),
    /// An extension, which no message has.
    Extension,
}

impl<'a> MsgpackCursor<'a> {
    pub(super) fn new(body: &'a Bytes) -> Self {
        Self { body, rest: body }
    }

    /// The message must be all there is.
    pub(super) fn end(&self) -> Read {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(self.problem(format_args!("{left} bytes follow the message"))),
        }
    }

    #[cold]
    pub(super) fn problem(&self, what: impl fmt::Display) -> Problem {
        Problem::new(format_args!("{what} at byte {}", self.body.len() - self.rest.len()))
    }

    #[cold]
    pub(super) fn cut_short(&self) -> Problem {
        self.problem("the bytes end inside a value")
    }

    /// The problem of another value than `expected`.
    #[cold]
    pub(super) fn unexpected(&self, expected: impl fmt::Display, found: Token<'_>) -> Problem {
        let problem = match found {
            Token::Bool(value) => Problem::unexpected(expected, &value),
            Token::Int(value) => Problem::unexpected(expected, &value),
            Token::Uint(value) => Problem::unexpected(expected, &value),
            Token::F32(value) => Problem::unexpected(expected, &value),
            Token::F64(value) => Problem::unexpected(expected, &value),
            Token::Text(text) => {
                let text = String::from_utf8_lossy(text);
                Problem::unexpected(expected, &format_args!("{text:?}"))
            }
            other => Problem::unexpected(expected, &kind_of(other)),
        };
        self.problem(problem)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.cut_short()),
        }
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Read<u8> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn len16(&mut self) -> Read<usize> {
        self.array().map(|bytes| u16::from_be_bytes(bytes).into())
    }

    #[inline]
    pub(super) fn len32(&mut self) -> Read<usize> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    #[inline]
    pub(super) fn slice(&mut self, len: usize) -> Read<&'a [u8]> {
        match self.rest.split_at_checked(len) {
            Some((slice, rest)) => {
                self.rest = rest;
                Ok(slice)
            }
            None => Err(self.cut_short()),
        }
    }

    /// A number that is written without a sign, as most are: the way that is for all values is
    /// longer. `None`, and nothing read, if something else is next.
    #[inline]
    pub(super) fn unsigned(&mut self) -> Option<u64> {
        let (value, rest) = match *self.rest {
            [byte @ ..0x80, ref rest @ ..] => (byte.into(), rest),
            [marker::U8, a, ref rest @ ..] => (a.into(), rest),
            [marker::U16, a, b, ref rest @ ..] => (u16::from_be_bytes([a, b]).into(), rest),
            [marker::U32, a, b, c, d, ref rest @ ..] => {
                (u32::from_be_bytes([a, b, c, d]).into(), rest)
            }
            [marker::U64, a, b, c, d, e, f, g, h, ref rest @ ..] => {
                (u64::from_be_bytes([a, b, c, d, e, f, g, h]), rest)
            }
            _ => return None,
        };
        self.rest = rest;
        Some(value)
    }

    /// The next value, up to what a list or map holds.
    pub(super) fn value(&mut self) -> Read<Token<'a>> {
        let byte = self.u8()?;
        Ok(match byte {
            0..=0x7f => Token::Uint(byte.into()),
            0xe0..=0xff => Token::Int((byte as i8).into()),
            0x80..=0x8f => Token::Map((byte & 0x0f).into()),
            0x90..=0x9f => Token::Array((byte & 0x0f).into()),
            0xa0..=0xbf => Token::Text(self.slice((byte & 0x1f).into())?),
            marker::NIL => Token::Null,
            marker::FALSE => Token::Bool(false),
            marker::TRUE => Token::Bool(true),
            marker::U8 => Token::Uint(self.u8()?.into()),
            marker::U16 => Token::Uint(u16::from_be_bytes(self.array()?).into()),
            marker::U32 => Token::Uint(u32::from_be_bytes(self.array()?).into()),
            marker::U64 => Token::Uint(u64::from_be_bytes(self.array()?)),
            marker::I8 => Token::Int((self.u8()? as i8).into()),
            marker::I16 => Token::Int(i16::from_be_bytes(self.array()?).into()),
            marker::I32 => Token::Int(i32::from_be_bytes(self.array()?).into()),
            marker::I64 => Token::Int(i64::from_be_bytes(self.array()?)),
            marker::F32 => Token::F32(f32::from_be_bytes(self.array()?)),
            marker::F64 => Token::F64(f64::from_be_bytes(self.array()?)),
            _ => return self.long(byte),
        })
    }

    /// A value with a length of its own.
    pub(super) fn long(&mut self, byte: u8) -> Read<Token<'a>> {
        let len = match byte {
            marker::STR8 | marker::BIN8 | marker::EXT8 => self.u8()?.into(),
            marker::STR16 | marker::BIN16 | marker::EXT16 | marker::ARRAY16 | marker::MAP16 => {
                self.len16()?
            }
            marker::FIX_EXT1 => 1,
            marker::FIX_EXT2 => 2,
            marker::FIX_EXT4 => 4,
            marker::FIX_EXT8 => 8,
            marker::FIX_EXT16 => 16,
            marker::NEVER_USED => return Err(self.problem("no value begins with c1")),
            _ => self.len32()?,
        };
        Ok(match byte {
            marker::STR8 | marker::STR16 | marker::STR32 => Token::Text(self.slice(len)?),
            marker::BIN8 | marker::BIN16 | marker::BIN32 => Token::Bytes(self.slice(len)?),
            marker::ARRAY16 | marker::ARRAY32 => Token::Array(len),
            marker::MAP16 | marker::MAP32 => Token::Map(len),
            _ => {
                // An extension has a byte for its type.
                self.slice(len.saturating_add(1))?;
                Token::Extension
            }
        })
    }

    #[inline]
    pub(super) fn utf8(&self, bytes: &'a [u8]) -> Read<&'a str> {
        std::str::from_utf8(bytes).map_err(|_| self.problem("a text is not UTF-8"))
    }

    /// A whole number that is neither unsigned nor signed: a float, a text, or nothing.
    #[cold]
    pub(super) fn other_integer(&self, value: Token<'_>) -> Read<i128> {
        let exact = |float: f64| {
            let is_exact = float.fract() == 0.0 && float.abs() < EXACT;
            is_exact.then_some(float as i128)
        };
        let number = match value {
            Token::Null => Some(0),
            Token::Int(number) => Some(number.into()),
            Token::Uint(number) => Some(number.into()),
            Token::F32(float) => exact(float.into()),
            Token::F64(float) => exact(float),
            Token::Text(text) => std::str::from_utf8(text).ok().and_then(json_mapping::integer),
            _ => None,
        };
        number.ok_or_else(|| self.unexpected("a whole number", value))
    }

    /// How many elements that take `least` bytes each may still come, at most.
    #[inline]
    pub(super) fn hint(&self, len: usize, least: usize) -> usize {
        len.min(self.rest.len() / least)
    }

    /// Passes over a value of any kind, nested at most `levels` deep: maps count, and arrays inside
    /// of arrays.
    pub(super) fn pass(&mut self, levels: usize, is_in_list: bool) -> Read {
        let deeper = || levels.checked_sub(1).ok_or_else(|| Problem::from(TooDeep));
        match self.value()? {
            Token::Array(len) => {
                let levels = if is_in_list { deeper()? } else { levels };
                for _ in 0..len {
                    self.pass(levels, true)?;
                }
            }
            Token::Map(len) => {
                let levels = deeper()?;
                for _ in 0..len {
                    self.pass(levels, false)?;
                    self.pass(levels, false)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Refuses a null, unless what stands in the open list or map may be one.
    #[inline]
    pub(super) fn refuse_null(&self, scope: &ReadScope) -> Read {
        match self.rest.first() {
            Some(&marker::NIL) if !scope.takes_null => Err(self.problem(Problem::null_element())),
            _ => Ok(()),
        }
    }

    /// The name of a field; `None` if it is a number.
    #[inline]
    pub(super) fn field_name(&mut self) -> Read<Option<&'a [u8]>> {
        if let Some((byte @ 0xa0..=0xbf, rest)) = self.rest.split_first() {
            self.rest = rest;
            return self.slice((byte & 0x1f).into()).map(Some);
        }
        match self.value()? {
            Token::Text(name) => Ok(Some(name)),
            Token::Int(_) | Token::Uint(_) => Ok(None),
            other => Err(self.unexpected("the name of a field", other)),
        }
    }
}

pub(super) fn kind_of(value: Token<'_>) -> ValueKind {
    match value {
        Token::Null => ValueKind::Null,
        Token::Bool(_) => ValueKind::Bool,
        Token::Int(value) if value < 0 => ValueKind::Signed,
        Token::Int(_) | Token::Uint(_) => ValueKind::Unsigned,
        Token::F32(_) | Token::F64(_) => ValueKind::Float,
        Token::Text(_) => ValueKind::Text,
        Token::Bytes(_) => ValueKind::Bytes,
        Token::Array(_) => ValueKind::List,
        Token::Map(_) => ValueKind::Map,
        Token::Extension => ValueKind::Untold,
    }
}
