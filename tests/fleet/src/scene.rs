//! A registry and everybody around it, and the question whether all of them see each other.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use registry::Registry;
use rpc_core::{Instance, ServiceKey, Subscription};
use servers::free_ports;
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::BoxError;
use crate::calls::{Called, Calls, Losses, Next};
use crate::expected::{is_fine_in_go, is_lossy, sees};
use crate::findings::Findings;
use crate::listed::{Listed, OURS, difference};
use crate::peer::Peer;
use crate::server::{Kind, Server};
use crate::world::{Cast, Language, Ports, Programs};

/// How long it may take until everybody sees what is there: leases of others that have died end after 30 s,
/// Java hands lists on after 5 s if they change often, and when a mapping changes it asks each application
/// anew, one after the other, for 3 s as long as one of dubbo-go is among them, whose metadata it cannot read.
const SETTLED: Duration = Duration::from_secs(120);

/// How long a consumer that has lost calls waits before it makes others.
const BETWEEN_CALLS: Duration = Duration::from_secs(1);

/// The service that all of them offer.
const SERVICE: &str = "dubhe.fleet.Stock";

/// The providers that our consumer calls all the while.
const OURS_FIRST: [Cast; 2] = [Cast::ours("rust-a"), Cast::ours("rust-b")];

/// A provider that runs.
struct Provider {
    cast: Cast,
    ports: Ports,
    peer: Peer,
    /// What lists have of it: one entry for each protocol.
    listed: Vec<Listed>,
    /// Between which times this start of it began, in milliseconds since 1970.
    born: RangeInclusive<u64>,
}

impl Provider {
    fn is_at(&self, address: &str) -> bool {
        self.listed.iter().any(|entry| *entry.address == *address)
    }
}

/// A foreign consumer that runs.
struct Consumer {
    cast: Cast,
    peer: Peer,
}

/// The fleet around one registry.
pub(crate) struct Scene {
    pub(crate) server: Server,
    programs: Programs,
    registry: Arc<dyn Registry>,
    ours: Subscription,
    load: Peer,
    providers: Vec<Provider>,
    consumers: Vec<Consumer>,
    folder: PathBuf,
}

impl Scene {
    /// A registry with two providers of ours, and a consumer of ours that calls ours until the end.
    pub(crate) async fn start(kind: Kind) -> Result<Self, BoxError> {
        let programs = Programs::find()?;
        let folder = programs.logs(kind.name())?;
        let server = Server::start(kind)?;
        let url = server.url(Language::Rust);
        let registry = registry::connect(&url)?;
        let ours = registry.subscribe(&ServiceKey::new(SERVICE)).await?;
        let mut providers = Vec::new();
        for cast in OURS_FIRST {
            providers.push(provide(&programs, &server, &folder, cast).await?);
        }
        let home = home(&folder, "rust-load")?;
        let command = programs.consumer(Cast::ours("rust-load"), &url, &home);
        let (load, _) = Peer::start("rust-load", command, &folder).await?;
        let consumers = Vec::new();
        Ok(Self { server, programs, registry, ours, load, providers, consumers, folder })
    }

    /// Adds a provider, if it is not there.
    pub(crate) async fn provide(&mut self, cast: Cast) -> Result<(), BoxError> {
        if !self.providers.iter().any(|one| one.cast.name == cast.name) {
            let provider = provide(&self.programs, &self.server, &self.folder, cast).await?;
            self.providers.push(provider);
        }
        Ok(())
    }

    /// Adds a foreign consumer, which follows the levels of its mode.
    pub(crate) async fn consume(&mut self, cast: Cast) -> Result<(), BoxError> {
        let home = home(&self.folder, cast.name)?;
        let command = self.programs.consumer(cast, &self.server.url(cast.language), &home);
        let (peer, _) = Peer::start(cast.name, command, &self.folder).await?;
        self.consumers.push(Consumer { cast, peer });
        Ok(())
    }

    /// Ends the provider `name` in an orderly way.
    pub(crate) async fn end(&mut self, name: &str) -> Result<(), BoxError> {
        self.take(name)?.peer.end().await.map(drop)
    }

