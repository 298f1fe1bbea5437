//! Nodes, records and rules that others wrote wrong, by accident or on purpose, and answers that were
//! damaged on their way.

use std::time::Duration;

use dubhe::ServiceKey;
use futures_util::future::try_join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use super::super::pass;
use super::hand::{Hand, encoded};
use super::kind::Kind;
use super::scene::{Observer, Scene};
use super::server::{STORE, Server};
use crate::proxy::{Fault, Proxy};
use crate::report::Report;
use crate::{BoxError, alarms};

/// Where rules of the store stand, and one that is good.
const RULE: &str = "/dubbo/config/dubbo/chaos.Store::.configurators";
const GOOD: &str =
    r#"{"key":"chaos.Store","configs":[{"side":"consumer","parameters":{"timeout":3000}}]}"#;

/// So many are there at a time.
const BATCH: usize = 100;

/// A node and its value.
type Node = (Vec<u8>, Vec<u8>);

pub(super) async fn garbage(
    report: &mut Report,
    server: &mut Server,
    quick: bool,
) -> Result<(), BoxError> {
    let (kind, panics) = (server.kind, alarms::panics());
    let scene = Scene::of_three(server).await?;
    match kind {
        Kind::Embedded => damaged_answers(report, &scene, quick).await?,
        _ if kind.is_tree() => broken_nodes(report, &scene, quick).await?,
        _ => broken_metadata(report, &scene, quick).await?,
    }
    report.at_most("panics", alarms::panics() - panics, 0);
    scene.settles(report, Instant::now()).await?;
    scene.end(report).await
}

/// Nodes of every kind that is read, and rules.
async fn broken_nodes(report: &mut Report, scene: &Scene<'_>, quick: bool) -> Result<(), BoxError> {
    let mut hand = scene.server.hand();
    hand.put(RULE.as_bytes(), GOOD.as_bytes())?;
    let (good, told) = (Duration::from_secs(3), rule_warnings());
    let begun = Instant::now();
    while timeout_of(scene) != good && begun.elapsed() < Duration::from_secs(20) {
        pass(Duration::from_millis(5)).await;
    }
    let payloads = if quick { 1000 } else { 10_000 };
    let writing = tokio::task::spawn_blocking(move || write_broken(&mut hand, payloads));
    let (taken, mut hand) = (writing.await??, scene.server.hand());
    report.at_least("broken payloads that the server took", taken, payloads / 2);
    let stays = timeout_of(scene);
    report.note("the last good rule stays", &format!("timeout {stays:?}"), stays == good);
    tokio::task::spawn_blocking(move || hand.remove(RULE.as_bytes())).await??;
    let url = scene.server.url();
    let registry = url.split(['?', ',']).next().unwrap_or_default();
    let lists = alarms::with(&["dubhe::registry", registry, "left out"]).len();
    // Those who follow the list in this process: the consumer, and who looks at it.
    report.note("warnings of lists", &lists.to_string(), (1..=8).contains(&lists));
    let rules = rule_warnings() - told;
    report.note("warnings of rules", &rules.to_string(), (1..=payloads).contains(&rules));
    Ok(())
}

/// How many warnings of rules there were, of all kinds together.
fn rule_warnings() -> usize {
    alarms::with(&["dubhe::config", "chaos.Store::.configurators"]).len()
}

fn timeout_of(scene: &Scene<'_>) -> Duration {
    let store = ServiceKey::new(STORE);
    let method = scene.consumer.config().method(&store, "write", &Default::default());
    method.timeout.value
}

/// Writes so many, a batch at a time; returns how many of them the server took.
fn write_broken(hand: &mut Hand, payloads: usize) -> Result<usize, String> {
    let mut random = StdRng::seed_from_u64(34);
    let mut taken = 0;
    for _ in 0..payloads / BATCH {
        let batch: Vec<Node> = (0..BATCH).map(|number| broken(&mut random, number)).collect();
        for (path, value) in &batch {
            taken += usize::from(hand.put(path, value).is_ok());
        }
        // The nodes of the providers stay, and the rule that the next batch replaces.
        for (path, _) in batch.iter().filter(|(path, _)| path != RULE.as_bytes()) {
            let removed = hand.remove(path);
            removed.map_err(|error| format!("{}: {error}", String::from_utf8_lossy(path)))?;
        }
    }
    Ok(taken)
}

