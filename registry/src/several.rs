//! Several registries that act as one: registered with all of them, found in any of them.
//!
//! For moving a fleet from one registry to another, for two sites, and for a registry that may be
//! lost for long. Each registry keeps its own session, repair and cache
//! ([`supervise`](crate::supervise)), so one that is away takes nothing from the others: its last
//! list stays in the merged one. An address that several list counts once, by its youngest start. Long lists
//! are merged outside of the runtime's threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use futures_util::future::{join_all, select_all};
use rpc_core::{
    Error, Instance, Latest, ServiceKey, Snapshot, Source, Subscription, Trouble, runtime,
};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::lock::locked;
use crate::off_thread::off_thread_if_long;
use crate::recover::RUNTIME_ENDED;
use crate::registration::Wanted;
use crate::{ConfigCenter, Diagnosis, ListedConsumer, Registration, Registry};

/// Combines several registries into one; a single one is returned as it is.
///
/// - A registration is confirmed when all of them have confirmed it.
/// - A list is the union of theirs, live as soon as one of them is (an empty one only when each has
///   answered or failed); while some are lost, the subscription carries their trouble, which names up to three.
/// - `list`, `services` and `consumers` answer if at least one registry does; which one does not is a warning in the
///   log.
/// - A registry that rejects our credentials fails the set-up, even if the others accept them.
///
/// # Errors
/// The list is empty.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), rpc_core::Error> {
/// use dubhe_registry::{connect, several};
/// use rpc_core::{Instance, ServiceKey};
///
/// let (old, new) = (connect("memory://old")?, connect("memory://new")?);
/// let both = several(vec![old.clone(), new.clone()])?;
/// let stock = ServiceKey::new("shop.Stock");
/// let _listed = both.register(Instance::new(stock.clone(), "10.0.0.1:20880", "start-1")).await?;
/// assert_eq!((old.list(&stock).await?.len(), new.list(&stock).await?.len()), (1, 1));
/// // Listed twice, and one instance all the same.
/// assert_eq!(both.list(&stock).await?.len(), 1);
/// # Ok(())
/// # }
/// ```
pub fn several(mut registries: Vec<Arc<dyn Registry>>) -> Result<Arc<dyn Registry>, Error> {
    match (registries.len(), registries.pop()) {
        (_, None) => Err(Error::invalid_config("no registry is given, give one at least")),
        (1, Some(only)) => Ok(only),
        (_, Some(last)) => {
            registries.push(last);
            let silent = registries.iter().map(|_| AtomicBool::new(false)).collect();
            Ok(Arc::new(Several { registries, silent }))
        }
    }
}

/// The registries behind one; never empty.
#[derive(Debug)]
struct Several {
    registries: Vec<Arc<dyn Registry>>,
    /// Which of them, in the same order, did not answer the last question.
    silent: Vec<AtomicBool>,
}

impl Several {
    /// The answers of the registries that answer; their errors if none does. Each of the others is
    /// told once until it answers: an answer of a part looks like one of all.
    fn any_of<T>(&self, answers: Vec<Result<Vec<T>, Error>>) -> Result<Vec<T>, Error> {
        let (mut all, mut answered, mut failed) = (Vec::new(), false, Vec::new());
        for (answer, silent) in answers.into_iter().zip(&self.silent) {
            match answer {
                Ok(some) => {
                    silent.store(false, Ordering::Relaxed);
                    answered = true;
                    all.extend(some);
                }
                Err(error) => failed.push((error, silent)),
            }
        }
        if !answered && !failed.is_empty() {
            return Err(together(failed.into_iter().map(|(error, _)| error).collect()));
        }
        for (error, silent) in failed {
            if !silent.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    target: "dubhe::registry::list",
                    %error, "a registry does not answer, what it alone lists is missing"
                );
            }
        }
        Ok(all)
    }
}

