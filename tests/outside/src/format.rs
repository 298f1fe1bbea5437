//! A format of one's own, without serde: a byte that says what comes, and the value.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use dubhe::Error;
use dubhe::extend::{
    At, BuildContext, Codec, CodecError, EnumSchema, Extension, KeyMut, KeyRef, Limits, Message,
    NoConfig, Problem, Read, ReadScope, Reader, RecordSchema, ValueKind, Variant, Writer,
    set_string,
};

/// The codec of the format.
#[derive(Debug)]
pub(crate) struct Marked;

impl Extension<dyn Codec> for Marked {
    const NAME: &'static str = "marked";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Codec>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Codec for Marked {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn content_subtype(&self) -> &'static str {
        "marked"
    }

    fn dubbo_id(&self) -> u8 {
        30
    }

    fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
        let mut writer = MarkedWriter { out: buf, problem: None };
        message.write(&mut writer);
        let written = writer.problem.map_or(Ok(()), Err);
        written.map_err(|problem| CodecError::new(Self::NAME, problem))
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> Result<(), CodecError> {
        let mut reader = MarkedReader(bytes);
        message.read(&mut reader, limits).map_err(|problem| CodecError::new(Self::NAME, problem))
    }
}

struct MarkedWriter<'a> {
    out: &'a mut BytesMut,
    problem: Option<Problem>,
}

impl MarkedWriter<'_> {
    fn mark(&mut self, at: At, mark: u8) -> &mut BytesMut {
        if let Some(field) = at {
            self.text(b's', field.name.as_bytes());
        }
        self.out.put_u8(mark);
        self.out
    }

    fn text(&mut self, mark: u8, bytes: &[u8]) {
        self.out.put_u8(mark);
        self.out.put_u32(bytes.len() as u32);
        self.out.put_slice(bytes);
    }
}

impl Writer for MarkedWriter<'_> {
    fn is_text(&self) -> bool {
        false
    }

    fn begin_record(&mut self, at: At, _: &'static RecordSchema, _: usize) {
        self.mark(at, b'{');
    }

    fn end_record(&mut self) {
        self.out.put_u8(b'}');
    }

    fn begin_list(&mut self, at: At, _: usize) {
        self.mark(at, b'[');
    }

    fn end_list(&mut self) {
        self.out.put_u8(b'}');
    }

    fn begin_map(&mut self, at: At, _: usize) {
        self.mark(at, b'{');
    }

    fn key(&mut self, key: KeyRef<'_>) {
        match key {
            KeyRef::Bool(key) => self.bool(None, key),
            KeyRef::Int(key) => self.i64(None, key),
            KeyRef::Uint(key) => self.u64(None, key),
            KeyRef::Str(key) => self.str(None, key),
        }
    }

    fn end_map(&mut self) {
        self.out.put_u8(b'}');
    }

    fn null(&mut self, at: At) {
        self.mark(at, b'n');
    }

    fn bool(&mut self, at: At, value: bool) {
        self.u64(at, value.into());
    }

    fn i32(&mut self, at: At, value: i32) {
        self.i64(at, value.into());
    }

    fn u32(&mut self, at: At, value: u32) {
        self.u64(at, value.into());
    }

    fn i64(&mut self, at: At, value: i64) {
        self.mark(at, b'i').put_i128(value.into());
    }

    fn u64(&mut self, at: At, value: u64) {
        self.mark(at, b'i').put_i128(value.into());
    }

    fn f32(&mut self, at: At, value: f32) {
        self.f64(at, value.into());
    }

    fn f64(&mut self, at: At, value: f64) {
        self.mark(at, b'd').put_f64(value);
    }

    fn str(&mut self, at: At, value: &str) {
        self.bytes(at, value.as_bytes());
    }

    fn bytes(&mut self, at: At, value: &[u8]) {
        if let Some(field) = at {
            self.text(b's', field.name.as_bytes());
        }
        self.text(b's', value);
    }

    fn variant(&mut self, at: At, of: &'static EnumSchema, number: i32) {
        self.str(at, of.name_of(number));
    }

    fn fail(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }
}

struct MarkedReader(Bytes);

/// A value, or the beginning or end of several.
enum Value {
    Null,
    Number(i128),
    Float(f64),
    Text(Bytes),
    List,
    Map,
    End,
}

impl MarkedReader {
    fn next(&mut self) -> Read<Value> {
        let short = |_| Problem::new("the bytes end early");
        Ok(match self.0.try_get_u8().map_err(short)? {
            b'n' => Value::Null,
            b'i' => Value::Number(self.0.try_get_i128().map_err(short)?),
            b'd' => Value::Float(self.0.try_get_f64().map_err(short)?),
            b's' => {
                let len = self.0.try_get_u32().map_err(short)? as usize;
                if len > self.0.len() {
                    return Err(Problem::new("the bytes end early"));
                }
                Value::Text(self.0.split_to(len))
            }
            b'[' => Value::List,
            b'{' => Value::Map,
            b'}' => Value::End,
            other => return Err(Problem::new(format_args!("no value begins with {other}"))),
        })
    }

