//! Single values as each codec writes and reads them, without the types of a program.
//!
//! Values at the bounds of a type stand for all of it: whatever a codec does to the others, it does to
//! one of them. `tests/difference` holds this file against the codecs themselves.

use rpc_core::message::json_mapping::{self, from_base64};

use super::finding::BodyForm;
use super::sample_texts::{BYTES, time_text};
use crate::describe::types::{EnumDescription, EnumValue, TypeDescription, TypeKind};

/// A type whose values are not messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plain<'a> {
    Bool,
    /// Signed or not, and how many bits.
    Int(bool, u32),
    /// How many bits.
    Float(u32),
    Text,
    /// How many there must be, if that is fixed.
    Bytes(Option<u32>),
    /// A span or a point of time, which is a text where formats have names.
    Time(TypeKind),
    Enum(&'a EnumDescription),
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content<'a> {
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// In its text.
    Time(&'static str),
    Variant(&'a EnumValue),
}

/// What a reader makes of a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ReadContent<'a> {
    Value(Content<'a>),
    /// The variant under `#[rpc(other)]`.
    Other,
    Refused,
}

/// A value as it stands in a body.
#[derive(Debug, Clone)]
enum Token {
    /// Protobuf's varint, and its other forms.
    Varint(u64),
    Fixed32(f32),
    Fixed64(f64),
    Delimited(Vec<u8>),
    Message,
    /// As formats with names have it.
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl<'a> Plain<'a> {
    /// The type that `of` tells, if it is one of these; `find` finds enums by name.
    pub(super) fn of(
        of: &TypeDescription,
        find: impl FnOnce(&str) -> Option<&'a EnumDescription>,
    ) -> Option<Self> {
        let narrow = |wide: u32| if of.bits == 0 { wide } else { of.bits.min(wide) };
        Some(match of.kind {
            TypeKind::Bool => Self::Bool,
            TypeKind::Int32 => Self::Int(true, narrow(32)),
            TypeKind::Int64 => Self::Int(true, 64),
            TypeKind::Uint32 => Self::Int(false, narrow(32)),
            TypeKind::Uint64 => Self::Int(false, 64),
            TypeKind::Float => Self::Float(32),
            TypeKind::Double => Self::Float(64),
            TypeKind::String => Self::Text,
            TypeKind::Bytes => Self::Bytes(of.length),
            TypeKind::Duration | TypeKind::Timestamp => Self::Time(of.kind),
            TypeKind::Enum => Self::Enum(find(&of.name)?),
            _ => return None,
        })
    }

    /// Whether protobuf writes its length before it, as before a message.
    pub(super) fn is_delimited(self) -> bool {
        matches!(self, Self::Text | Self::Bytes(_) | Self::Time(_))
    }

    /// Whether both are one type, of which every value reads as it was written. Enums of one name have
    /// versions.
    pub(super) fn is_one_type(self, other: Self) -> bool {
        match (self, other) {
            (Self::Int(is_signed, bits), Self::Int(others, other)) => {
                (is_signed, bits) == (others, other)
            }
            (Self::Float(bits), Self::Float(other)) => bits == other,
            (Self::Time(kind), Self::Time(other)) => kind == other,
            // How many there are is compared beside what they are.
            (Self::Bytes(_), Self::Bytes(_)) => true,
            (Self::Bool, Self::Bool) | (Self::Text, Self::Text) => true,
            _ => false,
        }
    }

    /// Whether protobuf writes numbers of both in the same form.
    pub(super) fn has_same_width(self, other: Self) -> bool {
        let bits = |of| match of {
            Self::Float(bits) => bits,
            _ => 0,
        };
        bits(self) == bits(other)
    }

    /// Whether an integer is one of this type.
    pub(super) fn holds(self, value: i128) -> bool {
        match self {
            Self::Int(true, bits) => (-(1 << (bits - 1))..1 << (bits - 1)).contains(&value),
            Self::Int(false, bits) => (0..1 << bits).contains(&value),
            _ => false,
        }
    }

    /// Whether the type could hold `content`, a value of another version of it.
    pub(super) fn expresses(self, writer: Self, content: &Content<'a>) -> bool {
        match (self, writer, content) {
            (Self::Int(..), Self::Int(..), Content::Int(value)) => self.holds(*value),
            (Self::Float(32), Self::Float(_), Content::Float(value)) => {
                f64::from(*value as f32).to_bits() == value.to_bits()
            }
            (Self::Enum(own), Self::Enum(other), Content::Variant(variant)) => {
                own.values.iter().any(|it| is_same_variant(other, variant, own, it))
            }
            _ => true,
        }
    }

    /// What this type reads where `writer` has written `content`.
    pub(super) fn read(
        self,
        content: &Content<'a>,
        writer: Self,
        form: BodyForm,
    ) -> ReadContent<'a> {
        let token = writer.write(content, form);
        match form {
            BodyForm::Protobuf => self.read_number(&token),
            _ => self.read_named(&token, form),
        }
    }

    /// What it reads of a map's key.
    pub(super) fn read_key(
        self,
        key: &Content<'a>,
        writer: Self,
        form: BodyForm,
    ) -> ReadContent<'a> {
        let token = match (form, key) {
            // Keys of JSON are texts.
            (BodyForm::Json, Content::Bool(value)) => Token::Text(value.to_string()),
            (BodyForm::Json, Content::Int(value)) => Token::Text(value.to_string()),
            _ => writer.write(key, form),
        };
        match (form, self, &token) {
            (BodyForm::Protobuf, ..) => self.read_number(&token),
            (_, Self::Bool, Token::Text(text)) => match text.parse() {
                Ok(value) => ReadContent::Value(Content::Bool(value)),
                Err(_) => ReadContent::Refused,
            },
            _ => self.read_named(&token, form),
        }
    }

    fn write(self, content: &Content<'_>, form: BodyForm) -> Token {
        if form == BodyForm::Protobuf {
            return match content {
                Content::Bool(value) => Token::Varint((*value).into()),
                // Sign-extended to 64 bits.
                Content::Int(value) => Token::Varint(*value as u64),
                Content::Variant(variant) => Token::Varint(i64::from(variant.number) as u64),
                Content::Float(value) if matches!(self, Self::Float(32)) => {
                    Token::Fixed32(*value as f32)
                }
                Content::Float(value) => Token::Fixed64(*value),
                Content::Text(text) => Token::Delimited(text.clone().into_bytes()),
                Content::Bytes(bytes) => Token::Delimited(bytes.clone()),
                // A message, of which only another time makes sense.
                Content::Time(_) => Token::Message,
            };
        }
        let is_json = form == BodyForm::Json;
        match content {
            Content::Bool(value) => Token::Bool(*value),
            Content::Int(value) if is_json && matches!(self, Self::Int(_, 64)) => {
                Token::Text(value.to_string())
            }
            Content::Int(value) => Token::Int(*value),
            Content::Float(value) => Token::Float(*value),
            Content::Text(text) => Token::Text(text.clone()),
            Content::Bytes(bytes) if is_json => {
                let sample = BYTES.iter().find(|(sample, _)| sample == bytes);
                Token::Text(sample.map_or("", |(_, base64)| base64).to_owned())
            }
            Content::Bytes(bytes) => Token::Bytes(bytes.clone()),
            Content::Time(text) => Token::Text((*text).to_owned()),
            Content::Variant(variant) => Token::Text(variant.name.clone()),
        }
    }

    fn read_number(self, token: &Token) -> ReadContent<'a> {
        let value = match (self, token) {
            (Self::Bool, Token::Varint(wide)) => Some(Content::Bool(*wide != 0)),
            (Self::Int(..), Token::Varint(wide)) => {
                let value = self.cut(*wide);
                self.holds(value).then_some(Content::Int(value))
            }
            (Self::Enum(of), Token::Varint(wide)) => return numbered(of, *wide as i32),
            (Self::Float(32), Token::Fixed32(value)) => Some(Content::Float((*value).into())),
            (Self::Float(64), Token::Fixed64(value)) => Some(Content::Float(*value)),
            (Self::Text, Token::Delimited(bytes)) => {
                String::from_utf8(bytes.clone()).ok().map(Content::Text)
            }
            (Self::Bytes(_), Token::Delimited(bytes)) => Some(Content::Bytes(bytes.clone())),
            _ => None,
        };
        value.map_or(ReadContent::Refused, ReadContent::Value)
    }

    /// A varint in the width of the type, of which protobuf has none below 32 bits.
    fn cut(self, wide: u64) -> i128 {
        match self {
            Self::Int(true, 64) => i128::from(wide as i64),
            Self::Int(false, 64) => i128::from(wide),
            Self::Int(true, _) => i128::from(wide as i32),
            _ => i128::from(wide as u32),
        }
    }

    fn read_named(self, token: &Token, form: BodyForm) -> ReadContent<'a> {
        let value = match (self, token) {
            (Self::Bool, Token::Bool(value)) => Some(Content::Bool(*value)),
            (Self::Int(..), token) => {
                integer(token).filter(|value| self.holds(*value)).map(Content::Int)
            }
            (Self::Float(bits), token) => float(token, bits).map(Content::Float),
            (Self::Text, Token::Text(text)) => Some(Content::Text(text.clone())),
            (Self::Bytes(_), Token::Bytes(bytes)) => Some(Content::Bytes(bytes.clone())),
            (Self::Time(kind), Token::Text(text)) => {
                let own = time_text(kind);
                (own == text).then_some(Content::Time(own))
            }
            (Self::Bytes(_), Token::Text(text)) if form == BodyForm::Json => {
                from_base64(text).map(Content::Bytes)
            }
            (Self::Enum(of), Token::Text(name)) => return named(of, name),
            (Self::Enum(of), token) => {
                let number = integer(token);
                return number.map_or(ReadContent::Refused, |number| {
                    numbered(of, number.try_into().unwrap_or(i32::MAX))
                });
            }
            _ => None,
        };
        value.map_or(ReadContent::Refused, ReadContent::Value)
    }
}