/// The errors of all registries as one. One that refuses us says more than others that are away.
fn together(errors: Vec<Error>) -> Error {
    if let Some(refused) = errors.iter().find(|error| error.is_refused()) {
        return refused.clone();
    }
    let mut texts: Vec<String> = errors.iter().map(Error::to_string).collect();
    texts.dedup();
    match (&texts[..], errors.into_iter().next()) {
        ([_], Some(only)) => only,
        _ => Error::unreachable(texts.join("; and ")),
    }
}

#[async_trait]
impl Registry for Several {
    fn address(&self) -> String {
        let addresses: Vec<String> =
            self.registries.iter().map(|registry| registry.address()).collect();
        addresses.join(" and ")
    }

    fn is_local(&self) -> bool {
        self.registries.iter().all(|registry| registry.is_local())
    }

    async fn register(&self, instance: Instance) -> Result<Registration, Error> {
        let registering =
            self.registries.iter().map(|registry| registry.register(instance.clone()));
        let members: Vec<Registration> =
            join_all(registering).await.into_iter().collect::<Result<_, _>>()?;
        let wanted = watch::Sender::new(Wanted::Listed(instance));
        let registered = watch::Sender::new(members.iter().all(Registration::is_registered));
        let is_registered = registered.subscribe();
        let (done, outcome) = oneshot::channel();
        // Not aborted with the guard: dropping that unregisters, which may take a moment longer.
        tokio::spawn(keep_all(members, wanted.subscribe(), registered, done));
        Ok(Registration::new(wanted, is_registered, outcome, ()))
    }

    async fn subscribe(&self, service: &ServiceKey) -> Result<Subscription, Error> {
        let subscribing = self.registries.iter().map(|registry| registry.subscribe(service));
        let members: Vec<Subscription> =
            join_all(subscribing).await.into_iter().collect::<Result<_, _>>()?;
        let (snapshots, newest) = Latest::channel(Snapshot::pending());
        let (trouble, troubled) = Latest::channel(None);
        let merged = Arc::new(Merged {
            seen: Mutex::new(members.iter().map(Seen::of).collect()),
            published: Mutex::default(),
            snapshots,
            trouble,
        });
        merged.publish_apart().await?;
        let followers = Arc::new(Followers::new(members, merged));
        followers.follow();
        let subscription = Subscription::new(newest, Arc::clone(&followers))
            .resumed_by(move || followers.follow());
        Ok(subscription.of_registry(self.address(), troubled))
    }

    async fn list(&self, service: &ServiceKey) -> Result<Vec<Instance>, Error> {
        let lists = join_all(self.registries.iter().map(|registry| registry.list(service))).await;
        let listed = self.any_of(lists)?;
        let items = listed.len();
        let merge = move || Snapshot::new(listed, Source::Live).to_vec();
        off_thread_if_long(items, merge).await
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        let lists = join_all(self.registries.iter().map(|registry| registry.services())).await;
        let mut services = self.any_of(lists)?;
        services.sort();
        services.dedup();
        Ok(services)
    }

    /// Those of the registries that keep them; who is listed at several is there once.
    async fn consumers(&self, service: &ServiceKey) -> Result<Option<Vec<ListedConsumer>>, Error> {
        let lists = join_all(self.registries.iter().map(|one| one.consumers(service))).await;
        let is_kept = lists.iter().any(|list| matches!(list, Ok(Some(_))));
        let lists = lists.into_iter().map(|list| list.map(Option::unwrap_or_default)).collect();
        let mut consumers = self.any_of(lists)?;
        consumers.sort();
        // When it started is when it began to use the one registry or the other.
        let process = |of: &ListedConsumer| (of.host.clone(), of.application.clone(), of.pid);
        consumers.dedup_by(|later, earlier| later.pid > 0 && process(later) == process(earlier));
        Ok(is_kept.then_some(consumers))
    }

    /// That of the first registry that has one.
    fn config_center(&self) -> Option<Arc<dyn ConfigCenter>> {
        self.registries.iter().find_map(|registry| registry.config_center())
    }

