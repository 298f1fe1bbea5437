//! Nodes, records and rules that others wrote wrong, by accident or on purpose, and answers that were
//! damaged on their way.

use std::time::Duration;

use dubhe::ServiceKey;
use futures_util::future::try_join_all;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::super::pass;
use super::broken::{BATCH, Broken, GOOD_RULE};
use super::hand::Hand;
use super::kind::Kind;
use super::scene::{Observer, Scene};
use super::server::{STORE, Server};
use crate::proxy::{Fault, Proxy};
use crate::report::Report;
use crate::{BoxError, alarms};

/// Where the rule of the store stands, by its key, and one that is good.
const RULE: &str = "chaos.Store::.configurators";

pub(super) async fn garbage(
    report: &mut Report,
    server: &mut Server,
    quick: bool,
) -> Result<(), BoxError> {
    let (kind, panics) = (server.kind, alarms::panics());
    let scene = Scene::of_three(server).await?;
    match kind {
        Kind::Embedded => damaged_answers(report, &scene, quick).await?,
        _ => broken_entries(report, &scene, quick).await?,
    }
    report.at_most("panics", alarms::panics() - panics, 0);
    scene.settles(report, Instant::now()).await?;
    scene.end(report).await
}

/// Entries of every kind that is read, and rules.
async fn broken_entries(
    report: &mut Report,
    scene: &Scene<'_>,
    quick: bool,
) -> Result<(), BoxError> {
    let is_nacos = scene.server.kind.is_nacos();
    let mut hand = scene.server.hand();
    let put = tokio::task::spawn_blocking(move || hand.put_text(RULE, GOOD_RULE.as_bytes()));
    put.await??;
    let good = Duration::from_secs(3);
    let begun = Instant::now();
    while timeout_of(scene) != good && begun.elapsed() < Duration::from_secs(20) {
        pass(Duration::from_millis(5)).await;
    }
    let payloads = match quick {
        true if is_nacos => 300,
        true => 1000,
        false => 10_000,
    };
    // Whoever lists things at Nacos has to write what it takes for JSON, for an address and for a port.
    let least = if is_nacos { payloads / 5 } else { payloads / 2 };
    let (mut hand, told) = (scene.server.hand(), warnings(scene, RULE));
    let writing = tokio::task::spawn_blocking(move || write_broken(&mut hand, payloads));
    let (written, mut hand) = (writing.await??, scene.server.hand());
    report.at_least("broken payloads that the server took", written.taken, least);
    report.at_least("broken rules among them", written.rules, payloads / 10);
    let stays = timeout_of(scene);
    report.note("the last good rule stays", &format!("timeout {stays:?}"), stays == good);
    // One for each text at most: who follows the rule in this process is the consumer alone.
    let rules = warnings(scene, RULE) - told;
    report.note(
        "warnings of rules",
        &format!("{rules} (1 to {})", written.rules),
        (1..=written.rules).contains(&rules),
    );
    tokio::task::spawn_blocking(move || hand.remove_text(RULE)).await??;
    let lists = warnings(scene, "left out");
    // Those who follow the list in this process: the consumer, and who looks at it.
    let fewest = usize::from(!is_nacos);
    report.note("warnings of lists", &lists.to_string(), (fewest..=8).contains(&lists));
    if is_nacos {
        // Nobody renews what was listed, so it ends by itself.
        scene.observer.becomes(&scene.live(), Duration::from_secs(90)).await?;
    }
    Ok(())
}

/// How many warnings about this registry have `what` in them: other kinds are tried at the same time.
fn warnings(scene: &Scene<'_>, what: &str) -> usize {
    let url = scene.server.url();
    let registry = url.split(['?', ',']).next().unwrap_or_default();
    alarms::with(&[what, registry]).len()
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
    /// Those of them that are rules.
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
            let taken = usize::from(match broken {
                Broken::Node { path, value } => hand.put(path, value).is_ok(),
                Broken::Host(host) => hand.nacos_instance(host).is_ok(),
                Broken::Rule(text) => hand.put_text(RULE, text).is_ok(),
            });
            written.taken += taken;
            written.rules += if let Broken::Rule(_) = broken { taken } else { 0 };
        }
        // The nodes of the providers stay, and the rule that the next batch replaces.
        for broken in &batch {
            if let Broken::Node { path, .. } = broken {
                let removed = hand.remove(path);
                removed.map_err(|error| format!("{}: {error}", String::from_utf8_lossy(path)))?;
            }
        }
    }
    Ok(written)
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
