//! Nodes, records and rules that others wrote wrong, by accident or on purpose, and answers that were
//! damaged on their way.

use std::time::Duration;

use dubhe::ServiceKey;
use futures_util::future::try_join_all;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::super::pass;
use super::broken::{APPLICATIONS, BATCH, Broken, GOOD_RULE, NOBODY, Node, SERVICES};
use super::hand::Hand;
use super::kind::Kind;
use super::scene::{Observer, Scene};
use super::server::{STORE, Server};
use crate::proxy::{Fault, Proxy};
use crate::report::Report;
use crate::{BoxError, alarms};

/// Where the rule of the store stands, by its key, and one that is good.
const RULE: &str = "chaos.Store::.configurators";

/// Of what lasts, docs/registries.md promises one warning in this time.
const TOLD_EVERY: Duration = Duration::from_secs(600);

pub(super) async fn garbage(
    report: &mut Report,
    server: &mut Server,
    quick: bool,
) -> Result<(), BoxError> {
    let (kind, panics) = (server.kind, alarms::panics());
    let scene = Scene::start(server, 3, |number, url| at_level(kind, number, url)).await?;
    match kind {
        Kind::Embedded => damaged_answers(report, &scene, quick).await?,
        _ => broken_entries(report, &scene, quick).await?,
    }
    report.at_most("panics", alarms::panics() - panics, 0);
    scene.settles(report, Instant::now()).await?;
    scene.end(report).await?;
    if matches!(kind, Kind::Etcd | Kind::Etcd3) {
        // Without this one, providers of further checks begin none.
        by_hand(server, |hand| hand.remove_mapping(STORE)).await?;
    }
    Ok(())
}

/// The address by which a provider of this number is registered at one level, at the other, or at both: what costs
/// a list one level shows in it.
fn at_level(kind: Kind, number: usize, url: String) -> String {
    const LEVELS: [&str; 3] = ["interface", "instance", "all"];
    if kind == Kind::Embedded {
        return url;
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}register-mode={}", LEVELS[number % LEVELS.len()])
}

/// Entries of every kind that is read, and rules.
async fn broken_entries(
    report: &mut Report,
    scene: &Scene<'_>,
    quick: bool,
) -> Result<(), BoxError> {
    let is_nacos = scene.server.kind.is_nacos();
    by_hand(scene.server, |hand| {
        hand.put_text(RULE, GOOD_RULE.as_bytes())?;
        // At etcd one who is registered at both levels is added to a mapping and begins none.
        hand.put_mapping(STORE, APPLICATIONS.join(",").as_bytes())
    })
    .await?;
    let good = Duration::from_secs(3);
    let begun = Instant::now();
    while timeout_of(scene) != good && begun.elapsed() < Duration::from_secs(20) {
        pass(Duration::from_millis(5)).await;
    }
    if !is_nacos {
        sound_is_read(scene).await?;
    }
    scene.counts_these();
    let payloads = match quick {
        true if is_nacos => 300,
        true => 1000,
        false => 10_000,
    };
    // Whoever lists things at Nacos has to write what it takes for JSON, for an address and for a port.
    let least = if is_nacos { payloads / 5 } else { payloads / 2 };
    let (mut hand, told, begun) = (scene.server.hand(), Told::of(scene), Instant::now());
    let writing = tokio::task::spawn_blocking(move || write_broken(&mut hand, payloads));
    while !writing.is_finished() {
        // Nobody reads the entries of consumers unless asked to.
        scene.consumer.consumers(&ServiceKey::new(STORE)).await?;
        pass(Duration::from_millis(50)).await;
    }
    let written = writing.await??;
    report.at_least("broken payloads that the server took", written.taken, least);
    report.at_least("broken rules among them", written.rules, payloads / 10);
    let stays = timeout_of(scene);
    report.note("the last good rule stays", &format!("timeout {stays:?}"), stays == good);
    scene.shortest(report, "meanwhile", 3);
    Told::of(scene).hold(report, &told, &written, begun.elapsed());
    by_hand(scene.server, |hand| hand.remove_text(RULE)).await?;
    if is_nacos {
        // Nobody renews what was listed, so it ends by itself.
        scene.observer.becomes(&scene.live(), Duration::from_secs(90)).await?;
    }
    Ok(())
}

