//! A name that is asked for again and again, and the lists that come of it.
//!
//! All services have the same list, so one series of questions serves them all. It is driven by whoever
//! waits for the end of the session and needs no task of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rpc_core::{Error, Instance, ServiceKey};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::ask::{Asker, DnsAnswer};
use super::settings::DnsSettings;
use crate::Pace;
use crate::backend::{Listing, Session, Updates};
use crate::check::Diagnosis;
use crate::recover::RetryPause;

/// The shortest time between two warnings that a name is not answered.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// A name, and what was answered last.
#[derive(Debug)]
pub(super) struct DnsSession {
    settings: Arc<DnsSettings>,
    has_told: Arc<AtomicBool>,
    answer: watch::Sender<Option<Result<DnsAnswer, Error>>>,
}

impl DnsSession {
    /// `has_told` is whether the log says that it takes no registrations.
    pub(super) fn new(settings: Arc<DnsSettings>, has_told: Arc<AtomicBool>) -> Self {
        Self { settings, has_told, answer: watch::Sender::new(None) }
    }

    /// Reads the last answer, waiting for the first.
    async fn answered<T>(&self, read: impl Fn(&DnsAnswer) -> T) -> Result<T, Error> {
        let mut answers = self.answer.subscribe();
        let known = answers.wait_for(Option::is_some).await;
        match known.ok().as_deref() {
            Some(Some(Ok(answer))) => Ok(read(answer)),
            Some(Some(Err(error))) => Err(error.clone()),
            Some(None) | None => Err(Error::closed("the session ended")),
        }
    }

    fn listing(&self, service: &ServiceKey, answer: &DnsAnswer) -> Listing {
        let instance = |(address, weight): (&SocketAddr, &u32)| {
            let address = address.to_string();
            Instance {
                weight: *weight,
                codecs: self.settings.codecs.clone(),
                protocols: self.settings.protocols.clone(),
                ..Instance::new(service.clone(), &address, &address)
            }
        };
        Listing::new(0, answer.weights.iter().map(instance))
    }
}

#[async_trait]
impl Session for DnsSession {
    async fn register(&self, instance: &Instance) -> Result<(), Error> {
        if !self.has_told.swap(true, Ordering::Relaxed) {
            let (registry, endpoint) = (&self.settings.address, &instance.address);
            tracing::info!(
                target: "dubhe::registry",
                registry, %endpoint,
                "dns:// takes no registrations, consumers see the records of the name"
            );
        }
        Ok(())
    }

    async fn unregister(&self, _: &Instance) -> Result<(), Error> {
        Ok(())
    }

    async fn watch(&self, service: &ServiceKey, updates: &Updates) -> Result<(), Error> {
        let mut answers = self.answer.subscribe();
        answers.mark_changed();
        while answers.changed().await.is_ok() {
            match &*answers.borrow_and_update() {
                Some(Ok(answer)) => updates.put(self.listing(service, answer)),
                Some(Err(error)) => updates.doubt(error.clone()),
                None => {}
            }
        }
        Err(Error::closed("the session ended"))
    }

    /// The list as it was answered last, which is not older than its records may be.
    async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error> {
        self.answered(|answer| self.listing(service, answer)).await
    }

    /// None, because DNS knows addresses alone; but that is only so if the name is answered.
    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        self.answered(|_| Vec::new()).await
    }

    async fn survey(&self) -> Result<Vec<Diagnosis>, Error> {
        let settings = &self.settings;
        let listed = |answer: &DnsAnswer| {
            let addresses: Vec<String> = answer.weights.keys().map(SocketAddr::to_string).collect();
            format!("{} of {}: {}", settings.kinds(), settings.asked(), addresses.join(", "))
        };
        Ok(vec![match self.answered(listed).await {
            Ok(seen) => Diagnosis::ok("layout", &settings.name, seen),
            Err(error) => {
                let remedy = "see whether the name has these records (`dig NAME`), and whether \
                              this machine reaches its name servers";
                let name = &settings.name;
                Diagnosis::of_error("layout", name, (&settings.address, &error), remedy)
            }
        }])
    }

    /// Asks again and again. The session does not end by itself.
    async fn closed(&self) {
        let pace = Pace { longest_pause: self.settings.longest_pause(), ..Pace::default() };
        let mut pauses = RetryPause::new(pace);
        let mut asker = Asker::new(Arc::clone(&self.settings));
        let mut told = Told::default();
        loop {
            let answer = asker.ask().await;
            told.tell(&self.settings.address, &answer);
            let pause = match &answer {
                Ok(answer) => {
                    pauses.reset();
                    // Later by up to a tenth, so that those who began together do not ask together.
                    answer.ask_again.mul_f64(rand::random_range(1.0..1.1))
                }
                Err(_) => pauses.pause(),
            };
            self.answer.send_replace(Some(answer));
            sleep(pause).await;
        }
    }
}

/// What has been logged about names that are not answered.
#[derive(Debug, Default)]
struct Told {
    /// Whether that is so at present, and was logged.
    is_told: bool,
    last: Option<Instant>,
}

impl Told {
    /// Logs the begin of an outage and its end; of outages that come fast, the first alone.
    fn tell(&mut self, registry: &str, answer: &Result<DnsAnswer, Error>) {
        match answer {
            Err(_) if self.is_told => {}
            Err(error) if self.last.is_some_and(|last| last.elapsed() < TOLD_EVERY) => {
                tracing::debug!(target: "dubhe::registry", registry, %error, "name is not answered");
            }
            Err(error) => {
                (self.is_told, self.last) = (true, Some(Instant::now()));
                tracing::warn!(
                    target: "dubhe::registry",
                    registry, %error, "name is not answered, continuing with what is known"
                );
            }
            Ok(_) => {
                if std::mem::take(&mut self.is_told) {
                    tracing::info!(target: "dubhe::registry", registry, "name is answered again");
                }
            }
        }
    }
}
