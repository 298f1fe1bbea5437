//! A registry that fails on command.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dubhe_registry::{
    Backend, Demand, Listing, Registry, RegistryParams, Session, Updates, supervise,
};
use rpc_core::{Error, Instance, ServiceKey};
use tokio::sync::watch;
use tokio::time::Instant;

use super::key;

/// The service whose list it knows.
pub(crate) const SERVICE: &str = "shop.Inventory";

/// A registry that knows one list and can be told to fail.
#[derive(Debug, Clone)]
pub(crate) struct Flaky(pub(crate) Arc<FlakyState>);

#[derive(Debug)]
pub(crate) struct FlakyState {
    pub(crate) is_up: watch::Sender<bool>,
    /// While it is down: whether it answers and refuses everybody.
    pub(crate) refuses: AtomicBool,
    pub(crate) listed: Mutex<BTreeMap<String, Instance>>,
    pub(crate) revision: AtomicU64,
    pub(crate) connects: AtomicUsize,
    pub(crate) registers: AtomicUsize,
    /// What was to be registered, and when.
    tries: Mutex<Vec<(String, Instant)>>,
    /// What was taken off the list.
    unregistered: Mutex<Vec<String>>,
    pub(crate) watches: AtomicUsize,
    pub(crate) refusals: AtomicUsize,
    /// How often it does not take an instance off the list.
    pub(crate) keeps: AtomicUsize,
}

impl Flaky {
    pub(crate) fn new(is_up: bool) -> (Self, Arc<dyn Registry>) {
        Self::with(is_up, RegistryParams::new("flaky://"))
    }

    pub(crate) fn with(is_up: bool, config: RegistryParams) -> (Self, Arc<dyn Registry>) {
        let flaky = Self(Arc::new(FlakyState {
            is_up: watch::Sender::new(is_up),
            refuses: AtomicBool::new(false),
            listed: Mutex::default(),
            revision: AtomicU64::new(1),
            connects: AtomicUsize::new(0),
            registers: AtomicUsize::new(0),
            tries: Mutex::default(),
            unregistered: Mutex::default(),
            watches: AtomicUsize::new(0),
            refusals: AtomicUsize::new(0),
            keeps: AtomicUsize::new(0),
        }));
        let registry = supervise(Arc::new(flaky.clone()), &config);
        (flaky, registry)
    }

    pub(crate) fn listed(&self) -> Vec<String> {
        self.0.listed.lock().unwrap().keys().cloned().collect()
    }

    pub(crate) fn unregistered(&self) -> Vec<String> {
        self.0.unregistered.lock().unwrap().clone()
    }

    /// The pauses between the attempts to register an instance.
    pub(crate) fn pauses(&self, address: &str) -> Vec<Duration> {
        let tries = self.0.tries.lock().unwrap();
        let at: Vec<_> = tries.iter().filter(|(of, _)| of == address).map(|(_, at)| *at).collect();
        at.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    pub(crate) fn forget(&self) {
        self.0.listed.lock().unwrap().clear();
        self.0.revision.fetch_add(1, Ordering::SeqCst);
    }
}

/// Fails as often as `times` says.
fn fail_while(times: &AtomicUsize) -> Result<(), Error> {
    let one_less = |n: usize| n.checked_sub(1);
    match times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
        Ok(_) => Err(Error::unreachable("not now")),
        Err(_) => Ok(()),
    }
}

#[async_trait]
impl Backend for Flaky {
    fn address(&self) -> String {
        "flaky://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        self.0.connects.fetch_add(1, Ordering::SeqCst);
        match *self.0.is_up.borrow() {
            true => Ok(Arc::new(self.clone())),
            false if self.0.refuses.load(Ordering::SeqCst) => {
                Err(Error::refused("flaky:// wants another token"))
            }
            false => Err(Error::unreachable("flaky:// is down")),
        }
    }
}

#[async_trait]
impl Session for Flaky {
    async fn register(&self, instance: &Instance) -> Result<(), Error> {
        self.0.registers.fetch_add(1, Ordering::SeqCst);
        self.0.tries.lock().unwrap().push((instance.address.to_string(), Instant::now()));
        fail_while(&self.0.refusals)?;
        if instance.weight == 0 {
            return Err(Error::invalid_config("flaky:// takes none without weight"));
        }
        let mut listed = self.0.listed.lock().unwrap();
        let old = listed.insert(instance.address.to_string(), instance.clone());
        let is_news = old.as_ref() != Some(instance);
        self.0.revision.fetch_add(u64::from(is_news), Ordering::SeqCst);
        Ok(())
    }

    async fn unregister(&self, instance: &Instance) -> Result<(), Error> {
        fail_while(&self.0.keeps)?;
        self.0.unregistered.lock().unwrap().push(instance.address.to_string());
        self.0.listed.lock().unwrap().remove(&*instance.address);
        self.0.revision.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Tells the list once and misses every later change.
    async fn watch(&self, service: &ServiceKey, updates: &Updates) -> Result<(), Error> {
        self.0.watches.fetch_add(1, Ordering::SeqCst);
        updates.put(self.fetch(service).await?);
        std::future::pending().await
    }

    async fn fetch(&self, _: &ServiceKey) -> Result<Listing, Error> {
        let revision = self.0.revision.load(Ordering::SeqCst);
        Ok(Listing::new(revision, self.0.listed.lock().unwrap().values().cloned()))
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        Ok(vec![key(SERVICE)])
    }

    async fn closed(&self) {
        let mut is_up = self.0.is_up.subscribe();
        let _ = is_up.wait_for(|is_up| !is_up).await;
    }
}
