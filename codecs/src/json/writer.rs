//! JSON being written, without blanks.
//!
//! A comma is written before every value but the first of its list or object, together with the
//! name of its field, in one store where the name is short. A value that JSON cannot express is
//! remembered as the problem; the bytes written so far are dropped by the caller.

use base64::Engine as _;
use bytes::BytesMut;
use rpc_core::message::json_mapping::{BASE64, float_word};
use rpc_core::message::{At, EnumSchema, FieldSchema, KeyRef, Problem, Read, RecordSchema, Writer};

use super::scan;
use crate::window::AppendWindow;

/// Appends the values of one message to a buffer.
#[derive(Debug)]
pub(super) struct JsonWriter<'a> {
    out: AppendWindow<'a>,
    /// Whether nothing stands before the next value that a comma parts it from.
    is_first: bool,
    problem: Option<Problem>,
}

impl<'a> JsonWriter<'a> {
    pub(super) fn new(buf: &'a mut BytesMut) -> Self {
        Self { out: AppendWindow::new(buf), is_first: true, problem: None }
    }

    pub(super) fn finish(self) -> Read {
        self.out.finish();
        self.problem.map_or(Ok(()), Err)
    }

    /// What stands before a value: a comma, and the name of its field.
    #[inline]
    fn begin(&mut self, at: At) {
        let comma = usize::from(!self.is_first);
        self.is_first = false;
        match at {
            Some(field) => self.field(comma, field),
            None => {
                self.out.next::<1>()[0] = b',';
                self.out.advance(comma);
            }
        }
    }

    #[inline]
    fn field(&mut self, comma: usize, field: &FieldSchema) {
        let Some(short) = field.short_name() else { return self.long_field(comma, field) };
        // No longer than that, which spares looking whether there is room.
        let len = field.name.len().min(short.len());
        let room = self.out.next::<20>();
        room[0] = b',';
        room[comma] = b'"';
        room[comma + 1..comma + 17].copy_from_slice(short);
        room[comma + 1 + len] = b'"';
        room[comma + 2 + len] = b':';
        self.out.advance(comma + 3 + len);
    }

    fn long_field(&mut self, comma: usize, field: &FieldSchema) {
        self.out.next::<1>()[0] = b',';
        self.out.advance(comma);
        self.text(field.name);
        self.out.put([b':']);
    }

    #[inline]
    fn open(&mut self, at: At, bracket: u8) {
        self.begin(at);
        self.out.put([bracket]);
        self.is_first = true;
    }

    #[inline]
    fn close(&mut self, bracket: u8) {
        self.out.put([bracket]);
        self.is_first = false;
    }

    #[inline]
    fn text(&mut self, text: &str) {
        self.out.put([b'"']);
        let mut rest = text.as_bytes();
        loop {
            let end = scan::plain_end(rest, 0);
            let (plain, more) = rest.split_at(end);
            self.out.put_slice(plain);
            let Some((stop, after)) = more.split_first() else { break };
            self.escape(*stop);
            rest = after;
        }
        self.out.put([b'"']);
    }

    /// Appends `byte`, which cannot stand in a string by itself, as an escape.
    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                let [high, low] = [byte >> 4, byte & 0x0f].map(|digit| HEX[usize::from(digit)]);
                return self.out.put([b'\\', b'u', b'0', b'0', high, low]);
            }
        };
        self.out.put([b'\\', short]);
    }

    #[inline]
    fn number(&mut self, value: impl itoa::Integer) {
        self.out.put_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A number of 64 bits: JavaScript would round it without quotes.
    #[inline]
    fn quoted(&mut self, value: impl itoa::Integer) {
        self.out.put([b'"']);
        self.number(value);
        self.out.put([b'"']);
    }

    #[inline]
    fn float(&mut self, word: Option<&str>, value: impl zmij::Float) {
        match word {
            // JSON has no word for what is not a number.
            Some(word) => self.text(word),
            None => self.out.put_slice(zmij::Buffer::new().format_finite(value).as_bytes()),
        }
    }
}

impl Writer for JsonWriter<'_> {
    fn is_text(&self) -> bool {
        true
    }

    fn begin_record(&mut self, at: At, _: &'static RecordSchema, _: usize) {
        self.open(at, b'{');
    }

    fn end_record(&mut self) {
        self.close(b'}');
    }

    fn begin_list(&mut self, at: At, _: usize) {
        self.open(at, b'[');
    }

    fn end_list(&mut self) {
        self.close(b']');
    }

    fn begin_map(&mut self, at: At, _: usize) {
        self.open(at, b'{');
    }

    fn key(&mut self, key: KeyRef<'_>) {
        self.begin(None);
        match key {
            KeyRef::Bool(key) => self.text(if key { "true" } else { "false" }),
            KeyRef::Int(key) => self.quoted(key),
            KeyRef::Uint(key) => self.quoted(key),
            KeyRef::Str(key) => self.text(key),
        }
        self.out.put([b':']);
        self.is_first = true;
    }

    fn end_map(&mut self) {
        self.close(b'}');
    }

    fn null(&mut self, at: At) {
        self.begin(at);
        self.out.put(*b"null");
    }

    fn bool(&mut self, at: At, value: bool) {
        self.begin(at);
        if value {
            self.out.put(*b"true");
        } else {
            self.out.put(*b"false");
        }
    }

    fn i32(&mut self, at: At, value: i32) {
        self.begin(at);
        self.number(value);
    }

    fn u32(&mut self, at: At, value: u32) {
        self.begin(at);
        self.number(value);
    }

    fn i64(&mut self, at: At, value: i64) {
        self.begin(at);
        self.quoted(value);
    }

    fn u64(&mut self, at: At, value: u64) {
        self.begin(at);
        self.quoted(value);
    }

    fn f32(&mut self, at: At, value: f32) {
        self.begin(at);
        self.float(float_word(value.into()), value);
    }

    fn f64(&mut self, at: At, value: f64) {
        self.begin(at);
        self.float(float_word(value), value);
    }

    fn str(&mut self, at: At, value: &str) {
        self.begin(at);
        self.text(value);
    }

    fn bytes(&mut self, at: At, value: &[u8]) {
        self.begin(at);
        let Some(len) = base64::encoded_len(value.len(), true) else {
            return self.fail(Problem::new("bytes are too long for base64"));
        };
        self.out.put([b'"']);
        self.out.fill(len, |room| {
            // As long as it said.
            let _ = BASE64.encode_slice(value, room);
        });
        self.out.put([b'"']);
    }

    fn variant(&mut self, at: At, of: &'static EnumSchema, number: i32) {
        self.begin(at);
        self.text(of.name_of(number));
    }

    fn fail(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }
}
