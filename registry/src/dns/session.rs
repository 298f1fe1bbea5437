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

use super::ask::{Asker, DnsAnswer, LOOK_UP_LIMIT};
use super::settings::DnsSettings;
use crate::Pace;
use crate::backend::{Listing, Session, Updates};
use crate::check::Diagnosis;
use crate::recover::RetryPause;

/// The shortest time between two warnings that a name is not answered.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How much later than it may an answer may come on a machine that is busy.
const SLACK: Duration = Duration::from_secs(1);

/// A name, and what was answered last.
#[derive(Debug)]
pub(super) struct DnsSession {
    settings: Arc<DnsSettings>,
    has_told: Arc<AtomicBool>,
    last: watch::Sender<Option<LastAnswer>>,
}

/// What was answered last.
#[derive(Debug, Clone)]
struct LastAnswer {
    outcome: Result<Arc<DnsAnswer>, Error>,
    /// By when there is the next, if all is well with whoever asks.
    next_by: Instant,
}

impl DnsSession {
    /// `has_told` is whether the log says that it takes no registrations.
    pub(super) fn new(settings: Arc<DnsSettings>, has_told: Arc<AtomicBool>) -> Self {
        Self { settings, has_told, last: watch::Sender::new(None) }
    }

    /// The last answer, waiting for the first; none that is overdue.
    async fn answered(&self) -> Result<Arc<DnsAnswer>, Error> {
        let mut answers = self.last.subscribe();
        let known = answers.wait_for(Option::is_some).await;
        let known = known.ok().and_then(|known| known.clone());
        self.newest(known.ok_or_else(|| Error::closed("the session ended"))?)
    }

    /// What `last` says, unless the next one is overdue.
    fn newest(&self, last: LastAnswer) -> Result<Arc<DnsAnswer>, Error> {
        if last.outcome.is_ok() && last.next_by < Instant::now() {
            let (registry, late) = (&self.settings.address, last.next_by.elapsed());
            return Err(Error::unreachable(format!(
                "registry {registry}: what was answered last is {late:.0?} too old: see that nothing blocks the \
                 runtime in which the name is asked for"
            )));
        }
        last.outcome
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
        let mut answers = self.last.subscribe();
        answers.mark_changed();
        while answers.changed().await.is_ok() {
            // Taken out: whoever is told of a list is told while the channel is open to others.
            let last = answers.borrow_and_update().clone();
            match last.map(|last| self.newest(last)) {
                Some(Ok(answer)) => updates.put(self.listing(service, &answer)),
                Some(Err(error)) => updates.doubt(error),
                None => {}
            }
        }
        Err(Error::closed("the session ended"))
    }

    /// The list as it was answered last, which is not older than its records may be.
    async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error> {
        let answer = self.answered().await?;
        Ok(self.listing(service, &answer))
    }

    /// None, because DNS knows addresses alone; but that is only so if the name is answered.
    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        self.answered().await.map(|_| Vec::new())
    }

    async fn survey(&self) -> Result<Vec<Diagnosis>, Error> {
        let settings = &self.settings;
        let listed = |answer: Arc<DnsAnswer>| {
            let addresses: Vec<String> = answer.weights.keys().map(SocketAddr::to_string).collect();
            format!("{} of {}: {}", settings.kinds(), settings.asked(), addresses.join(", "))
        };
        Ok(vec![match self.answered().await.map(listed) {
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
            let outcome = asker.ask().await.map(Arc::new);
            told.tell(&self.settings.address, &outcome);
            let pause = match &outcome {
                Ok(answer) => {
                    pauses.reset();
                    // Later by up to a tenth, so that those who began together do not ask together.
                    answer.ask_again.mul_f64(rand::random_range(1.0..1.1))
                }
                Err(_) => pauses.pause(),
            };
            let next_by = Instant::now() + pause + LOOK_UP_LIMIT + SLACK;
            self.last.send_replace(Some(LastAnswer { outcome, next_by }));
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
    fn tell(&mut self, registry: &str, answer: &Result<Arc<DnsAnswer>, Error>) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::time::advance;

    use super::*;
    use crate::RegistryUrl;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_overdue_confirms_nothing() {
        let url = RegistryUrl::parse("dns://shop.test:1").unwrap();
        let settings = Arc::new(DnsSettings::read(&url).unwrap());
        let session = DnsSession::new(settings, Arc::default());
        let ask_again = Duration::from_secs(5);
        let outcome = Ok(Arc::new(DnsAnswer { weights: BTreeMap::new(), ask_again }));
        let next_by = Instant::now() + ask_again;
        session.last.send_replace(Some(LastAnswer { outcome, next_by }));
        let service = ServiceKey::new("shop.Stock");
        session.fetch(&service).await.unwrap();
        advance(ask_again * 2).await;
        let error = session.fetch(&service).await.unwrap_err().to_string();
        assert!(error.contains("what was answered last is 5s too old"), "{error}");
    }
}