/// Does something by hand that blocks.
async fn by_hand(
    server: &Server,
    act: impl FnOnce(&mut Hand) -> std::io::Result<()> + Send + 'static,
) -> Result<(), BoxError> {
    let mut hand = server.hand();
    Ok(tokio::task::spawn_blocking(move || act(&mut hand)).await??)
}

/// Lists by records of the applications, where their services stand for Java and for Go: what is broken there
/// shows nothing if it is not read.
async fn sound_is_read(scene: &Scene<'_>) -> Result<(), BoxError> {
    let sound = [1, 2].map(|port| Node::revision(port, APPLICATIONS[port], SERVICES.as_bytes()));
    let mut listed = scene.live();
    listed.extend([1, 2].map(|port| format!("{NOBODY}:{port}")));
    let nodes: Vec<Node> = sound.into_iter().flatten().collect();
    let paths: Vec<_> = nodes.iter().map(|node| node.path.clone()).collect();
    by_hand(scene.server, move |hand| {
        nodes.iter().try_for_each(|Node { path, value }| hand.put(path, value))
    })
    .await?;
    scene.observer.becomes(&listed, Duration::from_secs(20)).await?;
    by_hand(scene.server, move |hand| paths.iter().rev().try_for_each(|path| hand.remove(path)))
        .await?;
    scene.observer.becomes(&scene.live(), Duration::from_secs(20)).await.map(drop)
}

/// What warnings of a registry are about, by what is in them.
const ABOUT: [(&str, &str); 5] = [
    ("rules", RULE),
    ("overrides", "rule=chaos.Store:: "),
    ("lists", "unusable instances are left out of the list"),
    ("consumers", "entries of consumers cannot be read"),
    ("names of overrides", "nodes among the overrides of a service have no effect"),
];

/// How many warnings about a registry there are of each, and of anything else.
struct Told {
    about: [usize; ABOUT.len()],
    others: usize,
}

impl Told {
    fn of(scene: &Scene<'_>) -> Self {
        let url = scene.server.url();
        // Other kinds are tried at the same time.
        let registry = url.split(['?', ',']).next().unwrap_or_default();
        let mut told = Self { about: Default::default(), others: 0 };
        for warning in alarms::with(&[registry]) {
            match ABOUT.iter().position(|(_, text)| warning.contains(text)) {
                Some(about) => told.about[about] += 1,
                None => told.others += 1,
            }
        }
        told
    }

    /// Holds what was told since `before`, in so much time, to what `docs/registries.md` promises.
    fn hold(&self, report: &mut Report, before: &Self, written: &Written, time: Duration) {
        let periods = 1 + (time.as_secs() / TOLD_EVERY.as_secs()) as usize;
        let least = usize::from(written.nodes > 0);
        let limits = [
            // One for each text at most: who follows the rule in this process is the consumer alone.
            1..=written.rules,
            // A node that comes or goes makes another text of them.
            0..=2 * written.overrides,
            // One for each service and client that follows the list, of nodes that cannot be read and of instances
            // that cannot be used: of the consumer and of who looks at it.
            least..=4 * periods,
            least..=periods,
            least..=periods,
        ];
        for (about, limit) in limits.iter().enumerate() {
            let told = self.about[about] - before.about[about];
            let figure = format!("{told} ({} to {})", limit.start(), limit.end());
            let what = format!("warnings of {}", ABOUT[about].0);
            report.note(&what, &figure, limit.contains(&told));
        }
        report.at_most("warnings of anything else", self.others - before.others, 0);
    }
}

fn timeout_of(scene: &Scene<'_>) -> Duration {
    let store = ServiceKey::new(STORE);
    let method = scene.consumer.config().method(&store, "write", &Default::default());
    method.timeout.value
}

/// What the server took of what was written.
#[derive(Default)]
struct Written {
    taken: usize,
    /// Those of them that are nodes.
    nodes: usize,
    /// Those of these that stand among the overrides.
    overrides: usize,
    /// Those that are rules.
    rules: usize,
}

