//! Things that are written wrong: a few bytes of what is right are others, or the whole is something else.

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::hand::{HostByHand, encoded};
use super::server::STORE;

/// So many are there at a time.
pub(super) const BATCH: usize = 100;

/// A rule that is good.
pub(super) const GOOD_RULE: &str =
    r#"{"key":"chaos.Store","configs":[{"side":"consumer","parameters":{"timeout":3000}}]}"#;

/// Hosts and ports that no provider has.
const HOSTS: [&str; 7] = ["", "999.1.1.1", "not a host", "127.0.0.9:9", "::1", "-", "\u{e4}.test"];
const PORTS: [&str; 7] = ["", "0", "-1", "65536", "99999999999", "x", "9.5"];

/// Something that is broken somehow.
pub(super) enum Broken {
    Node { path: Vec<u8>, value: Vec<u8> },
    Host(HostByHand),
    Rule(Vec<u8>),
}

impl Broken {
    /// One of a batch for registries whose entries stand at paths.
    pub(super) fn in_tree(random: &mut StdRng, number: usize) -> Self {
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
                let path = under("/dubbo/chaos.Store/providers", &[&name[..], b"x"].concat());
                Self::Node { path, value: Vec::new() }
            }
            2 => {
                let path = under("/services/x", format!("127.0.0.9:{number}").as_bytes());
                Self::Node { path, value: mutated(random, record.as_bytes()) }
            }
            3 => {
                let path = under("/dubbo/metadata/x", format!("r{number}").as_bytes());
                Self::Node { path, value: mutated(random, services.as_bytes()) }
            }
            _ => Self::Rule(cut_short(random)),
        }
    }

    /// One of a batch for Nacos: a host by its metadata, its service or its address, or a rule.
    pub(super) fn at_nacos(random: &mut StdRng, number: usize) -> Self {
        const METADATA: &str = r#"{"category":"providers","protocol":"dubhe","path":"chaos.Store","timestamp":"1726000000000",
            "interface":"chaos.Store","dubhe.protocols":"dubbo,json","dubhe.id":"0199"}"#;
        let mut host = HostByHand::of(STORE, METADATA);
        match number % 10 {
            4 | 9 => return Self::Rule(cut_short(random)),
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
