//! Things that are written wrong: a few bytes of what is right are others, or the whole is something else.

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::hand::{ConfigByHand, HostByHand, encoded};
use super::server::STORE;

/// So many are there at a time.
pub(super) const BATCH: usize = 100;

/// A rule that is good.
pub(super) const GOOD_RULE: &str =
    r#"{"key":"chaos.Store","configs":[{"side":"consumer","parameters":{"timeout":3000}}]}"#;

/// The host of all that is written here.
pub(super) const NOBODY: &str = "127.0.0.9";

/// What is sound.
const PROVIDER: &str = "dubhe://127.0.0.9:9/chaos.Store?application=x&category=providers&dubbo=2.0.2&dubhe.codecs=json\
    &dubhe.id=0199&dubhe.protocols=dubbo,json&interface=chaos.Store&timestamp=1726000000000";
const CONSUMER: &str = "consumer://127.0.0.9/chaos.Store?application=x&category=consumers&dubbo=2.0.2&interface=chaos.Store\
    &side=consumer&timestamp=1726000000000";
/// It orders nothing for a provider that there is, whatever is left of it.
const OVERRIDE: &str = "override://127.0.0.9:9/chaos.Store?category=configurators&dynamic=false&enabled=true&weight=100";
pub(super) const SERVICES: &str = r#"{"app":"x","revision":"r1","services":{"chaos.Store:dubhe":{"name":"chaos.Store",
    "protocol":"dubhe","path":"chaos.Store","params":{"dubhe.id":"0199","dubhe.protocols":"dubbo,json"}}}}"#;

/// Hosts and ports that no provider has.
const HOSTS: [&str; 7] = ["", "999.1.1.1", "not a host", "127.0.0.9:9", "::1", "-", "\u{e4}.test"];
const PORTS: [&str; 7] = ["", "0", "-1", "65536", "99999999999", "x", "9.5"];

/// Those that serve the store in the scene.
pub(super) const APPLICATIONS: [&str; 3] = ["p0", "p1", "p2"];

/// Something that is broken somehow.
pub(super) enum Broken {
    /// Nodes in the order in which they are written.
    Nodes(Vec<Node>),
    /// Applications of the store.
    Mapping(Vec<u8>),
    Host(HostByHand),
    /// A configuration that a host names, and this host.
    Revision(ConfigByHand, HostByHand),
    Rule(Vec<u8>),
}

/// A node of a registry whose entries stand at paths.
pub(super) struct Node {
    pub(super) path: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl Broken {
    /// One of a batch for registries whose entries stand at paths. Consumers of the store read each of them.
    pub(super) fn in_tree(random: &mut StdRng, number: usize) -> Self {
        let application = APPLICATIONS[random.random_range(0..APPLICATIONS.len())];
        let name_in = |random: &mut StdRng, folder: &str, url: &str| {
            let mut name = mutated(random, encoded(url.as_bytes()).as_bytes());
            name.retain(|byte| *byte != b'/');
            // Nobody is at this address; what is left of the URL may well be sound.
            let path = [b"/dubbo/chaos.Store/", folder.as_bytes(), b"/", &name, b"x"].concat();
            Self::Nodes(vec![Node { path, value: Vec::new() }])
        };
        match number % 10 {
            0 | 1 => name_in(random, "providers", PROVIDER),
            2 => {
                let record = record(application, number, "r1");
                let value = mutated(random, record.as_bytes());
                Self::Nodes(vec![Node { path: process(application, number), value }])
            }
            // A sound record names what is broken: where Java looks for it, and where Go does.
            3 | 4 => {
                let services = mutated(random, SERVICES.as_bytes());
                Self::Nodes(Node::revision(number, application, &services).into())
            }
            5 => name_in(random, "configurators", OVERRIDE),
            6 => name_in(random, "consumers", CONSUMER),
            7 | 8 => Self::Mapping(mapping(random)),
            _ => Self::Rule(cut_short(random)),
        }
    }

    /// One of a batch for Nacos: a host by its metadata, its service or its address, at either level, or a rule.
    pub(super) fn at_nacos(random: &mut StdRng, number: usize) -> Self {
        const METADATA: &str = r#"{"category":"providers","protocol":"dubhe","path":"chaos.Store","timestamp":"1726000000000",
            "interface":"chaos.Store","dubhe.protocols":"dubbo,json","dubhe.id":"0199"}"#;
        let application = APPLICATIONS[random.random_range(0..APPLICATIONS.len())];
        let mut host = HostByHand::of(STORE, METADATA);
        match number % 10 {
            4 | 8 => return Self::Rule(cut_short(random)),
            5 => {
                let record = process_map(9, "r1").to_string();
                let metadata = text(&mutated(random, record.as_bytes()));
                return Self::Host(HostByHand::of_application(application, &metadata));
            }
            6 => {
                let revision = format!("broken{number}");
                let metadata = process_map(9, &revision).to_string();
                let value = mutated(random, SERVICES.as_bytes());
                let config = ConfigByHand { id: application.to_owned(), group: revision, value };
                return Self::Revision(config, HostByHand::of_application(application, &metadata));
            }
            7 => return Self::Mapping(mapping(random)),
            0 => host.service = text(&mutated(random, host.service.as_bytes())),
            1..=3 => {
                let any = random.random_range(1..4);
                if any & 1 != 0 {
                    host.ip = HOSTS[random.random_range(0..HOSTS.len())].to_owned();
                }
                if any & 2 != 0 {
                    host.port = PORTS[random.random_range(0..PORTS.len())].to_owned();
                }
            }
            _ => host.metadata = text(&mutated(random, METADATA.as_bytes())),
        }
        Self::Host(host)
    }
}