/// Writes so many, a batch at a time.
fn write_broken(hand: &mut Hand, payloads: usize) -> Result<Written, String> {
    let mut random = StdRng::seed_from_u64(34);
    let mut written = Written::default();
    for _ in 0..payloads / BATCH {
        let batch: Vec<Broken> = match hand.is_nacos() {
            true => (0..BATCH).map(|number| Broken::at_nacos(&mut random, number)).collect(),
            false => (0..BATCH).map(|number| Broken::in_tree(&mut random, number)).collect(),
        };
        for broken in &batch {
            written.add(broken, write(hand, broken).is_ok());
        }
        // The nodes of the providers stay, and the rule that the next batch replaces.
        for broken in batch.iter().rev() {
            take_back(hand, broken)?;
        }
    }
    Ok(written)
}

impl Written {
    fn add(&mut self, broken: &Broken, is_taken: bool) {
        let taken = usize::from(is_taken);
        self.taken += taken;
        match broken {
            Broken::Nodes(nodes) => {
                self.nodes += taken;
                let is_override = nodes.iter().any(Node::is_override);
                self.overrides += if is_override { taken } else { 0 };
            }
            Broken::Rule(_) => self.rules += taken,
            Broken::Mapping(_) | Broken::Host(_) | Broken::Revision(..) => {}
        }
    }
}

fn write(hand: &mut Hand, broken: &Broken) -> std::io::Result<()> {
    match broken {
        Broken::Nodes(nodes) => {
            nodes.iter().try_for_each(|Node { path, value }| hand.put(path, value))
        }
        Broken::Mapping(names) => hand.put_mapping(STORE, names),
        Broken::Host(host) => hand.nacos_instance(host),
        Broken::Revision(config, host) => {
            hand.put_config(config)?;
            hand.nacos_instance(host)
        }
        Broken::Rule(text) => hand.put_text(RULE, text),
    }
}

/// Takes away what was written, if that can be done by hand and nothing replaces it.
fn take_back(hand: &mut Hand, broken: &Broken) -> Result<(), String> {
    match broken {
        Broken::Nodes(nodes) => nodes.iter().rev().try_for_each(|Node { path, .. }| {
            let removed = hand.remove(path);
            removed.map_err(|error| format!("{}: {error}", String::from_utf8_lossy(path)))
        }),
        Broken::Mapping(_) => {
            let good = hand.put_mapping(STORE, APPLICATIONS.join(",").as_bytes());
            good.map_err(|error| format!("the mapping: {error}"))
        }
        Broken::Revision(config, _) => {
            hand.remove_config(config).map_err(|error| format!("a revision: {error}"))
        }
        Broken::Host(_) | Broken::Rule(_) => Ok(()),
    }
}

/// Clients between whom and the registry bytes of answers are replaced by others.
async fn damaged_answers(
    report: &mut Report,
    scene: &Scene<'_>,
    quick: bool,
) -> Result<(), BoxError> {
    const CLIENTS: usize = 40;
    let url = scene.server.url();
    let (proxy, target) = Proxy::start().await?;
    target.send_replace(url.trim_start_matches("dubhe://").to_owned());
    let by_proxy = format!("dubhe://{}", proxy.address());
    let observers = try_join_all((0..CLIENTS).map(|_| Observer::start(&by_proxy))).await?;
    let live = scene.live();
    for observer in &observers {
        observer.becomes(&live, Duration::from_secs(20)).await?;
        observer.fewest();
    }
    proxy.set(Fault::Damage);
    // Those that are there get their next list damaged, and all further ones each of theirs.
    let (begun, wanted) = (Instant::now(), if quick { 500 } else { 10_000 });
    while proxy.damaged() < wanted && begun.elapsed() < Duration::from_secs(300) {
        let more = try_join_all((0..CLIENTS).map(|_| Observer::start(&by_proxy))).await?;
        pass(Duration::from_millis(100)).await;
        let listed: usize = more.iter().map(Observer::fewest).max().unwrap_or_default();
        if listed != 0 && listed != live.len() {
            report.note("a damaged list is none", &format!("{listed} listed"), false);
        }
    }
    report.at_least("damaged pieces of answers", proxy.damaged(), wanted);
    let fewest = observers.iter().map(Observer::fewest).min().unwrap_or_default();
    report.at_least("shortest list of those that had a good one", fewest, live.len());
    proxy.set(Fault::None);
    for observer in &observers {
        observer.becomes(&live, Duration::from_secs(20)).await?;
    }
    Ok(())
}
