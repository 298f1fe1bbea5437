//! What this process lists of one service of Nacos, and how much of it the server is known to have.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rpc_core::Error;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::time::Instant;

use super::messages::NacosHost;
use crate::lock::locked;

/// How long a list is not read again to see whether ours are there: so long for each host on it, times the hosts on all lists
/// that this process stands on. A server sends the whole list to each who asks; who stand on the same lists together so
/// read some 10,000 hosts a second, however many they and their lists are.
const UNREAD_FOR_TWO: Duration = Duration::from_micros(100);

/// How long after they were published it is soon enough to look whether hosts are listed; Nacos takes half a second.
const LISTED_AFTER: Duration = Duration::from_secs(1);

/// How soon hosts that were published again, and are not listed then, are published once more: at first and at last. Who
/// switches one off in Nacos, or changes what it says, has it so for long, and whoever follows the list is told of each
/// publication. At first it is less than the time between two checks: a server may lose them twice.
const AGAIN_AFTER: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(600));

/// What this process lists of one service.
#[derive(Debug, Default)]
pub(super) struct OwnHosts {
    wanted: Mutex<Wanted>,
    /// Held while one of them publishes or checks.
    turn: AsyncMutex<Done>,
}

#[derive(Debug, Default)]
struct Wanted {
    /// In the order of the hashes of their keys. A consumer has one for each service that it follows.
    hosts: Vec<OwnHost>,
    /// Keyed at random, so that no key can be found that has the hash of another.
    hasher: RandomState,
    /// Grows with every change.
    version: u64,
}

/// A host that is wanted.
#[derive(Debug)]
struct OwnHost {
    /// The hash of a key of the caller's.
    key: u64,
    /// The first version that has it as it is, until the server has taken that.
    untaken: Option<u64>,
    /// As JSON: what it says of itself takes several times the memory as a map.
    json: Box<str>,
}

/// How far the server has followed.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The version that the server has.
    version: u64,
    /// When that was last true.
    checked: Option<Instant>,
    /// Whether something was published that was not answered, and may be there.
    may_have: bool,
    /// Whether it was on the list then; else it was only published.
    was_listed: bool,
    /// How many hosts are on the list as it was read last.
    listed: usize,
    /// The share of the longest time that the list is not read again: those who came together do not stay together.
    share: f64,
    /// What was published again and has not been listed since.
    off_list: Option<OffList>,
}

/// Hosts that were not on the list, were published again, and may stay off it.
#[derive(Debug)]
struct OffList {
    hosts: usize,
    /// When they are published once more, if they are not listed then.
    again: Instant,
    pause: Duration,
    /// Whether they were looked for since.
    is_looked_for: bool,
}

/// What is known of all lists that this process stands on.
#[derive(Debug, Default)]
pub(super) struct KnownLists {
    /// How many were read.
    lists: AtomicUsize,
    /// How many hosts were on them then.
    hosts: AtomicUsize,
    /// How long none is not read again at most.
    longest: Option<Duration>,
}

/// How long a look at a list is enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct CheckPause {
    /// However short the list is.
    holds: Duration,
    /// How many hosts are on all lists that this process stands on.
    hosts: usize,
    /// How many are on one that was not read yet, as far as can be guessed.
    typical: usize,
    longest: Option<Duration>,
}

/// What is to be done until the server has a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextStep {
    /// It has it, or who changed it since publishes that.
    Nothing,
    /// It had it, and may have lost it.
    Check,
    Publish,
}