    async fn diagnose(&self) -> Vec<Diagnosis> {
        let mut found: Vec<Diagnosis> = Vec::new();
        for seen in
            join_all(self.registries.iter().map(|registry| registry.diagnose())).await.concat()
        {
            // They share the folder of their lists.
            if !found.contains(&seen) {
                found.push(seen);
            }
        }
        found
    }

    async fn shutdown(&self) {
        join_all(self.registries.iter().map(|registry| registry.shutdown())).await;
    }
}

/// Registers at every member what the guard wants, and reports whether all have confirmed it.
///
/// Ends when the guard asks for it or is dropped, or when a registry has been shut down; then it
/// unregisters all.
async fn keep_all(
    members: Vec<Registration>,
    mut wanted: watch::Receiver<Wanted>,
    registered: watch::Sender<bool>,
    done: oneshot::Sender<Result<(), Error>>,
) {
    let mut confirmed: Vec<watch::Receiver<bool>> =
        members.iter().map(Registration::watch).collect();
    loop {
        let is = confirmed.iter_mut().all(|member| *member.borrow_and_update());
        registered.send_if_modified(|was| std::mem::replace(was, is) != is);
        let changes = confirmed.iter_mut().map(|member| Box::pin(member.changed()));
        tokio::select! {
            (change, ..) = select_all(changes) => match change {
                Ok(()) => continue,
                Err(_) => break,
            },
            changed = wanted.changed() => if changed.is_err() { break },
        }
        let instance = match &*wanted.borrow_and_update() {
            Wanted::Listed(instance) => instance.clone(),
            Wanted::Gone => break,
        };
        for member in &members {
            // The guard has checked the service; a registry that was shut down ends this anyway.
            let _ = member.update(instance.clone());
        }
    }
    registered.send_replace(false);
    let outcomes = join_all(members.into_iter().map(Registration::unregister)).await;
    // An error only means that no caller waits for the answer.
    let _ = done.send(outcomes.into_iter().collect());
}

/// The last snapshot of one registry, and its trouble.
#[derive(Debug, Clone)]
struct Seen {
    latest: Snapshot,
    registry: Arc<str>,
    trouble: Option<Trouble>,
}

impl Seen {
    fn of(member: &Subscription) -> Self {
        Self {
            latest: member.latest(),
            registry: Arc::clone(member.registry()),
            trouble: member.trouble(),
        }
    }
}

/// The last snapshots of all registries, and the senders of their union.
#[derive(Debug)]
struct Merged {
    seen: Mutex<Vec<Seen>>,
    published: Mutex<UnionTurn>,
    snapshots: Latest<Snapshot>,
    trouble: Latest<Option<Trouble>>,
}

/// Which unions there are: several may be made at a time.
#[derive(Debug, Default)]
struct UnionTurn {
    begun: u64,
    published: u64,
}

impl Merged {
    /// As [`publish`](Self::publish), apart from the runtime's threads if it is long.
    ///
    /// # Errors
    /// The runtime shuts down.
    async fn publish_apart(self: &Arc<Self>) -> Result<(), Error> {
        let items = locked(&self.seen).iter().map(|one| one.latest.instances.len()).sum();
        let merged = Arc::clone(self);
        off_thread_if_long(items, move || merged.publish()).await
    }

    /// Publishes the union of what is known now, unless a later one was published before.
    fn publish(&self) {
        let (seen, turn) = {
            let mut published = locked(&self.published);
            published.begun += 1;
            (locked(&self.seen).clone(), published.begun)
        };
        // Without a lock, so that nobody waits until a long one is made.
        let (snapshot, trouble) = (union(&seen), all_troubles(&seen));
        let mut published = locked(&self.published);
        if published.published > turn {
            return;
        }
        published.published = turn;
        self.snapshots.send_if_other(snapshot);
        self.trouble.send_if_other(trouble);
    }
}

