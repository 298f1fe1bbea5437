//! A provider and the channel to it, whose answers and states the test decides.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rpc_core::{
    Changes, Channel, ChannelState, Delivery, Invocation, Invoke, Listeners, ReplyFuture, Status,
};
use tokio::time::Instant;

use super::reply;
use super::simulation::Rolls;

/// What a provider does with a call.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Answers after this time.
    After(Duration),
    /// Answers after half of this time up to one and a half, as the number of the call decides.
    Around(Duration),
    /// Fails at once.
    Fail(Status),
    /// Fails after this time.
    FailAfter(Duration, Status),
    /// Never answers: the channel ends the call at its deadline.
    Hang,
}

/// What comes of a connection that no call waits for.
#[derive(Clone, Copy)]
pub(crate) enum Connects {
    /// It takes a call to open it.
    ByCall,
    /// The provider answers after this time.
    After(Duration),
    /// Somebody accepts and says nothing, until that is noticed after a second.
    Hangs,
    /// Nobody is there.
    Refused,
}

/// A provider and the channel to it.
pub(crate) struct Mock {
    this: Weak<Self>,
    address: Arc<str>,
    state: Mutex<ChannelState>,
    answer: Mutex<Answer>,
    connects: Mutex<Connects>,
    /// Answers for the next calls, before `answer` holds again.
    next: Mutex<Vec<Answer>>,
    calls: AtomicU64,
    looked: AtomicU64,
    codecs: Mutex<Vec<String>>,
    listeners: Listeners,
}

impl std::fmt::Debug for Mock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mock({})", self.address)
    }
}

impl Mock {
    pub(crate) fn new(address: &str) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            address: address.into(),
            state: Mutex::new(ChannelState::Ready),
            answer: Mutex::new(Answer::After(Duration::from_millis(1))),
            connects: Mutex::new(Connects::ByCall),
            next: Mutex::default(),
            calls: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            codecs: Mutex::default(),
            listeners: Listeners::default(),
        })
    }

    pub(crate) fn set_state(&self, state: ChannelState) {
        *self.state.lock().unwrap() = state;
        self.listeners.note();
    }

    /// Was never used, and this comes of a connection.
    pub(crate) fn unused(&self, connects: Connects) {
        *self.connects.lock().unwrap() = connects;
        self.set_state(ChannelState::Idle);
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.next.lock().unwrap().extend(answers);
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// How often its state was looked at.
    pub(crate) fn looked(&self) -> u64 {
        self.looked.load(Relaxed)
    }

    /// Codecs of the last call, the one it is written in first.
    pub(crate) fn last_codecs(&self) -> Vec<String> {
        self.codecs.lock().unwrap().clone()
    }
}

impl Invoke for Mock {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let number = self.calls.fetch_add(1, Relaxed);
        let names = invocation.codecs.iter().flat_map(|codecs| codecs.names());
        *self.codecs.lock().unwrap() = names.map(str::to_owned).collect();
        let mut next = self.next.lock().unwrap();
        let answer = match next.is_empty() {
            true => self.answer.lock().unwrap().clone(),
            false => next.remove(0),
        };
        let seed =
            self.address.bytes().fold(number, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        let answer = match answer {
            Answer::Around(time) => {
                let thousandths = Rolls(seed).below(1000) as u32;
                Answer::After(time / 2 + time * thousandths / 1000)
            }
            other => other,
        };
        Box::pin(async move {
            let deadline = invocation.deadline.instant();
            let mut reply = reply();
            if invocation.metadata.value("lb_adaptive") == Some("mem,load") {
                let told = format!("curTime:{number},load:30.0");
                reply.metadata.insert("lb_adaptive", told);
            }
            let (time, outcome) = match answer {
                Answer::Fail(status) => return Err(status),
                Answer::FailAfter(time, status) => (time, Err(status)),
                Answer::After(time) => (time, Ok(reply)),
                Answer::Hang => (Duration::MAX, Ok(reply)),
                Answer::Around(_) => unreachable!("made certain above"),
            };
            if waited(time, deadline).await {
                return outcome;
            }
            Err(Status::deadline_exceeded("no answer in time").with_delivery(Delivery::MaybeSent))
        })
    }
}

/// Waits for this time; `false` if the deadline comes first. As channels do, it wakes who waits when
/// half of the time until then has passed.
async fn waited(time: Duration, deadline: Instant) -> bool {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    if time <= left / 2 {
        tokio::time::sleep(time).await;
        return true;
    }
    tokio::time::sleep(left / 2).await;
    let rest = tokio::time::sleep(time.min(Duration::from_secs(3600)) - left / 2);
    tokio::time::timeout_at(deadline, rest).await.is_ok()
}

impl Channel for Mock {
    fn address(&self) -> &Arc<str> {
        &self.address
    }

    fn state(&self) -> ChannelState {
        self.looked.fetch_add(1, Relaxed);
        *self.state.lock().unwrap()
    }

    fn report_to(&self, changes: &Changes) {
        self.listeners.add(changes);
    }

    fn connect(&self) -> bool {
        let (time, becomes) = match *self.connects.lock().unwrap() {
            Connects::ByCall => return false,
            Connects::After(time) => (time, ChannelState::Ready),
            Connects::Hangs => (Duration::from_secs(1), ChannelState::Down),
            Connects::Refused => (Duration::from_millis(1), ChannelState::Down),
        };
        let this = self.this.upgrade().unwrap();
        this.set_state(ChannelState::Connecting);
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            this.set_state(becomes);
        });
        true
    }
}
