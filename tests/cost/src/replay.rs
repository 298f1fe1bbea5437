//! The two far ends: a provider and a consumer that repeat what real ones have said.

use std::io;

use bytes::BytesMut;

use crate::Load;
use crate::recording::Recording;
use crate::wire::{FarEnd, Flags, HEADER, id, put_with_id};

/// Answers every call with the same.
pub(crate) struct Provider(pub(crate) Recording);

impl FarEnd for Provider {
    fn take(&mut self, frame: &[u8], out: &mut BytesMut) -> io::Result<()> {
        let Recording { answer, heartbeat, .. } = &self.0;
        match Flags::of(frame) {
            flags if !flags.is_request() => {}
            flags if flags.is_event() => put_with_id(out, heartbeat, id(frame)),
            _ => put_with_id(out, answer, id(frame)),
        }
        Ok(())
    }

    fn speak(&mut self, _: &mut BytesMut) -> bool {
        true
    }
}

/// Makes the same call again and again, as many at a time as it is told, and goes.
pub(crate) struct Consumer {
    recording: Recording,
    left: Load,
    /// Answers it waits for.
    waiting: u64,
    next_id: u64,
}

impl Consumer {
    pub(crate) fn new(recording: Recording, load: Load) -> Self {
        Self { recording, left: load, waiting: 0, next_id: 1 }
    }
}

impl FarEnd for Consumer {
    fn take(&mut self, frame: &[u8], _: &mut BytesMut) -> io::Result<()> {
        let flags = Flags::of(frame);
        if flags.is_request() || flags.is_event() {
            return Ok(());
        }
        if frame[HEADER..] != self.recording.answer[HEADER..] {
            return Err(io::Error::other("the answer is not the one that was recorded"));
        }
        self.waiting -= 1;
        Ok(())
    }

    fn speak(&mut self, out: &mut BytesMut) -> bool {
        let count = (self.left.in_flight - self.waiting).min(self.left.calls);
        for _ in 0..count {
            put_with_id(out, &self.recording.request, self.next_id);
            self.next_id += 1;
        }
        self.waiting += count;
        self.left.calls -= count;
        self.waiting > 0
    }
}
