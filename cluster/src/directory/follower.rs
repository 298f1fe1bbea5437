//! The writer's side of a directory: snapshots in, lists of endpoints out.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use rpc_core::{
    ChannelState, Held, Instance, LatestReader, Snapshot, Source, Subscription, Trouble, Turns,
    hold,
};
use tokio::time::{Instant, sleep_until, timeout};

use super::broken::Broken;
use super::shared::{DirectoryShared, EndpointList};
use super::uncallable::UncallableTeller;
use crate::endpoint::AttemptLayers;
use crate::endpoint::Endpoint;
use crate::endpoint::ejection::{SharedEjection, compare_nested};

/// How often growing weights and held endpoints are looked at.
const TICK: Duration = Duration::from_secs(1);

/// How often the health of endpoints is looked at while one of them is not well.
const REVIEW: Duration = Duration::from_millis(100);

/// Most connections that are opened at a time to find out who of those that are held still answers.
const OPENINGS: usize = 16;

/// How long a restarted registry may take to confirm its list before calls use the old one.
const CONFIRMS: Duration = Duration::from_secs(2);

/// Follows one subscription; owned by the directory's task.
#[derive(Debug)]
pub(super) struct Follower {
    shared: Arc<DirectoryShared>,
    subscription: Subscription,
    is_open: bool,
    /// The trouble as it was when the registry was last asked to begin anew.
    asked: LatestReader<Option<Trouble>>,
    pushed: Snapshot,
    received: Instant,
    /// Instances that were listed or held when the list was last made, before any override.
    listed: Vec<Arc<Instance>>,
    /// How many endpoints are held although they are no longer listed.
    held: usize,
    left_out: Arc<[Arc<Instance>]>,
    uncallable: UncallableTeller,
    /// Instances without an endpoint, because making one panicked.
    broken: Broken,
    /// The shrink that is not believed yet.
    shrink: Option<Shrink>,
    /// Whether the weight of an endpoint still grows.
    is_warming: bool,
    /// Whether the list that follows from what is known is not published yet.
    is_behind: bool,
}

/// A push that removed most of a list.
#[derive(Debug)]
struct Shrink {
    before: Vec<Arc<Instance>>,
    since: Instant,
    is_told: bool,
}

impl Follower {
    /// One that has read what `subscription` says at present.
    pub(super) fn new(shared: Arc<DirectoryShared>, subscription: Subscription) -> Self {
        let (latest, asked) = (subscription.latest(), subscription.watch_trouble());
        let mut follower = Self {
            shared,
            subscription,
            is_open: true,
            asked,
            pushed: Snapshot::pending(),
            received: Instant::now(),
            listed: Vec::new(),
            held: 0,
            left_out: Arc::default(),
            uncallable: UncallableTeller::default(),
            broken: Broken::default(),
            shrink: None,
            is_warming: false,
            is_behind: false,
        };
        {
            // Without turns for others there is nothing that it waits for.
            let accepted = pin!(follower.accept(latest, Turns::none()));
            let _ = accepted.poll(&mut Context::from_waker(Waker::noop()));
        }
        follower
    }

    pub(super) fn shared(&self) -> &Arc<DirectoryShared> {
        &self.shared
    }

    /// Restarts the registry's tasks in the present runtime if they have ended. Returns whether
    /// they had, so that the list has to be confirmed.
    pub(super) fn resume(&mut self) -> bool {
        self.asked = self.subscription.watch_trouble();
        self.asked.mark_unchanged();
        self.is_open && self.subscription.resume()
    }

    /// Waits until the restarted registry confirms the list, or says why it cannot.
    async fn confirm(&mut self) {
        let _ = timeout(CONFIRMS, self.asked.changed()).await;
        let latest = self.subscription.latest();
        self.accept(latest, Turns::new()).await;
        self.shared.life.confirmed();
        self.shared.heard.send_replace(true);
    }