/// The union of the last lists: live if one of them is, else as old as the oldest, and pending
/// while it is empty and a registry has neither answered nor failed.
fn union(seen: &[Seen]) -> Snapshot {
    let known = || seen.iter().filter(|one| one.latest.source != Source::Pending);
    let is_live = known().any(|one| one.latest.source == Source::Live);
    // Only cached ones: the union is as old as the oldest of them.
    let age = known().filter_map(|one| match one.latest.source {
        Source::Cache { age } => Some(age),
        _ => None,
    });
    // The union is empty, and a registry that may have instances has neither answered nor failed.
    let is_empty = known().all(|one| one.latest.instances.is_empty());
    let waits = |one: &Seen| one.latest.source == Source::Pending && one.trouble.is_none();
    if is_empty && seen.iter().any(waits) {
        return Snapshot::pending();
    }
    match (is_live, age.max()) {
        (false, None) => Snapshot::pending(),
        (is_live, age) => {
            let source = if is_live { None } else { age };
            let source = source.map_or(Source::Live, |age| Source::Cache { age });
            let instances = known().flat_map(|one| one.latest.instances.iter().cloned());
            Snapshot::shared(instances.collect(), source)
        }
    }
}

/// The troubles of the registries that are lost as one, in their order.
fn all_troubles(seen: &[Seen]) -> Option<Trouble> {
    Trouble::of_several(seen.iter().filter_map(|one| Some((&one.registry, one.trouble.as_ref()?))))
}

/// The followers of the registries; held by the merged subscription, so that lists outlive the
/// tasks that bring them.
struct Followers {
    /// Followers whose runtime has ended.
    at_home: Mutex<Vec<Follower>>,
    tasks: Mutex<JoinSet<()>>,
}

/// Follows one registry.
struct Follower {
    member: Subscription,
    index: usize,
    /// The last that is dropped, as when all registries were shut down, ends the subscription.
    merged: Arc<Merged>,
}

impl Followers {
    fn new(members: Vec<Subscription>, merged: Arc<Merged>) -> Self {
        let follower = |(index, member)| Follower { member, index, merged: Arc::clone(&merged) };
        let at_home = Mutex::new(members.into_iter().enumerate().map(follower).collect());
        Self { at_home, tasks: Mutex::default() }
    }

    /// Has every registry followed in the runtime here; says whether one was not that now may
    /// confirm its list anew.
    fn follow(self: &Arc<Self>) -> bool {
        if runtime::with_timers().is_err() {
            return false;
        }
        let mut is_anew = false;
        // Taken first: where the runtime shuts down, who is sent to work is back home at once.
        let followers = std::mem::take(&mut *locked(&self.at_home));
        for follower in followers {
            is_anew |= follower.member.resume();
            let at_work = AtWork { follower: Some(follower), home: Arc::downgrade(self) };
            locked(&self.tasks).spawn(at_work.run());
        }
        is_anew
    }
}

/// A follower at work; goes home when its task is ended from outside, be it before it began.
struct AtWork {
    follower: Option<Follower>,
    home: Weak<Followers>,
}

impl AtWork {
    async fn run(mut self) {
        if let Some(follower) = &mut self.follower {
            follower.run().await;
        }
        // The registry was shut down.
        self.follower = None;
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if let (Some(follower), Some(home)) = (self.follower.take(), self.home.upgrade()) {
            follower.doubt(RUNTIME_ENDED);
            locked(&home.at_home).push(follower);
        }
    }
}

impl Follower {
    /// Ends when the registry is shut down.
    async fn run(&mut self) {
        let mut trouble = self.member.watch_trouble();
        let mut is_told = true;
        // A list that came while no task followed, unless it is being asked for again.
        let seen = Seen::of(&self.member);
        if seen.trouble.as_ref().is_none_or(|trouble| &*trouble.error != RUNTIME_ENDED) {
            self.publish(seen).await;
        }
        loop {
            tokio::select! {
                next = self.member.next() => if next.is_none() { return },
                told = trouble.changed(), if is_told => is_told = told.is_ok(),
            }
            self.publish(Seen::of(&self.member)).await;
        }
    }