/// A node that is broken somehow.
fn broken(random: &mut StdRng, number: usize) -> Node {
    let url = encoded(
        b"dubhe://127.0.0.9:9/chaos.Store?application=x&category=providers&dubbo=2.0.2&dubhe.codecs=json\
          &dubhe.id=0199&dubhe.protocols=dubbo,json&interface=chaos.Store&timestamp=1726000000000",
    );
    let record = r#"{"name":"x","id":"127.0.0.9:9","address":"127.0.0.9","port":9,"payload":{"metadata":{
        "dubbo.metadata.revision":"r1","dubbo.endpoints":"[{\"port\":9,\"protocol\":\"dubhe\"}]"}}}"#;
    let services = r#"{"app":"x","revision":"r1","services":{"chaos.Store:dubhe":{"name":"chaos.Store",
        "protocol":"dubhe","path":"chaos.Store","params":{"dubhe.id":"0199"}}}}"#;
    let under = |folder: &str, name: &[u8]| [folder.as_bytes(), b"/", name].concat();
    match number % 5 {
        0 | 1 => {
            let mut name = mutated(random, url.as_bytes());
            name.retain(|byte| *byte != b'/');
            // Nobody is at this address; what is left of the URL may well be sound.
            (under("/dubbo/chaos.Store/providers", &[&name[..], b"x"].concat()), Vec::new())
        }
        2 => {
            let name = format!("127.0.0.9:{number}");
            (under("/services/x", name.as_bytes()), mutated(random, record.as_bytes()))
        }
        3 => (
            under("/dubbo/metadata/x", format!("r{number}").as_bytes()),
            mutated(random, services.as_bytes()),
        ),
        // What is cut short is no rule, whatever was cut off.
        _ => {
            let rule = GOOD.replace("3000", "20");
            let end = random.random_range(1..rule.len());
            let mut rule = rule.as_bytes()[..end].to_vec();
            if random.random_bool(0.3) {
                rule.push(random.random_range(0x80..=0xff));
            }
            (RULE.into(), rule)
        }
    }
}

/// Some of the bytes changed, cut out, doubled.
fn mutated(random: &mut StdRng, text: &[u8]) -> Vec<u8> {
    const SPECIAL: &[u8] = b"%&=?:,+[]{}\"\\@# \n\x1b\xff\xc3-9";
    let mut bytes = text.to_vec();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..40)).min(bytes.len());
        match random.random_range(0..4) {
            0 if at < bytes.len() => bytes[at] = SPECIAL[random.random_range(0..SPECIAL.len())],
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            _ => bytes.insert(at, SPECIAL[random.random_range(0..SPECIAL.len())]),
        }
    }
    bytes
}

/// Entries of Nacos whose metadata is broken.
async fn broken_metadata(
    report: &mut Report,
    scene: &Scene<'_>,
    quick: bool,
) -> Result<(), BoxError> {
    let hand = scene.server.hand();
    let payloads = if quick { 200 } else { 10_000 };
    let writing = tokio::task::spawn_blocking(move || {
        let mut random = StdRng::seed_from_u64(34);
        let metadata = r#"{"category":"providers","protocol":"dubhe","path":"chaos.Store","timestamp":"1726000000000",
            "interface":"chaos.Store","dubhe.protocols":"dubbo,json","dubhe.id":"0199"}"#;
        let one = |_: &usize| {
            let broken = mutated(&mut random, metadata.as_bytes());
            hand.nacos_instance(STORE, &String::from_utf8_lossy(&broken)).is_ok()
        };
        (0..payloads).filter(one).count()
    });
    report.at_least("broken payloads that the server took", writing.await?, payloads / 20);
    // Nobody renews it, so it ends by itself.
    scene.observer.becomes(&scene.live(), Duration::from_secs(90)).await?;
    Ok(())
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