    /// Runs until the directory aborts it.
    pub(super) async fn run(&mut self) {
        if self.shared.life.is_confirming() {
            self.confirm().await;
        }
        if self.is_behind {
            self.rebuild(false, Turns::new()).await;
        }
        let (mut next_tick, mut next_review) = (Instant::now() + TICK, Instant::now());
        loop {
            let is_changing = self.is_changing();
            tokio::select! {
                next = self.subscription.next(), if self.is_open => match next {
                    Some(snapshot) => self.accept(snapshot, Turns::new()).await,
                    None => {
                        self.is_open = false;
                        self.shared.heard.send_replace(true);
                    }
                },
                () = self.shared.changed.notified() => {
                    // The layer that panicked may have been replaced.
                    self.broken.forget();
                    self.rebuild(false, Turns::new()).await;
                }
                () = sleep_until(next_tick), if is_changing => {
                    next_tick = Instant::now() + TICK;
                    self.rebuild(false, Turns::new()).await;
                }
                () = self.shared.outdated.notified() => self.shared.refresh_in_turns().await,
                () = alerted(&self.shared.ejection, next_review) => {
                    next_review = Instant::now() + REVIEW;
                    self.review();
                }
            }
        }
    }

    /// Looks at the health of the endpoints, and again later unless all are well.
    fn review(&self) {
        let (rules, now) = (&self.shared.ejection, Instant::now());
        rules.rest();
        let list = self.shared.list.load();
        let connected = list.endpoints.iter().filter(|endpoint| is_connected(endpoint));
        compare_nested(rules, connected.map(|endpoint| endpoint.condition()), now);
        if list.endpoints.iter().filter(|endpoint| !endpoint.condition().review(now)).count() > 0 {
            rules.alert();
        }
    }

    /// Takes over a snapshot; a pending one is ignored.
    async fn accept(&mut self, snapshot: Snapshot, turns: Turns) {
        if snapshot.source == Source::Pending {
            return;
        }
        let connector = &self.shared.connector;
        let all = snapshot.instances.iter();
        let others: Vec<_> = all.filter(|one| !connector.reaches(one)).cloned().collect();
        if others.is_empty() {
            self.pushed = snapshot;
        } else {
            let reached = snapshot.instances.iter().filter(|one| connector.reaches(one)).cloned();
            self.pushed = Snapshot { instances: reached.collect(), source: snapshot.source };
        }
        self.uncallable.tell(&self.shared.service, &others, || connector.protocols());
        self.left_out = others.into();
        self.received = Instant::now();
        self.rebuild(true, turns).await;
        self.shared.heard.send_replace(true);
    }

    fn is_changing(&self) -> bool {
        self.held > 0 || self.broken.len() > 0 || self.is_warming
    }

    /// Publishes the list that follows from the last snapshot now; `is_news` if it has just
    /// arrived. Calls beside it run on with the one before meanwhile.
    async fn rebuild(&mut self, is_news: bool, mut turns: Turns) {
        self.is_behind = true;
        let now = Instant::now();
        let shared = Arc::clone(&self.shared);
        let (old, around) = (shared.list.load_full(), shared.around.load_full());
        self.listed = self.with_held(&old, now);
        let (mut endpoints, mut disabled) = (Vec::with_capacity(self.listed.len()), Vec::new());
        for index in 0..self.listed.len() {
            turns.next().await;
            let instance = &self.listed[index];
            match around.overrides.apply(instance) {
                Some(instance) => {
                    endpoints.extend(self.endpoint(&old, instance, &around.layers, now, is_news));
                }
                None => disabled.push(instance.clone()),
            }
        }
        let (listed, off) = (&self.listed, &disabled);
        self.broken.keep(|address| has(listed, address) && !has(off, address));
        let mut is_same = same(&old.endpoints, &endpoints);
        self.is_warming = false;
        for endpoint in &endpoints {
            turns.next().await;
            is_same &= !endpoint.warm(now, shared.options.warmup);
            self.is_warming |= endpoint.is_warming();
        }
        if !is_same {
            tracing::debug!(
                target: "dubhe::directory",
                service = %shared.service,
                registry = %shared.registry,
                endpoints = endpoints.len(),
                held = self.held,
                source = ?self.pushed.source,
                "directory changed",
            );
        }
        let list = EndpointList {
            // An equal list keeps its version, and so the candidates.
            version: old.version + u64::from(!is_same),
            members: old.members.updated(&endpoints),
            endpoints,
            held: self.held,
            disabled: disabled.into(),
            broken: self.broken.len(),
            left_out: self.left_out.clone(),
            source: self.pushed.source,
            received: self.received,
        };
        shared.publish(list, turns).await;
        shared.applied.send_replace(around.version);
        self.is_behind = false;
    }

