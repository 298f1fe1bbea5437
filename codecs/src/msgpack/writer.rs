//! MessagePack being written: each value in its shortest form.
//!
//! The number of entries stands before a map, so a record knows before it is written how many of
//! its fields are `None` and left out. Names of up to 16 bytes are written together with their
//! length in one store.

use bytes::BytesMut;
use rpc_core::message::{At, EnumSchema, FieldSchema, KeyRef, Problem, Read, RecordSchema, Writer};

use super::marker;
use crate::window::AppendWindow;

/// Appends the values of one message to a buffer.
#[derive(Debug)]
pub(super) struct MsgpackWriter<'a> {
    out: AppendWindow<'a>,
    problem: Option<Problem>,
}

impl<'a> MsgpackWriter<'a> {
    pub(super) fn new(buf: &'a mut BytesMut) -> Self {
        Self { out: AppendWindow::new(buf), problem: None }
    }

    pub(super) fn finish(self) -> Read {
        self.out.finish();
        self.problem.map_or(Ok(()), Err)
    }

    /// The name of the field that the next value stands in.
    #[inline]
    fn name(&mut self, at: At) {
        if let Some(field) = at {
            self.field(field);
        }
    }

    #[inline]
    fn field(&mut self, field: &FieldSchema) {
        let Some(short) = field.short_name() else { return self.text(field.name) };
        let room = self.out.next::<17>();
        room[0] = marker::FIX_STR | field.name.len() as u8;
        room[1..].copy_from_slice(short);
        self.out.advance(1 + field.name.len());
    }

    #[inline]
    fn text(&mut self, text: &str) {
        match text.len() {
            len @ ..32 => self.out.put([marker::FIX_STR | len as u8]),
            len @ ..0x100 => self.out.put([marker::STR8, len as u8]),
            len => self.long(len, marker::STR16, marker::STR32),
        }
        self.out.put_slice(text.as_bytes());
    }

    #[inline]
    fn array(&mut self, len: usize) {
        match len {
            ..16 => self.out.put([marker::FIX_ARRAY | len as u8]),
            _ => self.long(len, marker::ARRAY16, marker::ARRAY32),
        }
    }

    #[inline]
    fn map(&mut self, len: usize) {
        match len {
            ..16 => self.out.put([marker::FIX_MAP | len as u8]),
            _ => self.long(len, marker::MAP16, marker::MAP32),
        }
    }

    /// A length of 16 bits, or of 32.
    fn long(&mut self, len: usize, short: u8, long: u8) {
        if let Ok(len) = u16::try_from(len) {
            let [a, b] = len.to_be_bytes();
            self.out.put([short, a, b]);
        } else if let Ok(len) = u32::try_from(len) {
            let [a, b, c, d] = len.to_be_bytes();
            self.out.put([long, a, b, c, d]);
        } else {
            self.fail(Problem::new(format_args!("a length of {len} is more than 32 bits hold")));
        }
    }

    #[inline]
    fn uint(&mut self, value: u64) {
        let written = put_uint(self.out.next(), value);
        self.out.advance(written);
    }

    #[inline]
    fn int(&mut self, value: i64) {
        let written = put_int(self.out.next(), value);
        self.out.advance(written);
    }
}

/// Writes a number without a sign and gives how many bytes it takes. All nine are written over.
#[inline]
fn put_uint(room: &mut [u8; 9], value: u64) -> usize {
    if value < 0x80 {
        room[0] = value as u8;
        1
    } else if let Ok(value) = u8::try_from(value) {
        room[..2].copy_from_slice(&[marker::U8, value]);
        2
    } else if let Ok(value) = u16::try_from(value) {
        room[0] = marker::U16;
        room[1..3].copy_from_slice(&value.to_be_bytes());
        3
    } else if let Ok(value) = u32::try_from(value) {
        room[0] = marker::U32;
        room[1..5].copy_from_slice(&value.to_be_bytes());
        5
    } else {
        room[0] = marker::U64;
        room[1..].copy_from_slice(&value.to_be_bytes());
        9
    }
}