impl OwnHosts {
    /// Has `host` wanted under `key`, and returns the version that has it.
    ///
    /// # Errors
    /// It does not survive JSON ([`Error::invalid_config`], as it never will), and nothing has changed.
    pub(super) fn put(&self, key: &str, host: &NacosHost) -> Result<u64, Error> {
        let lost = |why: String| Error::invalid_config(format!("no instance of Nacos: {why}"));
        let json = serde_json::to_string(host).map_err(|error| lost(error.to_string()))?;
        let json = json.into_boxed_str();
        let mut wanted = locked(&self.wanted);
        match wanted.find(key) {
            Ok(at) if wanted.hosts[at].json == json => {}
            // One that could not be read any more would be in the way of all others.
            _ if read(&json).map_err(lost)? != *host => {
                return Err(lost("it is another one once it was JSON".to_owned()));
            }
            Ok(at) => {
                wanted.version += 1;
                let untaken = Some(wanted.version);
                wanted.hosts[at] = OwnHost { key: wanted.hosts[at].key, untaken, json };
            }
            Err((at, key)) => {
                if wanted.hosts.is_empty() {
                    wanted.hosts.reserve_exact(1);
                }
                wanted.version += 1;
                let untaken = Some(wanted.version);
                wanted.hosts.insert(at, OwnHost { key, untaken, json });
            }
        }
        Ok(wanted.version)
    }

    /// Has nothing wanted under `key`, and returns the version without it.
    pub(super) fn remove(&self, key: &str) -> u64 {
        let mut wanted = locked(&self.wanted);
        if let Ok(at) = wanted.find(key) {
            wanted.hosts.remove(at);
            wanted.version += 1;
        }
        wanted.version
    }

    /// What is wanted, by address, and its version.
    ///
    /// # Errors
    /// A host cannot be read any more.
    pub(super) fn hosts(&self) -> Result<(Vec<NacosHost>, u64), String> {
        self.hosts_that(|_| true)
    }

    /// As [`hosts`](Self::hosts), without those that no server has taken yet, but with the one under `key`; `None` if there
    /// is no other that none has taken.
    pub(super) fn taken_hosts(&self, key: Option<&str>) -> Result<Option<Vec<NacosHost>>, String> {
        let key = key.map(|key| locked(&self.wanted).hasher.hash_one(key));
        let (hosts, _) = self.hosts_that(|host| host.untaken.is_none() || Some(host.key) == key)?;
        Ok((hosts.len() < locked(&self.wanted).hosts.len()).then_some(hosts))
    }

    fn hosts_that(
        &self,
        is_meant: impl Fn(&OwnHost) -> bool,
    ) -> Result<(Vec<NacosHost>, u64), String> {
        let (hosts, version) = {
            let wanted = locked(&self.wanted);
            let hosts = wanted.hosts.iter().filter(|host| is_meant(host));
            (hosts.map(|host| read(&host.json)).collect::<Result<Vec<_>, _>>(), wanted.version)
        };
        let mut hosts = hosts?;
        hosts.sort_unstable_by(|a, b| {
            (&a.ip, a.port, &a.metadata).cmp(&(&b.ip, b.port, &b.metadata))
        });
        Ok((hosts, version))
    }

    /// A server has taken all of `version`.
    pub(super) fn take(&self, version: u64) {
        let mut wanted = locked(&self.wanted);
        for host in &mut wanted.hosts {
            host.untaken = host.untaken.filter(|since| *since > version);
        }
    }

    /// A server has taken the host under `key`.
    pub(super) fn take_one(&self, key: &str) {
        let mut wanted = locked(&self.wanted);
        if let Ok(at) = wanted.find(key) {
            wanted.hosts[at].untaken = None;
        }
    }

    /// The host that is wanted under `key`.
    pub(super) fn host(&self, key: &str) -> Option<NacosHost> {
        let wanted = locked(&self.wanted);
        let at = wanted.find(key).ok()?;
        read(&wanted.hosts[at].json).ok()
    }

    /// Whether nothing is wanted.
    pub(super) fn is_empty(&self) -> bool {
        locked(&self.wanted).hosts.is_empty()
    }

    /// The version of what is wanted.
    pub(super) fn version(&self) -> u64 {
        locked(&self.wanted).version
    }

    /// Waits until nobody else publishes or checks.
    pub(super) async fn turn(&self) -> MutexGuard<'_, Done> {
        self.turn.lock().await
    }
}

impl Wanted {
    /// Where the host under `key` is, or where it belongs, and the hash of the key.
    fn find(&self, key: &str) -> Result<usize, (usize, u64)> {
        let key = self.hasher.hash_one(key);
        self.hosts.binary_search_by_key(&key, |host| host.key).map_err(|at| (at, key))
    }
}