    fn number(&mut self) -> Read<i128> {
        match self.next()? {
            Value::Null => Ok(0),
            Value::Number(number) => Ok(number),
            _ => Err(Problem::new("a whole number was expected")),
        }
    }

    fn text(&mut self) -> Read<Bytes> {
        match self.next()? {
            Value::Null => Ok(Bytes::new()),
            Value::Text(text) => Ok(text),
            _ => Err(Problem::new("a text was expected")),
        }
    }

    fn ends(&mut self) -> bool {
        let ends = self.0.first() == Some(&b'}');
        self.0.advance(usize::from(ends));
        ends
    }

    fn open(&mut self, scope: &mut ReadScope) -> Read {
        // What is open says itself where it ends; `null` has ended.
        scope.aux = match self.next()? {
            Value::List | Value::Map => 1,
            Value::Null => 0,
            _ => return Err(Problem::new("a list or map was expected")),
        };
        Ok(())
    }
}

impl Reader for MarkedReader {
    fn is_text(&self) -> bool {
        false
    }

    fn kind(&mut self) -> Read<ValueKind> {
        let before = self.0.clone();
        let kind = match self.next()? {
            Value::Null => ValueKind::Null,
            Value::Number(0..) => ValueKind::Unsigned,
            Value::Number(_) => ValueKind::Signed,
            Value::Float(_) => ValueKind::Float,
            Value::Text(_) => ValueKind::Text,
            Value::List => ValueKind::List,
            Value::Map | Value::End => ValueKind::Map,
        };
        self.0 = before;
        Ok(kind)
    }

    fn null(&mut self) -> Read<bool> {
        let is_null = self.0.first() == Some(&b'n');
        self.0.advance(usize::from(is_null));
        Ok(is_null)
    }

    fn skip(&mut self, levels: usize) -> Read {
        if let Value::List | Value::Map = self.next()? {
            let levels = levels.checked_sub(1).ok_or_else(|| Problem::new("nested too deep"))?;
            while !self.ends() {
                self.skip(levels)?;
            }
        }
        Ok(())
    }

    fn bool(&mut self) -> Read<bool> {
        self.number().map(|number| number != 0)
    }

    fn i64(&mut self) -> Read<i64> {
        let number = self.number()?;
        number.try_into().map_err(|_| Problem::does_not_fit(number, "i64"))
    }

    fn u64(&mut self) -> Read<u64> {
        let number = self.number()?;
        number.try_into().map_err(|_| Problem::does_not_fit(number, "u64"))
    }

    fn f64(&mut self) -> Read<f64> {
        match self.next()? {
            Value::Float(value) => Ok(value),
            _ => Err(Problem::new("a float was expected")),
        }
    }

    fn string(&mut self, into: &mut String) -> Read {
        let text = self.text()?;
        let text = std::str::from_utf8(&text).map_err(|_| Problem::new("a text is not UTF-8"))?;
        set_string(into, text);
        Ok(())
    }

    fn bytes(&mut self, into: &mut Bytes) -> Read<usize> {
        *into = self.text()?;
        Ok(0)
    }

    fn byte_vec(&mut self, into: &mut Vec<u8>) -> Read<usize> {
        *into = self.text()?.into();
        Ok(into.len())
    }

    fn variant(&mut self, of: &'static EnumSchema) -> Read<Variant> {
        let mut name = String::new();
        self.string(&mut name)?;
        Ok(match of.number_of(&name) {
            Some(number) => Variant::Number(number.into()),
            None => Variant::Unknown(name),
        })
    }

    fn begin_record(&mut self, _: &'static RecordSchema, scope: &mut ReadScope) -> Read {
        self.open(scope)
    }

    fn next_field(
        &mut self,
        record: &'static RecordSchema,
        scope: &mut ReadScope,
    ) -> Read<Option<usize>> {
        while scope.aux != 0 && !self.ends() {
            let name = self.text()?;
            if let Some(at) = scope.field(record, &name)? {
                return Ok(Some(at));
            }
            self.skip(scope.levels())?;
        }
        Ok(None)
    }

    fn begin_list(&mut self, scope: &mut ReadScope) -> Read {
        self.open(scope)
    }

    fn next_item(&mut self, scope: &mut ReadScope) -> Read<bool> {
        Ok(scope.aux != 0 && !self.ends())
    }

    fn begin_map(&mut self, scope: &mut ReadScope) -> Read {
        self.open(scope)
    }

    fn next_key(&mut self, scope: &mut ReadScope, key: KeyMut<'_>) -> Read<bool> {
        if scope.aux == 0 || self.ends() {
            return Ok(false);
        }
        match key {
            KeyMut::Bool(key) => *key = self.bool()?,
            KeyMut::Int(key) => *key = self.i64()?,
            KeyMut::Uint(key) => *key = self.u64()?,
            KeyMut::Str(key) => self.string(key)?,
        }
        Ok(true)
    }
}
