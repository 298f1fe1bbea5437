//! Discrete events: methods with gates before pools and shared processors, on a clock of its own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::super::{GateOutcome, Gates, MethodGate};
use crate::metrics::gate::GateMetrics;

/// A figure in milliseconds that depends on the time and on chance.
pub(super) type Figure = Box<dyn Fn(f64, &mut SmallRng) -> f64>;

/// The same always.
pub(super) fn always(figure: f64) -> Figure {
    Box::new(move |_, _| figure)
}

/// Lognormal with this median.
pub(super) fn lognormal(median: f64, sigma: f64) -> Figure {
    Box::new(move |_, dice| median * (sigma * normal(dice)).exp())
}

/// Even between the two.
pub(super) fn between(low: f64, high: f64) -> Figure {
    Box::new(move |_, dice| dice.random_range(low..high))
}

fn normal(dice: &mut SmallRng) -> f64 {
    let (a, b) = (dice.random_range(f64::MIN_POSITIVE..1.0), dice.random_range(0.0..1.0));
    f64::sqrt(-2.0 * f64::ln(a)) * f64::cos(std::f64::consts::TAU * b)
}

/// How calls come.
pub(super) enum Load {
    /// Each by itself: calls a second, by time.
    Poisson(Box<dyn Fn(f64) -> f64>),
    /// So many at one instant, each second.
    Bursts(Box<dyn Fn(f64) -> f64>),
}

/// What calls queue for.
pub(super) enum Resource {
    /// Nothing: they only wait.
    Free,
    /// Places that are taken in the order of arrival.
    Pool { places: usize, queue: VecDeque<usize> },
    /// Processors that all share.
    Shared(Processors),
}

impl Resource {
    pub(super) fn pool(places: usize) -> Self {
        Self::Pool { places, queue: VecDeque::new() }
    }

    pub(super) fn processors(count: f64) -> Self {
        Self::Shared(Processors { count, ..Processors::default() })
    }
}

/// Processor sharing by attained service.
#[derive(Default)]
pub(super) struct Processors {
    count: f64,
    running: f64,
    attained: f64,
    since: f64,
    turn: u64,
    /// By the attained service at which they are done, in nanoseconds.
    ends: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Processors {
    fn speed(&self) -> f64 {
        (self.count / self.running.max(1.0)).min(1.0)
    }

    fn advance(&mut self, now: f64) {
        self.attained += (now - self.since) * self.speed();
        self.since = now;
    }
}

/// One method.
pub(super) struct Served {
    pub(super) load: Load,
    pub(super) takes: Figure,
    pub(super) deadline: Figure,
    pub(super) resource: usize,
    pub(super) gated: bool,
    /// After how long a caller gives up, if it does.
    pub(super) gives_up: Option<Figure>,
}

impl Served {
    pub(super) fn new(
        load: impl Fn(f64) -> f64 + 'static,
        takes: Figure,
        deadline: Figure,
    ) -> Self {
        let load = Load::Poisson(Box::new(load));
        Self { load, takes, deadline, resource: 0, gated: true, gives_up: None }
    }

    pub(super) fn at(self, resource: usize) -> Self {
        Self { resource, ..self }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Useful,
    Late,
    Refused,
    GivenUp,
}

/// One call that is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) method: usize,
    pub(super) came: f64,
    pub(super) ended: f64,
    pub(super) end: End,
    pub(super) hint: f64,
}

struct Call {
    method: usize,
    came: f64,
    deadline: f64,
    work: f64,
    holds: bool,
    over: bool,
}

enum Event {
    Arrival(usize),
    /// A call of a pool, or one that only waits, is done.
    Done(usize),
    /// Some call of these processors is done, unless they have turned meanwhile.
    Turn(usize, u64),
    Deadline(usize),
    GivesUp(usize),
}

/// A provider, its callers, and the clock.
pub(super) struct Sim {
    dice: SmallRng,
    epoch: Instant,
    now: f64,
    order: u64,
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    what: Vec<Event>,
    calls: Vec<Call>,
    methods: Vec<Served>,
    resources: Vec<Resource>,
    pub(super) gates: Vec<MethodGate>,
    pub(super) records: Vec<Record>,
    /// State and limit of the first gate, when they changed.
    pub(super) states: Vec<(f64, i64)>,
}

impl Sim {
    pub(super) fn new(seed: u64, resources: Vec<Resource>, methods: Vec<Served>) -> Self {
        let epoch = Instant::now();
        let gates = Gates::new(epoch);
        let gate = |_: &Served| MethodGate::new("m".into(), gates.clone(), GateMetrics::default());
        let gates = methods.iter().map(gate).collect();
        let mut sim = Self {
            dice: SmallRng::seed_from_u64(seed),
            epoch,
            now: 0.0,
            order: 0,
            events: BinaryHeap::new(),
            what: Vec::new(),
            calls: Vec::new(),
            methods,
            resources,
            gates,
            records: Vec::new(),
            states: vec![(0.0, 0)],
        };
        for method in 0..sim.methods.len() {
            sim.next_arrival(method);
        }
        sim
    }

