//! The calls of one connection that wait for an answer.
//!
//! A slab whose request ids are generation and slot, so that an answer is found without hashing
//! and a late answer can never reach the next user of its slot.
//!
//! ```text
//!         insert                complete                 poll
//! Free ------------> Waiting ------------> Done(outcome) ------> Free, generation + 1
//!                       |  abandon: the caller has gone         ^
//!                       +---------------------------------------+
//! ```
//!
//! A passed deadline and a lost connection are outcomes, too. Exactly one reaches a call:
//! `complete` has no effect on a slot that does not wait, or whose generation has gone on.

use std::task::Waker;

use bytes::Bytes;
use rpc_core::status::Status;
use tokio::time::Instant;

use crate::dubbo::wire::header::Header;
use crate::transport::write_queue::QueueMark;

/// How a waiting call ends: a frame of its own, or a failure of this side.
#[derive(Debug)]
pub(super) enum CallEnd {
    Frame(Header, Bytes),
    Failed(Status),
}

/// The stage of a waiting call's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    /// The number of the write that carries it.
    pub(super) batch: u64,
    /// Its place in the buffer, until the write begins.
    pub(super) place: Option<QueueMark>,
}

/// Waiting calls by slot.
#[derive(Debug)]
pub(super) struct Pending {
    slots: Vec<Slot>,
    /// First free slot, chained through `State::Free`.
    free: u32,
    waiting: usize,
    limit: usize,
    /// The generation of a new slot.
    first: u32,
}

/// A place in the table. The generation tells its users apart.
#[derive(Debug)]
struct Slot {
    generation: u32,
    state: State,
}

/// The state of a slot; the transitions are in the head of this file.
#[derive(Debug)]
enum State {
    /// The next free slot.
    Free(u32),
    Waiting {
        waker: Waker,
        /// When its caller is to look what else it could do; `None` once it was woken for that.
        halfway: Option<Instant>,
        deadline: Instant,
        sent: Sent,
    },
    /// Answered; the caller has not looked yet.
    Done(CallEnd),
}

const NONE: u32 = u32::MAX;

impl Pending {
    /// A table for at most `limit` waiting calls, whose slots begin with the generation `first`:
    /// ids of several connections stand in one log, so each connection begins somewhere else.
    pub(super) fn new(limit: usize, first: u32) -> Self {
        let limit = limit.min(NONE as usize - 1);
        Self { slots: Vec::new(), free: NONE, waiting: 0, limit, first }
    }

    /// How many calls wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes a slot and returns the request id; `None` when the table is full. Who waits is woken
    /// at `halfway` too, by the sweep.
    pub(super) fn insert(
        &mut self,
        waker: Waker,
        halfway: Instant,
        deadline: Instant,
        sent: Sent,
    ) -> Option<u64> {
        let state = State::Waiting { waker, halfway: Some(halfway), deadline, sent };
        let index = if self.free != NONE {
            let index = self.free;
            let slot = &mut self.slots[index as usize];
            if let State::Free(next) = slot.state {
                self.free = next;
            }
            slot.state = state;
            index
        } else {
            if self.slots.len() >= self.limit {
                return None;
            }
            self.slots.push(Slot { generation: self.first, state });
            (self.slots.len() - 1) as u32
        };
        self.waiting += 1;
        Some(id(self.slots[index as usize].generation, index))
    }

    /// Stores the outcome of `id` and returns the waker of its caller; `None` if the caller has
    /// gone.
    pub(super) fn complete(&mut self, id: u64, outcome: CallEnd) -> Option<Waker> {
        let slot = self.slots.get_mut(slot_of(id))?;
        if slot.generation != generation_of(id) || !matches!(slot.state, State::Waiting { .. }) {
            return None;
        }
        self.waiting -= 1;
        match std::mem::replace(&mut slot.state, State::Done(outcome)) {
            State::Waiting { waker, .. } => Some(waker),
            State::Free(_) | State::Done(_) => None,
        }
    }

    /// Takes the outcome of `id` and frees its slot; otherwise remembers `waker`.
    pub(super) fn poll(&mut self, id: u64, waker: &Waker) -> Option<CallEnd> {
        let slot = self.slots.get_mut(slot_of(id))?;
        debug_assert_eq!(slot.generation, generation_of(id), "a call polls its own slot");
        match &mut slot.state {
            State::Waiting { waker: known, .. } => {
                known.clone_from(waker);
                None
            }
            State::Free(_) => None,
            State::Done(_) => self.release(id),
        }
    }

    /// Frees the slot of a call without a waiting caller; `Some` if it was still unanswered.
    pub(super) fn abandon(&mut self, id: u64) -> Option<Sent> {
        let was_waiting = match self.slots.get(slot_of(id))?.state {
            State::Waiting { sent, .. } => Some(sent),
            State::Free(_) | State::Done(_) => None,
        };
        self.waiting -= usize::from(was_waiting.is_some());
        self.release(id);
        was_waiting
    }

    /// Fails every waiting call; `why` is asked for each with the number of its write.
    pub(super) fn fail_all(&mut self, wakers: &mut Vec<Waker>, why: impl Fn(u64) -> Status) {
        for slot in &mut self.slots {
            if let State::Waiting { sent, .. } = &slot.state {
                let outcome = State::Done(CallEnd::Failed(why(sent.batch)));
                if let State::Waiting { waker, .. } = std::mem::replace(&mut slot.state, outcome) {
                    wakers.push(waker);
                }
            }
        }
        self.waiting = 0;
    }