impl KnownLists {
    /// None yet, each of which is read again after this time at the latest.
    pub(super) fn up_to(longest: Duration) -> Self {
        Self { longest: Some(longest), ..Self::default() }
    }

    /// Does what may change how many hosts are known to be on a list.
    pub(super) fn count<T>(&self, done: &mut Done, change: impl FnOnce(&mut Done) -> T) -> T {
        let before = done.listed;
        let outcome = change(done);
        let is_read = |listed: usize| usize::from(listed > 0);
        // What wraps around comes back: no more is taken than was added.
        self.hosts.fetch_add(done.listed.wrapping_sub(before), Ordering::Relaxed);
        self.lists.fetch_add(is_read(done.listed).wrapping_sub(is_read(before)), Ordering::Relaxed);
        outcome
    }

    /// How long a look at one of them is enough, which is at least as long as it `holds`.
    pub(super) fn pause(&self, holds: Duration) -> CheckPause {
        let hosts = self.hosts.load(Ordering::Relaxed);
        let typical = hosts.checked_div(self.lists.load(Ordering::Relaxed)).unwrap_or(0);
        CheckPause { holds, hosts, typical, longest: self.longest }
    }
}

impl Done {
    /// What is to be done until the server has `version`, where `newest` is wanted; with `pause` it is looked now and then
    /// whether the server has it still.
    pub(super) fn next_step(
        &self,
        version: u64,
        newest: u64,
        pause: Option<CheckPause>,
    ) -> NextStep {
        if self.version < version {
            return NextStep::Publish;
        }
        let has_lately = |pause: CheckPause| {
            let holds = if self.was_listed { pause.holds } else { pause.holds.min(LISTED_AFTER) };
            let listed = if self.listed == 0 { pause.typical } else { self.listed };
            let times = u32::try_from(listed.saturating_mul(pause.hosts)).unwrap_or(u32::MAX);
            let unread = UNREAD_FOR_TWO.saturating_mul(times).mul_f64(self.share);
            let unread = unread.min(pause.longest.unwrap_or(Duration::MAX));
            self.checked.is_some_and(|at| at.elapsed() < holds.max(unread))
        };
        // A change of somebody else's is published by that one.
        match pause.is_none_or(has_lately) || self.version != newest {
            true => NextStep::Nothing,
            false => NextStep::Check,
        }
    }

    /// The list was read: it has `listed` hosts, and `off_list` of `version` of ours are not among them. Says whether those
    /// are for the first time known to stay off it although the server has them.
    pub(super) fn look(&mut self, listed: usize, off_list: usize, version: u64) -> bool {
        self.listed = listed;
        if off_list == 0 {
            if version == self.version {
                self.wait_again(true);
                self.off_list = None;
            }
            return false;
        }
        if self.is_lost(off_list) {
            // However long the list is, ours are to be looked for again.
            self.checked = None;
            return false;
        }
        self.wait_again(true);
        let known = self.off_list.as_mut();
        known.is_some_and(|known| !std::mem::replace(&mut known.is_looked_for, true))
    }

    /// Whether so many of ours that are not on the list are to be published again: none is, and those are not that are
    /// known to stay off it although the server has them.
    pub(super) fn is_lost(&self, off_list: usize) -> bool {
        let is_known = |known: &OffList| off_list <= known.hosts && Instant::now() < known.again;
        off_list > 0 && !self.off_list.as_ref().is_some_and(is_known)
    }

    /// A publication has failed, perhaps after the server took it.
    pub(super) fn fail(&mut self, is_unanswered: bool) {
        self.may_have |= is_unanswered;
    }

    /// Whether the server has never had anything.
    pub(super) fn has_nothing(&self) -> bool {
        self.version == 0 && !self.may_have
    }

    /// The list could not be read now, and is not read again sooner than if it had been.
    pub(super) fn defer(&mut self) {
        self.wait_again(true);
    }