    /// Ends the provider `name`, in an orderly way or at once, and starts it again, at the same ports if it is
    /// not one of ours.
    pub(crate) async fn replace(&mut self, name: &str, is_orderly: bool) -> Result<(), BoxError> {
        let gone = self.take(name)?;
        if is_orderly {
            gone.peer.end().await?;
        } else {
            gone.peer.kill().await?;
        }
        let (cast, server) = (gone.cast, &self.server);
        let again = provide_at(&self.programs, server, &self.folder, cast, gone.ports).await?;
        self.providers.push(again);
        Ok(())
    }

    fn take(&mut self, name: &str) -> Result<Provider, BoxError> {
        let place = self.providers.iter().position(|one| one.cast.name == name);
        Ok(self.providers.remove(place.ok_or_else(|| format!("there is no {name}"))?))
    }

    /// The foreign consumers that run.
    pub(crate) fn consumers(&self) -> Vec<&'static str> {
        self.consumers.iter().map(|one| one.cast.name).collect()
    }

    /// Ends the consumer `name` and starts it again.
    pub(crate) async fn replace_consumer(&mut self, name: &str) -> Result<(), BoxError> {
        let place = self.consumers.iter().position(|one| one.peer.name() == name);
        let gone = self.consumers.remove(place.ok_or_else(|| format!("there is no {name}"))?);
        gone.peer.end().await?;
        self.consume(gone.cast).await
    }

    /// Waits until everybody's list is that of what runs, and notes for each how long it took or what it
    /// lacks.
    pub(crate) async fn settle(&mut self, findings: &mut Findings) -> Result<(), BoxError> {
        let begun = Instant::now();
        let wanted = self.wanted(|_| true);
        // First, because a list that is followed stays as it was while the registry is away.
        let instances = self.ask_ours(&wanted, begun).await?;
        let old = self.of_old_starts(&instances);
        let told = if old.is_empty() { "all".to_owned() } else { format!("not {old}") };
        findings.note("those of foreigners in it are of their last starts", &told, old.is_empty());
        let (count, own) = (instances.len(), self.providers.len());
        let told = format!("{count} instances of {own} processes");
        findings.note("each process counts once in it", &told, count == own);
        let asked = instances.iter().flat_map(Listed::of_instance).collect();
        note(findings, "our list, asked for", &wanted, &without_ids(&asked), begun);
        let seen = self.follow_ours(&asked, begun).await;
        note(findings, "our list, followed", &asked, &seen, begun);
        let ids: Vec<Listed> = seen.into_iter().filter(|one| one.scheme == OURS).collect();
        for at in 0..self.consumers.len() {
            let consumer = &self.consumers[at];
            for level in ["interface", "application"] {
                if consumer.cast.mode.is_listed_at(level) {
                    self.settle_theirs(findings, at, level, &ids, begun).await;
                }
            }
        }
        self.nothing_lost(findings).await
    }

    /// What the registry answers to a question of ours once that is `wanted`, or at the end of the time. It may
    /// have just come back, and not answer yet or not know everybody again.
    async fn ask_ours(
        &self,
        wanted: &BTreeSet<Listed>,
        begun: Instant,
    ) -> Result<Vec<Instance>, BoxError> {
        let is_right = |list: &[Instance]| {
            let seen = list.iter().flat_map(Listed::of_instance).collect();
            let is_once = list.len() == self.providers.len();
            without_ids(&seen) == *wanted && is_once && self.of_old_starts(list).is_empty()
        };
        loop {
            let is_late = begun.elapsed() > SETTLED;
            match self.registry.list(&ServiceKey::new(SERVICE)).await {
                Ok(list) if is_late || is_right(&list) => return Ok(list),
                Err(error) if is_late => return Err(error.into()),
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// The foreign providers whose entries are those of a start before their last, comma-separated.
    fn of_old_starts(&self, list: &[Instance]) -> String {
        let is_old = |one: &&Provider| {
            let is_it = |entry: &&Instance| one.is_at(&entry.address);
            let entry = list.iter().find(is_it);
            entry.is_some_and(|entry| !one.born.contains(&entry.started_ms))
        };
        let foreign = self.providers.iter().filter(|one| one.cast.language != Language::Rust);
        foreign.filter(is_old).map(|one| one.cast.name).collect::<Vec<_>>().join(", ")
    }

    /// The list that we follow once it is `wanted`, or at the end of the time.
    async fn follow_ours(&mut self, wanted: &BTreeSet<Listed>, begun: Instant) -> BTreeSet<Listed> {
        loop {
            let seen = self.ours.latest();
            let seen = seen.instances.iter().flat_map(|one| Listed::of_instance(one)).collect();
            let left = SETTLED.saturating_sub(begun.elapsed());
            if seen == *wanted || left.is_zero() {
                return seen;
            }
            // Whichever comes first, the list is looked at again.
            let _ = timeout(left, self.ours.next()).await;
        }
    }

    /// The same of what the registry layer of a foreign consumer was told at `level`. `ids` are ours, with
    /// their starts.
    async fn settle_theirs(
        &self,
        findings: &mut Findings,
        at: usize,
        level: &str,
        ids: &[Listed],
        begun: Instant,
    ) {
        let consumer = &self.consumers[at];
        let (kind, language) = (self.server.kind, consumer.cast.language);
        let mut wanted = self.wanted(|cast| sees(kind, language, level, cast));
        let sees_ours = wanted.iter().any(|one| one.scheme == OURS);
        wanted.retain(|one| one.scheme != OURS);
        wanted.extend(ids.iter().filter(|_| sees_ours).cloned());
        // How the others see each other in applications is theirs.
        let others = self.wanted(|cast| !sees(kind, language, level, cast));
        let of_them = |list: Option<&BTreeSet<Listed>>| -> BTreeSet<Listed> {
            list.into_iter().flatten().filter(|one| !others.contains(*one)).cloned().collect()
        };
        let is_right = |seen: &BTreeSet<Listed>| match language {
            Language::Go => is_fine_in_go(&wanted, seen, is_lossy(kind, level)),
            Language::Rust | Language::Java => *seen == wanted,
        };
        let mut heard = consumer.peer.heard.clone();
        let left = SETTLED.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        let told =
            timeout(left, heard.wait_for(|heard| is_right(&of_them(heard.lists.get(level)))));
        drop(told.await);
        let seen = of_them(heard.borrow().lists.get(level));
        let what = format!("{} at {level} level", consumer.peer.name());
        match difference(&wanted, &seen) {
            Some(difference) if is_right(&seen) => {
                findings.tell(&format!("{what} {difference}, which is of its own making"));
                note(findings, &what, &seen, &seen, begun);
            }
            _ => note(findings, &what, &wanted, &seen, begun),
        }
    }

    /// What there is of those that `is_wanted`.
    fn wanted(&self, is_wanted: impl Fn(&Cast) -> bool) -> BTreeSet<Listed> {
        let providers = self.providers.iter().filter(|one| is_wanted(&one.cast));
        providers.flat_map(|one| one.listed.iter().cloned()).collect()
    }

    /// Has the consumer `name` make a call until one is answered, and then so many: all of them are answered, by
    /// others than ours. Where it may lose some, it makes as many again, and what it lost is told.
    pub(crate) async fn call(
        &mut self,
        findings: &mut Findings,
        name: &str,
        count: usize,
        losses: Losses,
    ) -> Result<(), BoxError> {
        let ours = self.providers.iter().filter(|one| one.cast.language == Language::Rust);
        let ours = ours
            .flat_map(|one| one.listed.iter().map(move |entry| (one.cast.name, &*entry.address)));
        let ours: Vec<_> = ours.collect();
        let consumer = self.consumers.iter_mut().find(|one| one.peer.name() == name);
        let consumer = consumer.ok_or_else(|| format!("there is no {name}"))?;
        let (begun, mut calls, mut asked) = (Instant::now(), Calls::new(losses), 1);
        loop {
            let answer = consumer.peer.ask(&format!("call {asked}")).await?;
            let called = Called::read(&answer).ok_or_else(|| format!("{name} says `{answer}`"))?;
            match calls.next(&called, &ours, begun.elapsed()) {
                Next::Probe => sleep(BETWEEN_CALLS).await,
                Next::Call { pauses } => {
                    asked = count;
                    sleep(if pauses { BETWEEN_CALLS } else { Duration::ZERO }).await;
                }
                Next::Done { is_right } => {
                    let seen = format!("{answer}{}", calls.told());
                    findings.note(&format!("calls of {name}"), &seen, is_right);
                    return Ok(());
                }
            }
        }
    }

    /// Tells what the directories of the consumer `name` would call.
    pub(crate) async fn tell_invokers(
        &mut self,
        findings: &Findings,
        name: &str,
    ) -> Result<(), BoxError> {
        let consumer = self.consumers.iter_mut().find(|one| one.peer.name() == name);
        let consumer = consumer.ok_or_else(|| format!("there is no {name}"))?;
        let answer = consumer.peer.ask("invokers").await?;
        findings.tell(&format!("{name}: {answer}"));
        Ok(())
    }

    /// Tells what foreign consumers have logged of ours: how many lines of each kind, and the first.
    pub(crate) fn tell_logs(&self, findings: &Findings) {
        for consumer in &self.consumers {
            let texts: &[&str] = match consumer.cast.language {
                Language::Java => &["Unsupported protocol.", "Cannot create invokers"],
                Language::Go | Language::Rust => &["dubhe://"],
            };
            for text in texts {
                let lines = consumer.peer.logged(text);
                let first: String =
                    lines.first().map_or("", |line| line).chars().take(160).collect();
                let (name, count) = (consumer.peer.name(), lines.len());
                findings.tell(&format!("{name} logged `{text}` in {count} lines: {first}"));
            }
        }
    }

    /// No call of ours to ours has failed so far.
    async fn nothing_lost(&mut self, findings: &mut Findings) -> Result<(), BoxError> {
        let tally = self.load.ask("tally").await?;
        findings.note("our calls", &tally, tally.contains("failed=0 "));
        Ok(())
    }

    /// Ends our calls, every one of which has been answered, then everybody.
    pub(crate) async fn close(self, findings: &mut Findings) -> Result<(), BoxError> {
        let tally = self.load.end().await?.unwrap_or_default();
        let begun = tally.split(' ').nth(1).unwrap_or("?");
        let is_whole = tally.contains(&format!("ok={begun} failed=0 "));
        findings.note("all of our calls are answered by ours", &tally, is_whole);
        for consumer in self.consumers {
            consumer.peer.end().await?;
        }
        for provider in self.providers {
            provider.peer.end().await?;
        }
        self.registry.shutdown().await;
        Ok(())
    }
}

/// A folder of its own.
fn home(folder: &Path, name: &str) -> Result<PathBuf, BoxError> {
    let home = folder.join(name);
    std::fs::create_dir_all(&home)?;
    Ok(home)
}

async fn provide(
    programs: &Programs,
    server: &Server,
    folder: &Path,
    cast: Cast,
) -> Result<Provider, BoxError> {
    provide_at(programs, server, folder, cast, free_ports()).await
}

async fn provide_at(
    programs: &Programs,
    server: &Server,
    folder: &Path,
    cast: Cast,
    ports: Ports,
) -> Result<Provider, BoxError> {
    let home = home(folder, cast.name)?;
    let command = programs.provider(cast, &server.url(cast.language), ports, &home);
    let before = now_ms();
    let (peer, ready) = Peer::start(cast.name, command, folder).await?;
    // Go writes seconds, and says that it is ready before it serves.
    let born = before - before % 1000..=now_ms() + 10_000;
    let entry = |scheme: &str, address: String| {
        let (application, id) = (cast.name.to_owned(), String::new());
        Listed { application, scheme: scheme.to_owned(), address, id }
    };
    let listed = match cast.language {
        Language::Rust => vec![entry(OURS, ready)],
        Language::Java | Language::Go => {
            let protocols = cast.protocols(ports).into_iter();
            protocols.map(|(name, port)| entry(name, format!("127.0.0.1:{port}"))).collect()
        }
    };
    Ok(Provider { cast, ports, peer, listed, born })
}

/// The time, in milliseconds since 1970, as registries have it.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn without_ids(list: &BTreeSet<Listed>) -> BTreeSet<Listed> {
    list.iter().map(|one| Listed { id: String::new(), ..one.clone() }).collect()
}

fn note(
    findings: &mut Findings,
    what: &str,
    wanted: &BTreeSet<Listed>,
    seen: &BTreeSet<Listed>,
    begun: Instant,
) {
    let (is_right, told) = match difference(wanted, seen) {
        None => {
            (true, format!("{} entries after {:.1} s", seen.len(), begun.elapsed().as_secs_f64()))
        }
        Some(difference) => (false, difference),
    };
    findings.note(what, &told, is_right);
}