    /// Ends every call whose deadline is not after `now`; `expired` gets its id and where its
    /// request is, and makes the outcome. Those halfway there are woken, once. Returns when the
    /// next of either is due.
    pub(super) fn sweep(
        &mut self,
        now: Instant,
        wakers: &mut Vec<Waker>,
        mut expired: impl FnMut(u64, Sent) -> Status,
    ) -> Option<Instant> {
        let mut earliest: Option<Instant> = None;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let State::Waiting { waker, halfway, deadline, sent } = &mut slot.state else {
                continue;
            };
            if *deadline > now {
                if halfway.take_if(|halfway| *halfway <= now).is_some() {
                    wakers.push(waker.clone());
                }
                let due = halfway.unwrap_or(*deadline);
                earliest = Some(earliest.map_or(due, |earliest| earliest.min(due)));
                continue;
            }
            let status = expired(id(slot.generation, index as u32), *sent);
            let outcome = State::Done(CallEnd::Failed(status));
            if let State::Waiting { waker, .. } = std::mem::replace(&mut slot.state, outcome) {
                wakers.push(waker);
                self.waiting -= 1;
            }
        }
        earliest
    }

    fn release(&mut self, id: u64) -> Option<CallEnd> {
        let slot = &mut self.slots[slot_of(id)];
        slot.generation = slot.generation.wrapping_add(1);
        let state = std::mem::replace(&mut slot.state, State::Free(self.free));
        self.free = slot_of(id) as u32;
        match state {
            State::Done(outcome) => Some(outcome),
            State::Waiting { .. } | State::Free(_) => None,
        }
    }
}

fn id(generation: u32, index: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(index)
}

fn slot_of(id: u64) -> usize {
    (id & 0xffff_ffff) as usize
}

fn generation_of(id: u64) -> u32 {
    (id >> 32) as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SENT: Sent = Sent { batch: 0, place: None };

    fn frame(id: u64) -> CallEnd {
        CallEnd::Frame(Header::response(13, 20, id), Bytes::new())
    }

    /// A call until `deadline`, of which nobody is to be told that half of its time has passed.
    fn wait(pending: &mut Pending, deadline: Instant) -> Option<u64> {
        pending.insert(Waker::noop().clone(), deadline, deadline, SENT)
    }

    #[test]
    fn late_answers_of_100_000_cancelled_calls_reach_nobody() {
        let (mut pending, deadline) = (Pending::new(64, u32::MAX - 1), Instant::now());
        let mut cancelled = Vec::new();
        for _ in 0..100_000 {
            let id = wait(&mut pending, deadline).unwrap();
            assert_eq!(pending.abandon(id), Some(SENT));
            cancelled.push(id);
        }
        let live = wait(&mut pending, deadline).unwrap();
        for id in cancelled {
            assert!(pending.complete(id, frame(id)).is_none());
        }
        assert!(pending.poll(live, Waker::noop()).is_none());
        assert!(pending.complete(live, frame(live)).is_some());
        assert!(
            matches!(pending.poll(live, Waker::noop()), Some(CallEnd::Frame(h, _)) if h.id == live)
        );
        assert_eq!(pending.waiting(), 0);
    }

    #[test]
    fn a_second_answer_to_one_call_is_dropped() {
        let mut pending = Pending::new(1, u32::MAX - 1);
        let id = wait(&mut pending, Instant::now()).unwrap();
        assert!(pending.complete(id, frame(id)).is_some());
        assert!(pending.complete(id, frame(id)).is_none());
        assert!(pending.complete(id ^ 1 << 32, frame(id)).is_none());
        assert!(pending.complete(u64::MAX, frame(id)).is_none());
    }

    #[test]
    fn a_full_table_refuses_and_recovers() {
        let (mut pending, now) = (Pending::new(2, u32::MAX - 1), Instant::now());
        let first = wait(&mut pending, now).unwrap();
        wait(&mut pending, now).unwrap();
        assert!(wait(&mut pending, now).is_none());
        pending.abandon(first);
        assert!(wait(&mut pending, now).is_some());
    }

    #[test]
    fn a_sweep_ends_what_is_due_and_names_the_next() {
        let (mut pending, now) = (Pending::new(8, u32::MAX - 1), Instant::now());
        let later = now + Duration::from_secs(1);
        let due = wait(&mut pending, now).unwrap();
        wait(&mut pending, later).unwrap();
        let (mut wakers, mut ended) = (Vec::new(), Vec::new());
        let next = pending.sweep(now, &mut wakers, |id, _| {
            ended.push(id);
            Status::deadline_exceeded("x")
        });
        assert_eq!((next, ended, wakers.len(), pending.waiting()), (Some(later), vec![due], 1, 1));
    }

    #[test]
    fn who_waits_is_woken_once_when_half_of_the_time_has_passed() {
        let (mut pending, now) = (Pending::new(8, u32::MAX - 1), Instant::now());
        let (half, end) = (now + Duration::from_millis(500), now + Duration::from_secs(1));
        let id = pending.insert(Waker::noop().clone(), half, end, SENT).unwrap();
        let mut sweep = |at| {
            let mut wakers = Vec::new();
            let next = pending.sweep(at, &mut wakers, |_, _| Status::deadline_exceeded("x"));
            (next, wakers.len())
        };
        assert_eq!(sweep(now), (Some(half), 0));
        assert_eq!(sweep(half), (Some(end), 1));
        assert_eq!(sweep(half), (Some(end), 0));
        assert!(pending.poll(id, Waker::noop()).is_none(), "it still waits");
        let mut wakers = Vec::new();
        pending.sweep(end, &mut wakers, |_, _| Status::deadline_exceeded("x"));
        assert_eq!((wakers.len(), pending.waiting()), (1, 0));
    }
}