    /// It is the list of nobody any more.
    pub(super) fn forget(&mut self) {
        self.listed = 0;
    }

    fn wait_again(&mut self, was_listed: bool) {
        (self.checked, self.was_listed) = (Some(Instant::now()), was_listed);
        self.share = rand::random_range(0.5..=1.0);
    }

    /// Whether the server is known to list what it has.
    pub(super) fn is_listed(&self) -> bool {
        self.off_list.is_none()
    }

    /// The server has `version`, as of now; if so many of it were not on its list, for it was published again.
    pub(super) fn reach(&mut self, version: u64, off_list: usize) {
        self.version = version;
        self.wait_again(false);
        let before = self.off_list.take().filter(|_| off_list > 0);
        if off_list > 0 {
            let (first, longest) = AGAIN_AFTER;
            let pause = before.as_ref().map_or(first, |known| (known.pause * 2).min(longest));
            let is_looked_for = before.is_some_and(|known| known.is_looked_for);
            let again = Instant::now() + pause;
            self.off_list = Some(OffList { hosts: off_list, again, pause, is_looked_for });
        }
    }
}

fn read(json: &str) -> Result<NacosHost, String> {
    serde_json::from_str(json).map_err(|error| format!("a host does not survive JSON: {error}"))
}

/// How many of `ours` are not `listed`.
pub(super) fn off_list(listed: &[NacosHost], ours: &[NacosHost]) -> usize {
    // Two starts of a program may be listed at one address.
    let mut by_address: HashMap<_, Vec<_>> = HashMap::new();
    for host in listed {
        by_address.entry((&*host.ip, host.port)).or_default().push(&host.metadata);
    }
    let is_off = |ours: &&NacosHost| {
        let theirs = by_address.get(&(&*ours.ip, ours.port));
        theirs.is_none_or(|theirs| !theirs.contains(&&ours.metadata))
    };
    ours.iter().filter(is_off).count()
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn host(ip: &str, port: u16, start: &str) -> NacosHost {
        let metadata = [("start".to_owned(), start.to_owned())].into();
        NacosHost { ip: ip.into(), port, metadata: Some(metadata), ..NacosHost::default() }
    }

    #[test]
    fn a_version_grows_with_each_change_alone() {
        let own = OwnHosts::default();
        assert_eq!(own.put("a", &host("10.0.0.1", 1, "1")).unwrap(), 1);
        assert_eq!(own.put("a", &host("10.0.0.1", 1, "1")).unwrap(), 1, "nothing has changed");
        assert_eq!(own.put("a", &host("10.0.0.1", 1, "2")).unwrap(), 2);
        assert_eq!(own.put("b", &host("10.0.0.2", 1, "1")).unwrap(), 3);
        assert_eq!(own.remove("gone"), 3);
        assert_eq!(own.remove("a"), 4);
        assert_eq!(own.hosts(), Ok((vec![host("10.0.0.2", 1, "1")], 4)));
    }

    #[test]
    fn a_host_that_does_not_survive_json_is_told_and_costs_no_other() {
        let own = OwnHosts::default();
        own.put("a", &host("10.0.0.1", 1, "1")).unwrap();
        let weightless = NacosHost { weight: f64::NAN, ..host("10.0.0.2", 1, "1") };
        let told = own.put("b", &weightless).unwrap_err();
        assert!(told.is_invalid_config(), "it is not tried again: {told}");
        assert_eq!(own.hosts(), Ok((vec![host("10.0.0.1", 1, "1")], 1)));
    }

    #[test]
    fn hosts_are_published_by_address() {
        let own = OwnHosts::default();
        let hosts: Vec<_> = (1..=20).map(|port| host("10.0.0.1", port, "1")).collect();
        for (key, host) in hosts.iter().enumerate() {
            own.put(&key.to_string(), host).unwrap();
        }
        assert_eq!(own.hosts(), Ok((hosts, 20)));
    }

    /// How long it is enough to have looked at one of so many lists, each with so many hosts.
    fn pause(lists: usize, listed: usize) -> Option<CheckPause> {
        let known = KnownLists::default();
        for _ in 0..lists {
            known.count(&mut Done::default(), |done| done.look(listed, 0, 0));
        }
        Some(known.pause(Duration::from_secs(20)))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_published_already_is_checked_at_times_and_not_published_again() {
        let (mut done, checks) = (Done::default(), pause(1, 1));
        assert_eq!(done.next_step(1, 1, checks), NextStep::Publish);
        // Nothing is wanted, and nothing was published: still that may be false of an older connection.
        assert_eq!(done.next_step(0, 0, checks), NextStep::Check);
        done.reach(2, 0);
        // Its change went with a later one.
        assert_eq!(done.next_step(1, 2, checks), NextStep::Nothing);
        assert_eq!(done.next_step(3, 3, None), NextStep::Publish);
        advance(LISTED_AFTER).await;
        assert_eq!(done.next_step(2, 2, None), NextStep::Nothing);
        assert_eq!(done.next_step(2, 3, checks), NextStep::Nothing, "another one publishes 3");
        assert_eq!(done.next_step(2, 2, checks), NextStep::Check);
        done.look(1, 0, 1);
        assert_eq!(done.next_step(2, 2, checks), NextStep::Check, "that was not the one it has");
        let look: fn(&mut Done) = |done| _ = done.look(1, 0, 2);
        for look in [look, Done::defer] {
            look(&mut done);
            advance(Duration::from_secs(19)).await;
            assert_eq!(done.next_step(2, 2, checks), NextStep::Nothing);
            advance(Duration::from_secs(1)).await;
            assert_eq!(done.next_step(2, 2, checks), NextStep::Check);
        }
        assert_eq!(done.next_step(3, 3, checks), NextStep::Publish, "the version stays");
    }

    #[tokio::test(start_paused = true)]
    async fn the_longer_lists_are_the_more_seldom_they_are_read_for_ours() {
        // Lists, hosts on each, and for how many seconds none or each is read again.
        let cases = [
            (1, 1, 19, 20),
            (1, 400, 19, 20),
            (1, 1000, 49, 100),
            (2, 1000, 99, 200),
            (1000, 20, 19, 40),
        ];
        for (lists, listed, nothing_after, check_after) in cases {
            let (mut done, checks) = (Done::default(), pause(lists, listed));
            // One that was not read yet is taken for one like the others.
            for looked in [false, true] {
                done.reach(1, 0);
                if looked {
                    done.look(listed, 0, 1);
                    advance(Duration::from_secs(nothing_after)).await;
                    assert_eq!(
                        done.next_step(1, 1, checks),
                        NextStep::Nothing,
                        "{lists}, {listed}"
                    );
                } else if listed == 1000 {
                    advance(Duration::from_secs(nothing_after)).await;
                    assert_eq!(
                        done.next_step(1, 1, checks),
                        NextStep::Nothing,
                        "{lists}, {listed}"
                    );
                }
                advance(Duration::from_secs(check_after)).await;
                assert_eq!(done.next_step(1, 1, checks), NextStep::Check, "{lists}, {listed}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_list_of_a_provider_is_left_unread_for_longer_than_was_said() {
        let (known, mut done) = (KnownLists::up_to(Duration::from_secs(3600)), Done::default());
        known.count(&mut Done::default(), |done| done.look(1_000_000, 0, 0));
        done.reach(1, 0);
        for (after, next) in [(1799, NextStep::Nothing), (1801, NextStep::Check)] {
            advance(Duration::from_secs(after)).await;
            assert_eq!(done.next_step(1, 1, Some(known.pause(Duration::ZERO))), next);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lists_that_nothing_of_ours_is_on_any_more_do_not_count() {
        let (known, mut short) = (KnownLists::default(), Done::default());
        let mut long = Done::default();
        known.count(&mut short, |done| done.look(20, 0, 0));
        known.count(&mut long, |done| done.look(10_000, 0, 0));
        short.reach(1, 0);
        known.count(&mut short, |done| done.look(20, 0, 1));
        advance(Duration::from_secs(5)).await;
        let next =
            |known: &KnownLists| short.next_step(1, 1, Some(known.pause(Duration::from_secs(5))));
        assert_eq!(next(&known), NextStep::Nothing);
        known.count(&mut long, Done::forget);
        assert_eq!(next(&known), NextStep::Check);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_on_a_long_list_is_looked_for_until_it_is_there() {
        let (mut done, checks) = (Done::default(), pause(1, 1000));
        done.reach(1, 0);
        done.look(1000, 0, 1);
        for _ in 0..2 {
            done.look(1000, 1, 1);
            assert_eq!(done.next_step(1, 1, checks), NextStep::Check);
        }
        done.reach(1, 0);
        assert_eq!(done.next_step(1, 1, checks), NextStep::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_off_the_list_is_published_ever_more_seldom_until_it_is_listed() {
        let (mut done, checks) = (Done::default(), pause(1, 1));
        done.reach(1, 0);
        let (mut published, mut told) = (Vec::new(), Vec::new());
        for check in 0..120 {
            advance(Duration::from_secs(30)).await;
            assert_eq!(done.next_step(1, 1, checks), NextStep::Check);
            told.extend(done.look(1, 1, 1).then_some(check));
            if done.is_lost(1) {
                published.push(check);
                done.reach(1, 1);
            }
            assert_eq!(done.next_step(1, 1, checks), NextStep::Nothing, "it is looked at soon");
            assert!(!done.is_listed());
        }
        // In the end every ten minutes.
        assert_eq!(published, [0, 1, 3, 6, 12, 23, 43, 63, 83, 103]);
        assert_eq!(told, [2]);
        assert!(done.is_lost(2), "another one is, too");
        assert!(!done.look(1, 0, 1) && done.is_listed() && done.is_lost(1), "it was listed");
        done.reach(1, 1);
        done.reach(2, 0);
        assert!(done.is_listed(), "what is new is not known to stay off the list");
    }

    #[test]
    fn what_no_server_has_taken_yet_is_told_from_the_rest() {
        let own = OwnHosts::default();
        let host = |port| host("10.0.0.1", port, "1");
        own.put("a", &host(1)).unwrap();
        assert_eq!(own.taken_hosts(Some("a")), Ok(None), "it is alone");
        own.take(own.version());
        own.put("b", &host(2)).unwrap();
        own.put("c", &host(3)).unwrap();
        assert_eq!(own.taken_hosts(Some("b")), Ok(Some(vec![host(1), host(2)])));
        assert_eq!(own.taken_hosts(None), Ok(Some(vec![host(1)])));
        own.take_one("b");
        assert_eq!(own.taken_hosts(None), Ok(Some(vec![host(1), host(2)])));
        assert_eq!(own.taken_hosts(Some("c")), Ok(None));
        // One that says something else is another one, which was published with the last.
        own.put("a", &host(4)).unwrap();
        assert_eq!(own.taken_hosts(Some("c")), Ok(Some(vec![host(2), host(3)])));
        own.take(own.version() - 1);
        assert_eq!(own.taken_hosts(None), Ok(Some(vec![host(2), host(3)])));
    }

    #[test]
    fn a_server_has_ours_where_address_and_metadata_are_the_same() {
        let ours = [host("10.0.0.1", 1, "1"), host("10.0.0.2", 1, "1")];
        let older = host("10.0.0.1", 1, "0");
        let listed = [older.clone(), ours[1].clone(), ours[0].clone()];
        assert_eq!(off_list(&listed, &ours), 0, "in any order, beside others");
        assert_eq!(off_list(&listed[..2], &ours), 1, "an older start is another one");
        assert_eq!(off_list(&ours[..1], &ours), 1);
        assert_eq!(off_list(&[host("10.0.0.1", 2, "1")], &ours[..1]), 1, "the port is another one");
        assert_eq!(off_list(&[], &ours), 2);
        assert_eq!(off_list(&[], &[]), 0);
        // What the server adds is its own.
        let told = NacosHost { healthy: false, weight: 7.0, ..ours[0].clone() };
        assert_eq!(off_list(&[told], &ours[..1]), 0);
    }
}