/// From 2^53 on a float no longer says which integer was meant.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn integer(token: &Token) -> Option<i128> {
    match token {
        Token::Int(value) => Some(*value),
        Token::Float(value) if value.fract() == 0.0 && value.abs() < EXACT => Some(*value as i128),
        Token::Text(text) => json_mapping::integer(text),
        _ => None,
    }
}

fn float(token: &Token, bits: u32) -> Option<f64> {
    let wide = match token {
        Token::Int(value) => *value as f64,
        Token::Float(value) => *value,
        Token::Text(text) => json_mapping::float(text)?,
        _ => return None,
    };
    let narrow = wide as f32;
    match bits {
        32 if narrow.is_finite() || !wide.is_finite() => Some(narrow.into()),
        32 => None,
        _ => Some(wide),
    }
}

fn numbered(of: &EnumDescription, number: i32) -> ReadContent<'_> {
    let found = of.values.iter().find(|value| value.number == number);
    known(of, found)
}

/// A name on the wire goes before a spelling in Rust.
fn named<'a>(of: &'a EnumDescription, name: &str) -> ReadContent<'a> {
    let found = of.values.iter().find(|value| value.name == name);
    let spelled = |value: &&EnumValue| !name.is_empty() && value.rust_name == name;
    known(of, found.or_else(|| of.values.iter().find(spelled)))
}

