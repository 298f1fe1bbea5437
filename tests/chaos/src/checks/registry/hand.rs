//! Entries that are written beside all clients, as people and other programs do. All of it blocks.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use servers::{EtcdHand, ZooKeeperHand, nacos_http};

use super::kind::Kind;

/// The service whose only entry has one version after the other.
pub(super) const ORDERED: &str = "chaos.Order";

/// The start of its first version, in milliseconds since 1970.
pub(super) const FIRST: u64 = 1_700_000_000_000;

/// Writes to a registry; connected again after a failure.
pub(super) struct Hand {
    /// One of its servers.
    address: String,
    way: Way,
}

/// An entry of Nacos, by what it is told of it: none of it has to make sense.
pub(super) struct HostByHand {
    /// Under which it stands.
    pub(super) service: String,
    pub(super) ip: String,
    pub(super) port: String,
    pub(super) metadata: String,
}

/// A configuration of Nacos.
pub(super) struct ConfigByHand {
    pub(super) id: String,
    pub(super) group: String,
    pub(super) value: Vec<u8>,
}

enum Way {
    Embedded(Option<(TcpStream, u64)>),
    ZooKeeper(Option<ZooKeeperHand>),
    Etcd(EtcdHand),
    Nacos,
}

impl Hand {
    pub(super) fn of(kind: Kind, url: &str) -> Self {
        Self::at(kind, addresses(url).next().unwrap_or_default())
    }

    /// One for each of the servers that are one registry.
    pub(super) fn of_each(kind: Kind, url: &str) -> Vec<Self> {
        addresses(url).map(|address| Self::at(kind, address)).collect()
    }

    fn at(kind: Kind, address: &str) -> Self {
        let address = address.to_owned();
        let way = match kind {
            Kind::Embedded => Way::Embedded(None),
            Kind::ZooKeeper | Kind::ZooKeeper3 => Way::ZooKeeper(None),
            Kind::Etcd | Kind::Etcd3 => Way::Etcd(EtcdHand::new(&address)),
            Kind::Nacos2 | Kind::Nacos3 => Way::Nacos,
        };
        Self { address, way }
    }

