//! How often an outage is told: once, also when the registry takes every session and drops it; and
//! once more, louder, when it turns out to refuse us.
//!
//! Alone in its program, because who listens to events is known to the whole process.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dubhe_registry::{Backend, Demand, Listing, RegistryParams, Session, Updates, supervise};
use rpc_core::{Error, Instance, ServiceKey};
use tokio::time::{Instant, sleep};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// A registry each of whose sessions lasts a moment.
#[derive(Debug, Default)]
struct Fickle {
    sessions: AtomicUsize,
}

#[async_trait]
impl Backend for Fickle {
    fn address(&self) -> String {
        "fickle://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Idle { lasts: Duration::from_millis(10), listed: &[] }))
    }
}

/// A session of which nothing comes but these addresses, told anew every second, and its end.
#[derive(Debug)]
struct Idle {
    lasts: Duration,
    listed: &'static [&'static str],
}

#[async_trait]
impl Session for Idle {
    async fn register(&self, _: &Instance) -> Result<(), Error> {
        Ok(())
    }

    async fn unregister(&self, _: &Instance) -> Result<(), Error> {
        Ok(())
    }

    async fn watch(&self, service: &ServiceKey, updates: &Updates) -> Result<(), Error> {
        loop {
            updates.put(self.fetch(service).await?);
            sleep(Duration::from_secs(1)).await;
        }
    }

    async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error> {
        let instance = |address: &&str| Instance::new(service.clone(), address, "1");
        Ok(Listing::new(0, self.listed.iter().map(instance)))
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        Ok(Vec::new())
    }

    async fn closed(&self) {
        sleep(self.lasts).await;
    }
}

/// A registry that is not there for a minute, then refuses everybody.
#[derive(Debug)]
struct Stern {
    begun: Instant,
}

#[async_trait]
impl Backend for Stern {
    fn address(&self) -> String {
        "stern://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        match self.begun.elapsed() < Duration::from_secs(60) {
            true => Err(Error::unreachable("stern:// is down")),
            false => Err(Error::refused("stern:// wants another token")),
        }
    }
}

/// A registry that comes up after a minute.
#[derive(Debug)]
struct Late {
    begun: Instant,
}

#[async_trait]
impl Backend for Late {
    fn address(&self) -> String {
        "late://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        match self.begun.elapsed() < Duration::from_secs(60) {
            true => Err(Error::unreachable("connection refused")),
            false => Ok(Arc::new(Idle { lasts: Duration::MAX, listed: &[] })),
        }
    }
}

/// A registry with a list of which half is of no use, told anew every second.
#[derive(Debug)]
struct Messy;

#[async_trait]
impl Backend for Messy {
    fn address(&self) -> String {
        "messy://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        Ok(Arc::new(Idle { lasts: Duration::MAX, listed: &["a:1", "nowhere", "b\n:1"] }))
    }
}

/// Notes the level of every warning and error.
#[derive(Default)]
struct Alarms(Arc<Mutex<Vec<Level>>>);

/// Notes all that is said to people, with its fields.
#[derive(Default)]
struct Log(Arc<Mutex<Vec<String>>>);

/// The fields of an event, one after the other.
struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        *self.0 += &format!(" {field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut Fields(&mut line));
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Subscriber for Alarms {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let level = *event.metadata().level();
        self.0.lock().unwrap().extend((level <= Level::WARN).then_some(level));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_once_though_sessions_come_and_go() {
    let alarms = Alarms::default();
    let heard = Arc::clone(&alarms.0);
    let _listening = tracing::subscriber::set_default(alarms);
    let fickle = Arc::new(Fickle::default());
    let registry = supervise(Arc::clone(&fickle) as _, &RegistryParams::new("fickle://"));
    let _list = registry.subscribe(&ServiceKey::new("shop.Inventory")).await.unwrap();
    sleep(Duration::from_secs(600)).await;
    assert!(fickle.sessions.load(Ordering::Relaxed) > 50);
    assert_eq!(*heard.lock().unwrap(), [Level::WARN]);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_back_and_refuses_us_is_told_as_an_error_once() {
    let alarms = Alarms::default();
    let heard = Arc::clone(&alarms.0);
    let _listening = tracing::subscriber::set_default(alarms);
    let stern = Arc::new(Stern { begun: Instant::now() });
    let registry = supervise(stern, &RegistryParams::new("stern://"));
    let _list = registry.subscribe(&ServiceKey::new("shop.Inventory")).await.unwrap();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(*heard.lock().unwrap(), [Level::WARN, Level::ERROR]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_refused_is_told_by_its_error_alone() {
    let alarms = Alarms::default();
    let heard = Arc::clone(&alarms.0);
    let _listening = tracing::subscriber::set_default(alarms);
    let stern = || Arc::new(Stern { begun: Instant::now() - Duration::from_secs(60) });
    let registry = supervise(stern(), &RegistryParams::new("stern://"));
    let instance = Instance::new(ServiceKey::new("shop.Inventory"), "10.0.0.1:20880", "1");
    let error = registry.register(instance).await.unwrap_err();
    assert_eq!(error.to_string(), "stern:// wants another token");
    let error = registry.subscribe(&ServiceKey::new("shop.Inventory")).await.unwrap_err();
    assert!(error.is_refused());
    drop(registry);
    sleep(Duration::from_secs(600)).await;
    assert!(heard.lock().unwrap().is_empty(), "its error says so");
    // Who goes on all the same is told once.
    let registry = supervise(stern(), &RegistryParams::new("stern://"));
    assert!(registry.services().await.is_err());
    sleep(Duration::from_secs(600)).await;
    assert_eq!(*heard.lock().unwrap(), [Level::ERROR]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_nobody_can_find_is_told_at_once_and_again_when_it_is_found() {
    let log = Log::default();
    let heard = Arc::clone(&log.0);
    let _listening = tracing::subscriber::set_default(log);
    let late = Arc::new(Late { begun: Instant::now() });
    let registry = supervise(late, &RegistryParams::new("late://"));
    let instance = Instance::new(ServiceKey::new("shop.Inventory"), "10.0.0.1:20880", "1");
    let registered = registry.register(instance).await.unwrap();
    assert!(!registered.is_registered());
    let told = "WARN message=not registered yet: consumers do not find this provider through late://; \
                trying again error=connection refused";
    assert_eq!(*heard.lock().unwrap(), [told]);
    registered.watch().wait_for(|is| *is).await.unwrap();
    let back = "INFO message=registry is back registry=late://";
    let listed = "INFO message=registered service=shop.Inventory endpoint=10.0.0.1:20880 \
                  registry=late://";
    assert_eq!(*heard.lock().unwrap(), [told, back, listed]);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_of_a_list_is_told_once_in_ten_minutes() {
    let log = Log::default();
    let heard = Arc::clone(&log.0);
    let _listening = tracing::subscriber::set_default(log);
    let registry = supervise(Arc::new(Messy), &RegistryParams::new("messy://"));
    let list = registry.subscribe(&ServiceKey::new("shop.Inventory")).await.unwrap();
    assert_eq!(list.latest().instances.len(), 1);
    let told = "WARN message=unusable instances are left out of the list, correct the providers \
                that register them registry=messy:// service=shop.Inventory left_out=2 why=nowhere: \
                the address `nowhere` is not of the form host:port";
    sleep(Duration::from_secs(590)).await;
    assert_eq!(*heard.lock().unwrap(), [told]);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(*heard.lock().unwrap(), [told, told]);
}