fn known<'a>(of: &'a EnumDescription, found: Option<&'a EnumValue>) -> ReadContent<'a> {
    match found {
        Some(variant) => ReadContent::Value(Content::Variant(variant)),
        None if of.takes_unknown => ReadContent::Other,
        None => ReadContent::Refused,
    }
}

impl Content<'_> {
    /// Whether it is what a reader has of an absent value.
    pub(super) fn is_default(&self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::Int(value) => *value == 0,
            Self::Float(value) => *value == 0.0,
            Self::Text(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Time(_) => false,
            Self::Variant(variant) => variant.number == 0,
        }
    }
}

/// Whether two variants, each of its enum, are one: by name; else, where neither has a namesake, by
/// number, as one that was renamed.
pub(super) fn is_same_variant(
    of: &EnumDescription,
    one: &EnumValue,
    others: &EnumDescription,
    other: &EnumValue,
) -> bool {
    let has_namesake =
        |of: &EnumDescription, value| of.values.iter().any(|it| is_namesake(it, value));
    is_namesake(one, other)
        || one.number == other.number && !has_namesake(others, one) && !has_namesake(of, other)
}

fn is_namesake(one: &EnumValue, other: &EnumValue) -> bool {
    let is_spelled = !one.rust_name.is_empty() && one.rust_name == other.rust_name;
    one.name == other.name || is_spelled
}

/// Whether what was read is what was written, each of its type, however it is written now.
pub(super) fn is_same(
    written: &Content<'_>,
    writer: Plain<'_>,
    read: &Content<'_>,
    reader: Plain<'_>,
) -> bool {
    use Content::{Bool, Bytes, Float, Int, Text, Time, Variant};
    let number = |content: &Content<'_>| match content {
        Bool(value) => Some(f64::from(u8::from(*value))),
        Int(value) => Some(*value as f64),
        Float(value) => Some(*value),
        Variant(value) => Some(value.number.into()),
        Text(_) | Bytes(_) | Time(_) => None,
    };
    match (written, read) {
        (Variant(one), Variant(other)) => match (writer, reader) {
            (Plain::Enum(of), Plain::Enum(others)) => is_same_variant(of, one, others, other),
            _ => false,
        },
        (Int(one), Int(other)) => one == other,
        (Int(one), Float(other)) => other.abs() < 1e38 && *one == *other as i128,
        (Text(one), Text(other)) => one == other,
        (Time(one), Time(other)) => one == other,
        (Time(time), Text(text)) | (Text(text), Time(time)) => time == text,
        (Bytes(one), Bytes(other)) => one == other,
        (Text(text), Bytes(bytes)) | (Bytes(bytes), Text(text)) => text.as_bytes() == bytes,
        (Text(text), Variant(value)) | (Variant(value), Text(text)) => {
            *text == value.name || *text == value.rust_name
        }
        (Text(text), other) | (other, Text(text)) => {
            json_mapping::float(text) == number(other) || bool_text(other) == Some(text.as_str())
        }
        (one, other) => number(one).is_some() && number(one) == number(other),
    }
}

/// The text of a key that is a `bool`.
fn bool_text(content: &Content<'_>) -> Option<&'static str> {
    match content {
        Content::Bool(true) => Some("true"),
        Content::Bool(false) => Some("false"),
        _ => None,
    }
}
