//! Who comes back when to a registry that was away, by how many processes share it, and what an outage
//! finds: lists that are in doubt or not written yet, and who ends meanwhile. On paused time.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dubhe_registry::{
    Backend, Demand, Listing, Registry, RegistryParams, Session, Updates, supervise,
};
use rpc_core::{Error, Instance, ServiceKey};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use world::{LIMIT, instance, key, shows, until};

const SERVICE: &str = "shop.Inventory";

/// A registry that says how many processes share it.
#[derive(Debug, Clone)]
struct Crowded(Arc<Crowd>);

#[derive(Debug)]
struct Crowd {
    is_up: watch::Sender<bool>,
    /// 0 while nobody knows.
    peers: AtomicUsize,
    connects: AtomicUsize,
    listed: Mutex<BTreeSet<String>>,
    /// Whether it takes instances on, and says that it does not.
    loses_answers: AtomicBool,
    /// What watches say, one after the other and without a pause.
    said: watch::Sender<Vec<Said>>,
}

/// A list with its revision, or why none is known.
type Said = Result<(u64, Vec<Instance>), &'static str>;

impl Crowded {
    fn new(peers: usize) -> (Self, Arc<dyn Registry>) {
        Self::with(peers, &RegistryParams::new("crowded://"))
    }

    fn with(peers: usize, config: &RegistryParams) -> (Self, Arc<dyn Registry>) {
        let crowded = Self(Arc::new(Crowd {
            is_up: watch::Sender::new(true),
            peers: AtomicUsize::new(peers),
            connects: AtomicUsize::new(0),
            listed: Mutex::default(),
            loses_answers: AtomicBool::new(false),
            said: watch::Sender::new(vec![Ok((0, Vec::new()))]),
        }));
        let registry = supervise(Arc::new(crowded.clone()), config);
        (crowded, registry)
    }

    fn says(&self, peers: usize) {
        self.0.peers.store(peers, Ordering::SeqCst);
    }

    /// From now on watches say so.
    fn tells(&self, said: Result<Vec<Instance>, &'static str>) {
        self.tells_together([said.map(|list| (0, list))]);
    }

    /// The same of all these.
    fn tells_together(&self, said: impl Into<Vec<Said>>) {
        drop(self.0.said.send_replace(said.into()));
    }

    fn listed(&self) -> Vec<String> {
        self.0.listed.lock().unwrap().iter().cloned().collect()
    }

    /// Is up for so long, and then away for ten minutes; returns how often it was asked meanwhile.
    async fn asked_while_away(&self, up: Duration) -> usize {
        self.0.is_up.send_replace(true);
        let mut before = self.0.connects.load(Ordering::SeqCst);
        while self.0.connects.load(Ordering::SeqCst) == before {
            sleep(Duration::from_millis(10)).await;
        }
        sleep(up).await;
        self.0.is_up.send_replace(false);
        before = self.0.connects.load(Ordering::SeqCst);
        sleep(Duration::from_secs(600)).await;
        self.0.connects.load(Ordering::SeqCst) - before
    }
}

#[async_trait]
impl Backend for Crowded {
    fn address(&self) -> String {
        "crowded://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        self.0.connects.fetch_add(1, Ordering::SeqCst);
        match *self.0.is_up.borrow() {
            true => Ok(Arc::new(self.clone())),
            false => Err(Error::unreachable("crowded:// is down")),
        }
    }
}

#[async_trait]
impl Session for Crowded {
    async fn register(&self, instance: &Instance) -> Result<(), Error> {
        self.0.listed.lock().unwrap().insert(instance.address.to_string());
        match self.0.loses_answers.load(Ordering::SeqCst) {
            true => Err(Error::unreachable("the answer is lost")),
            false => Ok(()),
        }
    }

    async fn unregister(&self, instance: &Instance) -> Result<(), Error> {
        self.0.listed.lock().unwrap().remove(&*instance.address);
        Ok(())
    }

    async fn watch(&self, _: &ServiceKey, updates: &Updates) -> Result<(), Error> {
        let mut said = self.0.said.subscribe();
        loop {
            for said in said.borrow_and_update().clone() {
                match said {
                    Ok((revision, list)) => updates.put(Listing::new(revision, list)),
                    Err(why) => updates.doubt(Error::unreachable(why)),
                }
            }
            said.changed().await.unwrap();
        }
    }

    async fn fetch(&self, _: &ServiceKey) -> Result<Listing, Error> {
        let said = self.0.said.borrow().last().cloned().unwrap();
        said.map(|(revision, list)| Listing::new(revision, list)).map_err(Error::unreachable)
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        Ok(Vec::new())
    }

    async fn closed(&self) {
        let mut is_up = self.0.is_up.subscribe();
        let _ = is_up.wait_for(|is_up| !is_up).await;
    }

    fn peers(&self) -> Option<usize> {
        Some(self.0.peers.load(Ordering::SeqCst)).filter(|peers| *peers > 0)
    }
}

/// Pauses of 4 s ask 150 times in ten minutes, and with up to 20 s more 43 times.
const SELDOM: usize = 75;