impl Node {
    /// The services of a revision of its own, and a sound record that names it: of an odd `number` where Java looks
    /// for them, and of an even one where Go does.
    pub(super) fn revision(number: usize, application: &str, services: &[u8]) -> [Self; 2] {
        let folder = if number % 2 == 1 { "metadata/" } else { "" };
        let revision = format!("broken{number}");
        let path = format!("/dubbo/{folder}{application}/{revision}").into_bytes();
        let record = record(application, number, &revision).into_bytes();
        [
            Self { path, value: services.to_vec() },
            Self { path: process(application, number), value: record },
        ]
    }

    /// Whether it stands among the overrides of the store.
    pub(super) fn is_override(&self) -> bool {
        self.path.starts_with(b"/dubbo/chaos.Store/configurators/")
    }
}

/// Those of the scene, and names that are none: what is wrong beside them costs nobody.
fn mapping(random: &mut StdRng) -> Vec<u8> {
    let broken = mutated(random, b"x,shop-2 ,p0-p1,/,..,p2");
    [APPLICATIONS.join(",").as_bytes(), b",", &broken].concat()
}

/// Where a process of an application stands at which nobody is.
fn process(application: &str, port: usize) -> Vec<u8> {
    format!("/services/{application}/{NOBODY}:{port}").into_bytes()
}

/// The record of this process, in the form of ZooKeeper, which is read everywhere.
fn record(application: &str, port: usize, revision: &str) -> String {
    let metadata = process_map(port, revision);
    let id = format!("{NOBODY}:{port}");
    json!({"name": application, "id": id, "address": NOBODY, "port": port, "payload": {"metadata": metadata}})
        .to_string()
}

/// What a process says of itself that has its services in the registry.
fn process_map(port: usize, revision: &str) -> Value {
    let endpoints = json!([{"port": port, "protocol": "dubhe"}]).to_string();
    json!({
        "dubbo.metadata.revision": revision, "dubbo.metadata.storage-type": "remote",
        "dubbo.endpoints": endpoints, "dubhe.id": "0199", "timestamp": "1726000000000",
    })
}

/// A rule whose end is missing: it is none, whatever was cut off.
fn cut_short(random: &mut StdRng) -> Vec<u8> {
    let rule = GOOD_RULE.replace("3000", "20");
    let end = random.random_range(1..rule.len());
    let mut rule = rule.as_bytes()[..end].to_vec();
    if random.random_bool(0.3) {
        rule.push(random.random_range(0x80..=0xff));
    }
    rule
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

/// As text, with what is none replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
