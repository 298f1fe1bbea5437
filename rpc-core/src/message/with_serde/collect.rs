//! The writer that makes a list of a message.

use bytes::Bytes;

use super::events::{Events, SerdeEvent};
use crate::message::problem::Problem;
use crate::message::schema::{EnumSchema, RecordSchema};
use crate::message::writer::{At, KeyRef, Writer};

pub(super) struct Collect {
    is_text: bool,
    events: Events,
    problem: Option<Problem>,
}

impl Collect {
    pub(super) fn new(is_text: bool) -> Self {
        Self { is_text, events: Events::default(), problem: None }
    }

    pub(super) fn finish(self) -> Result<Events, Problem> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(self.events),
        }
    }

    fn push(&mut self, at: At, event: SerdeEvent) {
        self.name(at);
        self.events.push(event);
    }

    fn name(&mut self, at: At) {
        if let Some(field) = at {
            self.events.push(SerdeEvent::Name(field.name));
        }
    }

    fn text(&mut self, text: &str) {
        if !self.events.push_text(text) {
            self.fail(Problem::new("a text is longer than 4 GiB"));
        }
    }
}

impl Writer for Collect {
    fn is_text(&self) -> bool {
        self.is_text
    }

    fn begin_record(&mut self, at: At, _: &'static RecordSchema, present: usize) {
        self.push(at, SerdeEvent::Map(present));
    }

    fn end_record(&mut self) {
        self.events.push(SerdeEvent::End);
    }

    fn begin_list(&mut self, at: At, len: usize) {
        self.push(at, SerdeEvent::List(len));
    }

    fn end_list(&mut self) {
        self.events.push(SerdeEvent::End);
    }

    fn begin_map(&mut self, at: At, len: usize) {
        self.push(at, SerdeEvent::Map(len));
    }

    fn key(&mut self, key: KeyRef<'_>) {
        match key {
            KeyRef::Bool(key) => self.events.push(SerdeEvent::Bool(key)),
            KeyRef::Int(key) => self.events.push(SerdeEvent::Int(key)),
            KeyRef::Uint(key) => self.events.push(SerdeEvent::Uint(key)),
            KeyRef::Str(key) => self.text(key),
        }
    }

    fn end_map(&mut self) {
        self.events.push(SerdeEvent::End);
    }

    fn null(&mut self, at: At) {
        self.push(at, SerdeEvent::Null);
    }

    fn bool(&mut self, at: At, value: bool) {
        self.push(at, SerdeEvent::Bool(value));
    }

    fn i32(&mut self, at: At, value: i32) {
        self.push(at, SerdeEvent::Int(value.into()));
    }

    fn u32(&mut self, at: At, value: u32) {
        self.push(at, SerdeEvent::Uint(value.into()));
    }

    fn i64(&mut self, at: At, value: i64) {
        self.push(at, SerdeEvent::Int64(value));
    }

    fn u64(&mut self, at: At, value: u64) {
        self.push(at, SerdeEvent::Uint64(value));
    }

    fn f32(&mut self, at: At, value: f32) {
        self.push(at, SerdeEvent::F32(value));
    }

    fn f64(&mut self, at: At, value: f64) {
        self.push(at, SerdeEvent::F64(value));
    }

    fn str(&mut self, at: At, value: &str) {
        self.name(at);
        self.text(value);
    }

    fn bytes(&mut self, at: At, value: &[u8]) {
        self.shared(at, &Bytes::copy_from_slice(value));
    }

    fn shared(&mut self, at: At, value: &Bytes) {
        self.name(at);
        self.events.push_bytes(value.clone());
    }

    fn variant(&mut self, at: At, of: &'static EnumSchema, number: i32) {
        self.push(at, SerdeEvent::Variant(of, number));
    }

    fn fail(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }
}