    /// Runs to `until` milliseconds and returns itself for a look.
    pub(super) fn run(mut self, until: f64) -> Self {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            self.now = at as f64 / 1e6;
            if self.now > until {
                break;
            }
            let event = std::mem::replace(&mut self.what[event], Event::Deadline(usize::MAX));
            self.act(event);
            let state = self.gates[0].metrics.state();
            if self.states.last().is_some_and(|(_, last)| *last != state) {
                self.states.push((self.now, state));
            }
        }
        self
    }

    fn act(&mut self, event: Event) {
        match event {
            Event::Arrival(method) => {
                let burst = match &self.methods[method].load {
                    Load::Poisson(_) => 1,
                    Load::Bursts(size) => size(self.now) as usize,
                };
                for _ in 0..burst {
                    self.arrive(method);
                }
                self.next_arrival(method);
            }
            Event::Done(call) => self.end(call, End::Useful),
            Event::Turn(resource, turn) => self.turn(resource, turn),
            Event::Deadline(usize::MAX) => {}
            Event::Deadline(call) => self.end(call, End::Late),
            Event::GivesUp(call) => self.end(call, End::GivenUp),
        }
    }

    fn plan(&mut self, at: f64, event: Event) {
        self.order += 1;
        self.what.push(event);
        self.events.push(Reverse(((at * 1e6) as u64, self.order, self.what.len() - 1)));
    }

    fn next_arrival(&mut self, method: usize) {
        let at = match &self.methods[method].load {
            Load::Poisson(rate) => {
                let rate = rate(self.now);
                if rate == 0.0 {
                    self.now + 50.0
                } else {
                    self.now - self.dice.random_range(f64::MIN_POSITIVE..1.0).ln() * 1000.0 / rate
                }
            }
            Load::Bursts(_) => (self.now / 1000.0).floor() * 1000.0 + 1000.0,
        };
        self.plan(at, Event::Arrival(method));
    }

    fn instant(&self) -> Instant {
        self.epoch + span(self.now)
    }

    fn arrive(&mut self, method: usize) {
        let (now, dice, served) = (self.now, &mut self.dice, &self.methods[method]);
        let came = now;
        if let Load::Poisson(rate) = &served.load
            && rate(now) == 0.0
        {
            return;
        }
        let (work, patience) = ((served.takes)(now, dice), (served.deadline)(now, dice));
        let gives_up = served.gives_up.as_ref().map(|after| after(now, dice));
        if served.gated
            && let Err(full) = self.gates[method].begin(self.instant())
        {
            let hint = full.retry_after.as_secs_f64() * 1000.0;
            let end = End::Refused;
            self.records.push(Record { method, came, ended: now, end, hint });
            return;
        }
        let (deadline, call) = (now + patience, self.calls.len());
        self.calls.push(Call { method, came, deadline, work, holds: false, over: false });
        self.plan(deadline, Event::Deadline(call));
        if let Some(after) = gives_up.filter(|after| *after < patience) {
            self.plan(now + after, Event::GivesUp(call));
        }
        self.begin_work(call);
    }

    fn begin_work(&mut self, call: usize) {
        let (now, work) = (self.now, self.calls[call].work);
        let resource = self.methods[self.calls[call].method].resource;
        match &mut self.resources[resource] {
            Resource::Free => self.plan(now + work, Event::Done(call)),
            Resource::Pool { places, queue } => {
                if *places == 0 {
                    queue.push_back(call);
                } else {
                    *places -= 1;
                    self.hold(call);
                }
            }
            Resource::Shared(shared) => {
                shared.advance(now);
                shared.running += 1.0;
                shared.ends.push(Reverse((((shared.attained + work) * 1e6) as u64, call)));
                self.next_turn(resource);
            }
        }
    }