    /// The list is not confirmed any more, for this reason.
    fn doubt(&self, error: &str) {
        let trouble = Trouble::new(error, Instant::now());
        self.note(Seen { trouble: Some(trouble), ..Seen::of(&self.member) });
        self.merged.publish();
    }

    async fn publish(&self, seen: Seen) {
        self.note(seen);
        // It fails where the runtime ends, and this follower with it.
        let _ = self.merged.publish_apart().await;
    }

    fn note(&self, seen: Seen) {
        if let Some(mine) = locked(&self.merged.seen).get_mut(self.index) {
            *mine = seen;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    fn seen(latest: Snapshot, trouble: Option<Trouble>) -> Seen {
        Seen { latest, registry: Arc::from("registry"), trouble }
    }

    #[test]
    fn an_empty_live_list_does_not_hide_a_registry_that_has_not_answered() {
        let empty = || seen(Snapshot::new(Vec::new(), Source::Live), None);
        let both = [empty(), seen(Snapshot::pending(), None)];
        assert_eq!(union(&both).source, Source::Pending);
        let trouble = Trouble::new(Error::unreachable("lost").to_string(), Instant::now());
        let lost = [empty(), seen(Snapshot::pending(), Some(trouble))];
        assert_eq!(union(&lost).source, Source::Live);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trouble_names_some_registries_that_are_lost_and_counts_the_others() {
        let lost = |at| {
            let registry = Arc::from(format!("r{at}"));
            let since = Instant::now() - Duration::from_secs(at);
            let trouble = Some(Trouble::new("cannot connect", since));
            Seen { registry, trouble, ..seen(Snapshot::pending(), None) }
        };
        assert_eq!(all_troubles(&[seen(Snapshot::pending(), None)]), None);
        let all: Vec<_> = (1..6).map(lost).collect();
        let trouble = all_troubles(&all).unwrap();
        let named = "r1: cannot connect; r2: cannot connect; r3: cannot connect; and 2 more";
        assert_eq!((&*trouble.error, trouble.since.elapsed()), (named, Duration::from_secs(5)));
        let lost: Vec<_> = trouble.lost.iter().map(|one| (&*one.address, &*one.error)).collect();
        assert_eq!(lost, ["r1", "r2", "r3", "r4", "r5"].map(|address| (address, "cannot connect")));
    }

    #[tokio::test]
    async fn long_lists_are_merged_beside_whatever_else_runs() {
        let list = |host: &str| {
            let address = |number| format!("{host}:{}", 1 + number);
            let instance = |at: String| Instance::new(ServiceKey::new("a.B"), &at, "1");
            let instances = (0..2000).map(address).map(instance).collect();
            seen(Snapshot::new(instances, Source::Live), None)
        };
        let (snapshots, newest) = Latest::channel(Snapshot::pending());
        let merged = Arc::new(Merged {
            seen: Mutex::new(vec![list("a"), list("b")]),
            published: Mutex::default(),
            snapshots,
            trouble: Latest::new(None),
        });
        // Whoever merges waits for this, and for so long only.
        let (is_held, held) = std::sync::mpsc::channel();
        let (goes_on, until) = std::sync::mpsc::channel::<()>();
        let holder = std::thread::spawn({
            let merged = Arc::clone(&merged);
            move || {
                let _held = merged.published.lock().unwrap();
                is_held.send(()).unwrap();
                let _ = until.recv_timeout(Duration::from_secs(5));
            }
        });
        held.recv().unwrap();
        let mut merging = std::pin::pin!(merged.publish_apart());
        let first = merging.as_mut().now_or_never();
        assert!(first.is_none(), "it is merged on this thread");
        drop(goes_on);
        holder.join().unwrap();
        merging.await.unwrap();
        assert_eq!(newest.borrow().instances.len(), 4000);
        // A union that was begun before it and is late is not published any more.
        merged.published.lock().unwrap().published = 7;
        locked(&merged.seen).clear();
        merged.publish();
        assert_eq!(newest.borrow().instances.len(), 4000);
    }
}