    /// Writes a node. An error is one of the server, too, which does not take every path.
    pub(super) fn put(&mut self, path: &[u8], value: &[u8]) -> io::Result<()> {
        match &mut self.way {
            Way::ZooKeeper(session) => {
                let text = String::from_utf8_lossy(path);
                session_of(session, &self.address)?.put(&text, value)
            }
            Way::Etcd(hand) => hand.put(path, value),
            Way::Embedded(_) | Way::Nacos => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Removes a node and all below it.
    pub(super) fn remove(&mut self, path: &[u8]) -> io::Result<()> {
        match &mut self.way {
            Way::ZooKeeper(session) => {
                let text = String::from_utf8_lossy(path);
                session_of(session, &self.address)?.remove(&text)
            }
            Way::Etcd(hand) => hand.remove(path),
            Way::Embedded(_) | Way::Nacos => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Lists this version of the ordered entry, and no other any more. May be said again after an error.
    pub(super) fn list_version(&mut self, version: u64) -> io::Result<()> {
        let done = self.try_version(version);
        self.connected_again(done)
    }

    /// Writes a node that nobody reads. May be said again after an error.
    pub(super) fn put_unread(&mut self) -> io::Result<()> {
        let done = self.put(b"/chaos-unread", b"");
        self.connected_again(done)
    }

    /// After an error the next is by another connection.
    fn connected_again(&mut self, done: io::Result<()>) -> io::Result<()> {
        if done.is_err() {
            match &mut self.way {
                Way::Embedded(connection) => *connection = None,
                Way::ZooKeeper(session) => *session = None,
                Way::Etcd(_) | Way::Nacos => {}
            }
        }
        done
    }

    fn try_version(&mut self, version: u64) -> io::Result<()> {
        match &mut self.way {
            Way::Embedded(connection) => register(connection, &self.address, version),
            Way::ZooKeeper(_) | Way::Etcd(_) => {
                // Before the older is taken away: at no time there is none.
                self.put(node(version).as_bytes(), b"")?;
                self.remove(node(version - 1).as_bytes())
            }
            Way::Nacos => {
                let metadata = json!({
                    "category": "providers", "protocol": "dubbo", "path": ORDERED, "interface": ORDERED,
                    "timestamp": (FIRST + version).to_string(),
                });
                self.nacos_instance(&HostByHand::of(ORDERED, &metadata.to_string()))
            }
        }
    }

    /// Whether it writes to Nacos.
    pub(super) fn is_nacos(&self) -> bool {
        matches!(self.way, Way::Nacos)
    }

    /// An entry of Nacos.
    pub(super) fn nacos_instance(&self, host: &HostByHand) -> io::Result<()> {
        let [service, ip, port, metadata] =
            [&host.service, &host.ip, &host.port, &host.metadata].map(|it| encoded(it.as_bytes()));
        self.nacos(
            "POST",
            &format!(
                "ns/instance?serviceName={service}&ip={ip}&port={port}&ephemeral=true&metadata={metadata}"
            ),
        )
    }

    /// Writes the text of a key of the config centre.
    pub(super) fn put_text(&mut self, key: &str, text: &[u8]) -> io::Result<()> {
        match self.way {
            Way::Nacos => self.put_config(&ConfigByHand::of(key, "dubbo", text)),
            _ => self.put(text_node(key).as_bytes(), text),
        }
    }

    /// Takes the text of a key of the config centre away.
    pub(super) fn remove_text(&mut self, key: &str) -> io::Result<()> {
        match self.way {
            Way::Nacos => self.remove_config(&ConfigByHand::of(key, "dubbo", b"")),
            _ => self.remove(text_node(key).as_bytes()),
        }
    }

    /// Writes which applications provide this service.
    pub(super) fn put_mapping(&mut self, service: &str, names: &[u8]) -> io::Result<()> {
        match self.way {
            Way::Nacos => self.put_config(&ConfigByHand::of(service, "mapping", names)),
            _ => self.put(mapping_node(service).as_bytes(), names),
        }
    }

    /// Takes that away.
    pub(super) fn remove_mapping(&mut self, service: &str) -> io::Result<()> {
        match self.way {
            Way::Nacos => self.remove_config(&ConfigByHand::of(service, "mapping", b"")),
            _ => self.remove(mapping_node(service).as_bytes()),
        }
    }

    /// Writes a configuration of Nacos.
    pub(super) fn put_config(&self, config: &ConfigByHand) -> io::Result<()> {
        let text = encoded(&config.value);
        self.nacos("POST", &format!("cs/configs?{}&content={text}", config.place()))
    }

    /// Removes a configuration of Nacos.
    pub(super) fn remove_config(&self, config: &ConfigByHand) -> io::Result<()> {
        self.nacos("DELETE", &format!("cs/configs?{}", config.place()))
    }

    fn nacos(&self, method: &str, what: &str) -> io::Result<()> {
        match nacos_http(&self.address, method, &format!("/nacos/v1/{what}")) {
            Some((200, _)) => Ok(()),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }
}

impl HostByHand {
    /// One of the provider's side of this service, at an address where nobody is.
    pub(super) fn of(service: &str, metadata: &str) -> Self {
        Self {
            service: format!("providers:{service}::"),
            ip: "127.0.0.9".to_owned(),
            port: "9".to_owned(),
            metadata: metadata.to_owned(),
        }
    }

    /// A process of this application, there.
    pub(super) fn of_application(application: &str, metadata: &str) -> Self {
        Self { service: application.to_owned(), ..Self::of("", metadata) }
    }
}

impl ConfigByHand {
    fn of(id: &str, group: &str, value: &[u8]) -> Self {
        Self { id: id.to_owned(), group: group.to_owned(), value: value.to_vec() }
    }

    fn place(&self) -> String {
        let [id, group] = [&self.id, &self.group].map(|part| encoded(part.as_bytes()));
        format!("dataId={id}&group={group}")
    }
}

/// Those of the servers at `url`.
fn addresses(url: &str) -> impl Iterator<Item = &str> {
    let hosts = url.split("//").nth(1).unwrap_or_default();
    hosts.split('?').next().unwrap_or_default().split(',')
}

/// Where the text of a key of the config centre stands.
fn text_node(key: &str) -> String {
    format!("/dubbo/config/dubbo/{key}")
}

/// Where the applications of a service stand.
fn mapping_node(service: &str) -> String {
    format!("/dubbo/mapping/{service}")
}

fn session_of<'a>(
    session: &'a mut Option<ZooKeeperHand>,
    address: &str,
) -> io::Result<&'a mut ZooKeeperHand> {
    if session.is_none() {
        let address = address.parse().map_err(io::Error::other)?;
        *session = Some(ZooKeeperHand::open(address)?);
    }
    session.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
}

/// Where a version of the ordered entry stands.
fn node(version: u64) -> String {
    let url = format!(
        "dubbo://127.0.0.9:9/{ORDERED}?category=providers&interface={ORDERED}&side=provider&timestamp={}",
        FIRST + version
    );
    format!("/dubbo/{ORDERED}/providers/{}", encoded(url.as_bytes()))
}

/// As forms and URLs have it: letters and digits stand for themselves.
pub(super) fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => text.push(byte.into()),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// Registers by our own protocol, one frame of JSON after its length, as `docs/wire.md` has it.
fn register(
    connection: &mut Option<(TcpStream, u64)>,
    address: &str,
    version: u64,
) -> io::Result<()> {
    if connection.is_none() {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let (stream, number) = connection.insert((stream, 0));
        // By the same secret it may replace what it registered before.
        let hello = json!({"hello": {"version": 1, "token": "", "secret": "chaos"}});
        ask(stream, number, &hello)?;
    }
    let (stream, number) = connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
    let instance = json!({
        "service": ORDERED, "address": "127.0.0.9:9", "id": "ordered", "started_ms": FIRST + version,
    });
    ask(stream, number, &json!({"register": {"instance": instance}}))
}

fn ask(stream: &mut TcpStream, number: &mut u64, ask: &Value) -> io::Result<()> {
    *number += 1;
    let body = json!({"id": *number, "ask": ask}).to_string().into_bytes();
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &body].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let is_taken = answer.contains("\"done\"") || answer.contains("\"welcome\"");
    if is_taken { Ok(()) } else { Err(io::Error::other(answer.into_owned())) }
}