/// Writes a number with a sign; one that is not below 0 as if it had none.
#[inline]
fn put_int(room: &mut [u8; 9], value: i64) -> usize {
    if let Ok(value) = u64::try_from(value) {
        return put_uint(room, value);
    }
    if value >= -32 {
        room[0] = value as u8;
        1
    } else if let Ok(value) = i8::try_from(value) {
        room[..2].copy_from_slice(&[marker::I8, value as u8]);
        2
    } else if let Ok(value) = i16::try_from(value) {
        room[0] = marker::I16;
        room[1..3].copy_from_slice(&value.to_be_bytes());
        3
    } else if let Ok(value) = i32::try_from(value) {
        room[0] = marker::I32;
        room[1..5].copy_from_slice(&value.to_be_bytes());
        5
    } else {
        room[0] = marker::I64;
        room[1..].copy_from_slice(&value.to_be_bytes());
        9
    }
}

impl Writer for MsgpackWriter<'_> {
    fn is_text(&self) -> bool {
        false
    }

    fn begin_record(&mut self, at: At, _: &'static RecordSchema, present: usize) {
        self.name(at);
        self.map(present);
    }

    fn end_record(&mut self) {}

    fn begin_list(&mut self, at: At, len: usize) {
        self.name(at);
        self.array(len);
    }

    fn end_list(&mut self) {}

    fn begin_map(&mut self, at: At, len: usize) {
        self.name(at);
        self.map(len);
    }

    fn key(&mut self, key: KeyRef<'_>) {
        match key {
            KeyRef::Bool(key) => self.bool(None, key),
            KeyRef::Int(key) => self.int(key),
            KeyRef::Uint(key) => self.uint(key),
            KeyRef::Str(key) => self.text(key),
        }
    }

    fn end_map(&mut self) {}

    fn null(&mut self, at: At) {
        self.name(at);
        self.out.put([marker::NIL]);
    }

    fn bool(&mut self, at: At, value: bool) {
        self.name(at);
        self.out.put([if value { marker::TRUE } else { marker::FALSE }]);
    }

    fn i32(&mut self, at: At, value: i32) {
        self.name(at);
        self.int(value.into());
    }

    fn u32(&mut self, at: At, value: u32) {
        self.name(at);
        self.uint(value.into());
    }

    fn i64(&mut self, at: At, value: i64) {
        self.name(at);
        self.int(value);
    }

    fn u64(&mut self, at: At, value: u64) {
        self.name(at);
        self.uint(value);
    }

    fn f32(&mut self, at: At, value: f32) {
        self.name(at);
        let [a, b, c, d] = value.to_be_bytes();
        self.out.put([marker::F32, a, b, c, d]);
    }

    fn f64(&mut self, at: At, value: f64) {
        self.name(at);
        let room = self.out.next::<9>();
        room[0] = marker::F64;
        room[1..].copy_from_slice(&value.to_be_bytes());
        self.out.advance(9);
    }

    fn str(&mut self, at: At, value: &str) {
        self.name(at);
        self.text(value);
    }

    fn bytes(&mut self, at: At, value: &[u8]) {
        self.name(at);
        match value.len() {
            len @ ..0x100 => self.out.put([marker::BIN8, len as u8]),
            len => self.long(len, marker::BIN16, marker::BIN32),
        }
        self.out.put_slice(value);
    }

    fn variant(&mut self, at: At, of: &'static EnumSchema, number: i32) {
        self.name(at);
        self.text(of.name_of(number));
    }

    fn fail(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }

    fn i32s(&mut self, at: At, values: &[i32]) {
        self.begin_list(at, values.len());
        values.iter().for_each(|value| self.int((*value).into()));
    }

    fn u32s(&mut self, at: At, values: &[u32]) {
        self.begin_list(at, values.len());
        values.iter().for_each(|value| self.uint((*value).into()));
    }

    fn i64s(&mut self, at: At, values: &[i64]) {
        self.begin_list(at, values.len());
        values.iter().for_each(|value| self.int(*value));
    }

    fn u64s(&mut self, at: At, values: &[u64]) {
        self.begin_list(at, values.len());
        values.iter().for_each(|value| self.uint(*value));
    }
}