#[tokio::test(start_paused = true)]
async fn a_reader_asks_the_more_seldom_the_more_share_the_registry_and_remembers_how_many() {
    let (crowded, registry) = Crowded::new(500);
    let _list = registry.subscribe(&key(SERVICE)).await.unwrap();
    let minute = Duration::from_secs(60);
    crowded.0.is_up.send_replace(false);
    sleep(minute).await;
    let asked = crowded.asked_while_away(minute).await;
    assert!(asked < SELDOM, "{asked} times of 500");
    // Who is back with all others has not heard of all of them yet.
    crowded.says(1);
    let asked = crowded.asked_while_away(Duration::from_secs(10)).await;
    assert!(asked < SELDOM, "{asked} times, as if all others had gone in 10 s");
    // Nobody may have been counted.
    crowded.says(0);
    let asked = crowded.asked_while_away(minute).await;
    assert!(asked < SELDOM, "{asked} times, as if it had been forgotten");
    crowded.says(1);
    let asked = crowded.asked_while_away(minute).await;
    assert!(asked > SELDOM, "{asked} times, as if others were there still");
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_back_in_seconds_however_many_share_the_registry() {
    let (crowded, registry) = Crowded::new(5000);
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    let mut registered = guard.watch();
    for outage in [0, 60, 0, 60, 0, 60, 0, 60] {
        sleep(Duration::from_secs(60)).await;
        crowded.0.is_up.send_replace(false);
        registered.wait_for(|is| !is).await.unwrap();
        sleep(Duration::from_secs(outage)).await;
        crowded.0.is_up.send_replace(true);
        let begun = Instant::now();
        registered.wait_for(|is| *is).await.unwrap();
        let limit = Duration::from_secs(if outage == 0 { 1 } else { 5 });
        assert!(begun.elapsed() < limit, "{:?} after {outage} s", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_perhaps_listed_is_taken_off_the_list_too() {
    let (crowded, registry) = Crowded::new(0);
    crowded.0.loses_answers.store(true, Ordering::SeqCst);
    let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
    assert!(!guard.is_registered());
    assert_eq!(crowded.listed(), ["a:1"]);
    guard.unregister().await.unwrap();
    assert_eq!(crowded.listed(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_ends_while_a_registry_that_is_back_is_not_asked_yet_is_taken_off_the_list() {
    for _ in 0..8 {
        let (crowded, registry) = Crowded::new(0);
        let guard = registry.register(instance(SERVICE, "a:1")).await.unwrap();
        crowded.0.is_up.send_replace(false);
        sleep(Duration::from_secs(600)).await;
        crowded.0.is_up.send_replace(true);
        // The next attempt would come in up to 4.8 s.
        let begun = Instant::now();
        guard.unregister().await.unwrap();
        assert_eq!((crowded.listed(), begun.elapsed()), (Vec::new(), Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_doubted_stays_with_the_reason_until_the_next() {
    let (crowded, registry) = Crowded::new(0);
    crowded.tells(Ok(vec![instance(SERVICE, "a:1")]));
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &["a:1"]).await;
    let mut trouble = list.watch_trouble();
    crowded.tells(Err("half of it is gone"));
    // Long before a reading would tell.
    let soon = Duration::from_secs(1);
    timeout(soon, trouble.wait_for(Option::is_some)).await.unwrap().unwrap();
    assert_eq!(&*list.trouble().unwrap().error, "half of it is gone");
    shows(&mut list, &["a:1"]).await;
    crowded.tells(Ok(vec![instance(SERVICE, "b:1")]));
    shows(&mut list, &["b:1"]).await;
    timeout(LIMIT, trouble.wait_for(Option::is_none)).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_list_and_the_doubt_that_comes_right_after_it_are_told_in_this_order() {
    let (crowded, registry) = Crowded::new(0);
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    shows(&mut list, &[]).await;
    let mut trouble = list.watch_trouble();
    let told = |port| Ok((5, vec![instance(SERVICE, port)]));
    crowded.tells_together([told("a:1"), Err("half of it is gone")]);
    let soon = Duration::from_secs(1);
    timeout(soon, trouble.wait_for(Option::is_some)).await.unwrap().unwrap();
    shows(&mut list, &["a:1"]).await;
    // One that is older than the newest says no less that there is a registry.
    crowded.tells_together([Ok((3, vec![instance(SERVICE, "b:1")]))]);
    timeout(soon, trouble.wait_for(Option::is_none)).await.unwrap().unwrap();
    shows(&mut list, &["a:1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_changed_just_before_its_session_was_lost_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = RegistryParams::new("crowded://");
    config.cache_dir = Some(dir.path().to_owned());
    let (crowded, registry) = Crowded::with(0, &config);
    // It is not written again for 5 s.
    let long = |weight| {
        let one = |number| Instance { weight, ..instance(SERVICE, &format!("a:{number}")) };
        (1..=5000).map(one).collect::<Vec<_>>()
    };
    crowded.tells(Ok(long(100)));
    let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
    until(&mut list, |list| list.instances.len() == 5000).await;
    let has = |part: &str| {
        let files = std::fs::read_dir(dir.path()).into_iter().flatten().flatten();
        let mut texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        texts.any(|text| text.contains(part))
    };
    sleep(Duration::from_secs(1)).await;
    assert!(has("a:5000"));
    crowded.tells(Ok(long(777)));
    until(&mut list, |list| list.instances[0].weight == 777).await;
    let is_written = || has("\"weight\":777");
    assert!(!is_written(), "it was written at once");
    crowded.0.is_up.send_replace(false);
    sleep(Duration::from_secs(1)).await;
    assert!(is_written());
}