    fn hold(&mut self, call: usize) {
        self.calls[call].holds = true;
        self.plan(self.now + self.calls[call].work, Event::Done(call));
    }

    /// Plans when the first of a processor's calls is done.
    fn next_turn(&mut self, resource: usize) {
        let Resource::Shared(shared) = &mut self.resources[resource] else { return };
        while shared.ends.peek().is_some_and(|Reverse((_, call))| self.calls[*call].over) {
            shared.ends.pop();
        }
        shared.turn += 1;
        let turn = shared.turn;
        if let Some(Reverse((end, _))) = shared.ends.peek() {
            let left = (*end as f64 / 1e6 - shared.attained).max(0.0) / shared.speed();
            let at = shared.since + left + 2e-6;
            self.plan(at, Event::Turn(resource, turn));
        }
    }

    fn turn(&mut self, resource: usize, turn: u64) {
        let Resource::Shared(shared) = &mut self.resources[resource] else { return };
        if shared.turn != turn {
            return;
        }
        if let Some(Reverse((_, call))) = shared.ends.pop() {
            self.end(call, End::Useful);
        }
    }

    fn end(&mut self, call: usize, end: End) {
        let Call { method, came, deadline, holds, over, .. } = self.calls[call];
        if over {
            return;
        }
        self.calls[call].over = true;
        let now = self.now;
        self.records.push(Record { method, came, ended: now, end, hint: 0.0 });
        if self.methods[method].gated {
            let outcome = match end {
                End::Useful => GateOutcome::Useful,
                End::GivenUp => GateOutcome::GivenUp,
                End::Late | End::Refused => GateOutcome::Late,
            };
            let (spent, allowed) = (span(now - came), span(deadline - came));
            self.gates[method].end(self.instant(), spent, allowed, outcome);
        }
        self.leave(self.methods[method].resource, holds);
    }

    /// Lets the next one have what a call leaves.
    fn leave(&mut self, resource: usize, held: bool) {
        match &mut self.resources[resource] {
            Resource::Free => {}
            Resource::Pool { places, queue } => {
                if !held {
                    return;
                }
                loop {
                    match queue.pop_front() {
                        None => break *places += 1,
                        Some(next) if self.calls[next].over => {}
                        Some(next) => break self.hold(next),
                    }
                }
            }
            Resource::Shared(shared) => {
                shared.advance(self.now);
                shared.running -= 1.0;
                self.next_turn(resource);
            }
        }
    }

    // What was seen.

    /// Calls that came in `[from, to)` and ended so, of one method.
    pub(super) fn came(&self, method: usize, end: End, from: f64, to: f64) -> usize {
        let of = |r: &&Record| r.method == method && r.end == end && (from..to).contains(&r.came);
        self.records.iter().filter(of).count()
    }

    /// Calls that ended in `[from, to)` and so, of one method.
    pub(super) fn ended(&self, method: usize, end: End, from: f64, to: f64) -> usize {
        let of = |r: &&Record| r.method == method && r.end == end && (from..to).contains(&r.ended);
        self.records.iter().filter(of).count()
    }

    /// How many calls of any method were refused.
    pub(super) fn refused(&self) -> usize {
        self.records.iter().filter(|record| record.end == End::Refused).count()
    }

    /// The time that 99 % of the calls that were taken from `from` on stay below.
    pub(super) fn p99(&self, method: usize, from: f64, to: f64) -> f64 {
        let of = |r: &&Record| {
            r.method == method && r.end != End::Refused && (from..to).contains(&r.came)
        };
        let times = self.records.iter().filter(of).map(|record| record.ended - record.came);
        let mut times: Vec<f64> = times.collect();
        times.sort_by(f64::total_cmp);
        times[times.len() * 99 / 100]
    }

    pub(super) fn limit(&self, method: usize) -> u32 {
        self.gates[method].limit.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(super) fn trials(&self, method: usize) -> u64 {
        self.gates[method].metrics.trials()
    }
}

fn span(millis: f64) -> Duration {
    Duration::from_nanos((millis * 1e6) as u64)
}