    /// The listed instances and those held, by address.
    fn with_held(&mut self, old: &EndpointList, now: Instant) -> Vec<Arc<Instance>> {
        // Compared with the list before the shrink began, so that those held stay held also when
        // some of them die meanwhile.
        let mut shrink = self.shrink.take().unwrap_or_else(|| Shrink {
            before: std::mem::take(&mut self.listed),
            since: now,
            is_told: false,
        });
        let elapsed = now.saturating_duration_since(shrink.since);
        let limit = self.shared.options.hold;
        let alive = |instance: &Instance| at(old, &instance.address).is_some_and(|e| answers(e));
        let pushed = &self.pushed.instances;
        let Held { mut instances, held } = hold(&shrink.before, pushed, elapsed, limit, alive);
        self.held = held;
        find_out(old, &instances[pushed.len()..]);
        // Providers that leave in order are off the list a moment before their goodbye is here.
        let is_sudden = held > 0 && elapsed >= TICK;
        if is_sudden && !std::mem::replace(&mut shrink.is_told, true) {
            tracing::warn!(
                target: "dubhe::directory",
                service = %self.shared.service,
                listed = pushed.len(),
                held,
                "the registry's list shrank suddenly; keeping removed instances that still answer",
            );
        }
        if held > 0 {
            self.shrink = Some(shrink);
        }
        instances.sort_by(|a, b| a.address.cmp(&b.address));
        instances
    }

    /// The endpoint of `instance`: the one there was, if it is the same provider, or if no other
    /// can be made.
    fn endpoint(
        &mut self,
        old: &EndpointList,
        instance: Arc<Instance>,
        layers: &AttemptLayers,
        now: Instant,
        is_news: bool,
    ) -> Option<Arc<Endpoint>> {
        let (shared, address) = (&*self.shared, instance.address.clone());
        let before = at(old, &address);
        if let Some(endpoint) = before
            && is_same(endpoint.shared_instance(), &instance)
            && endpoint.has(layers)
        {
            self.broken.mended(&address);
            return Some(endpoint.clone());
        }
        let made = self.broken.make(&shared.service, &address, now, || match before {
            Some(endpoint) if endpoint.instance().id == instance.id => {
                endpoint.renewed(instance, layers, is_news)
            }
            _ => {
                let channel = shared.connector.channel(&instance);
                Endpoint::watched(instance, channel, layers, shared.ejection.clone())
            }
        });
        made.map(Arc::new).or_else(|| before.cloned())
    }
}

/// Waits until an endpoint is unhealthy, and at least until `next`.
async fn alerted(rules: &SharedEjection, next: Instant) {
    rules.wait_alert().await;
    sleep_until(next).await;
}

/// Whether they are equal; most are one.
fn is_same(one: &Arc<Instance>, other: &Arc<Instance>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Whether a list that is sorted by address has one at `address`.
fn has(list: &[Arc<Instance>], address: &str) -> bool {
    list.binary_search_by(|one| (*one.address).cmp(address)).is_ok()
}

fn at<'a>(list: &'a EndpointList, address: &str) -> Option<&'a Arc<Endpoint>> {
    let by_address = |endpoint: &Arc<Endpoint>| (**endpoint.address()).cmp(address);
    let index = list.endpoints.binary_search_by(by_address).ok()?;
    list.endpoints.get(index)
}

/// Whether neither its connection nor its answers speak against it. One that was never called gets
/// the benefit of the doubt.
fn answers(endpoint: &Endpoint) -> bool {
    let state = endpoint.channel().state();
    !matches!(state, ChannelState::Down | ChannelState::Draining) && !endpoint.is_stale()
}

/// Connects to those of `held` that were never used, a few at a time: as long as nobody calls them,
/// nothing else would show that nobody is there any more.
fn find_out(old: &EndpointList, held: &[Arc<Instance>]) {
    let channels = || held.iter().filter_map(|one| at(old, &one.address)).map(|one| one.channel());
    let connecting = channels().filter(|one| one.state() == ChannelState::Connecting).count();
    let unused = channels().filter(|one| one.state() == ChannelState::Idle);
    for channel in unused.take(OPENINGS.saturating_sub(connecting)) {
        // One that only a call can open is found out by that.
        let _ = channel.connect();
    }
}

/// Whether it counts among the connected endpoints, of which only a share may be ejected.
fn is_connected(endpoint: &Endpoint) -> bool {
    let state = endpoint.channel().state();
    matches!(state, ChannelState::Ready | ChannelState::Idle) && !endpoint.is_stale()
}

fn same(old: &[Arc<Endpoint>], new: &[Arc<Endpoint>]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(a, b)| Arc::ptr_eq(a, b))
}
