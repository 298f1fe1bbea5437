//! An instance as parameters, and back: the same map in provider URLs, in Nacos' metadata and in the
//! services of a metadata record.
//!
//! What we write comes back equal, whatever a program puts into its metadata: fields have keys of their
//! own, and metadata that would be taken for one of them gets a prefix. Metadata whose key Dubbo knows
//! and we do not use, such as `warmup` or `dubbo.tag`, stands as it is, so that others can read it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rpc_core::{Instance, InstancePool, ServiceKey};

use super::escape::{decode, escape};
use super::url::{DEFAULT, PROTOCOLS, join_address};

pub(super) const ID: &str = "dubhe.id";
pub(super) const ENDPOINTS: &str = "dubhe.endpoints";
pub(super) const ADDRESS: &str = "dubhe.address";
pub(super) const TIMESTAMP: &str = "timestamp";
const CODECS: &str = "dubhe.codecs";
const OUR_KEYS: &str = "dubhe.";
const METADATA: &str = "dubhe.meta.";

/// The weight that need not be said.
const WEIGHT: u32 = 100;

/// Dubbo's version of its wire protocol, and ours of this crate.
pub(super) const DUBBO: &str = "2.0.2";
pub(super) const RELEASE: &str = concat!("dubhe-", env!("CARGO_PKG_VERSION"));

/// The keys that say something about a process, and the same for all of its services.
pub(super) const OF_PROCESS: [&str; 4] = [ID, TIMESTAMP, ENDPOINTS, ADDRESS];

/// Keys that metadata may not have as they are: we write them, or they decide whether a provider is
/// considered at all.
const RESERVED: [&str; 17] = [
    "application",
    "category",
    "disabled",
    "dubbo",
    "dynamic",
    "enabled",
    "group",
    "interface",
    "methods",
    "path",
    "protocol",
    "release",
    "side",
    "version",
    "weight",
    TIMESTAMP,
    "",
];

/// What `instance` is, as parameters.
pub(super) fn of_instance(instance: &Instance) -> BTreeMap<String, String> {
    let Instance { service, metadata, .. } = instance;
    let mut params = BTreeMap::new();
    let mut put = |key: &str, value: &str| params.insert(key.to_owned(), value.to_owned());
    put("methods", "*");
    for (key, value) in metadata.iter() {
        match is_plain(key) || (key == "methods" && are_methods(value)) {
            true => put(key, value),
            false => put(&format!("{METADATA}{key}"), value),
        };
    }
    put("dubbo", DUBBO);
    put("dynamic", "true");
    put("category", "providers");
    put("side", "provider");
    put("release", RELEASE);
    put("interface", service.interface());
    put(ID, &instance.id);
    for (key, value) in [
        ("application", &*instance.application),
        ("group", service.group()),
        ("version", service.version()),
        (ENDPOINTS, &endpoints(instance)),
    ] {
        if !value.is_empty() {
            put(key, value);
        }
    }
    for (key, names) in [(PROTOCOLS, &instance.protocols), (CODECS, &instance.codecs)] {
        if !names.is_empty() {
            put(key, &list(names));
        }
    }
    if instance.weight != WEIGHT {
        put("weight", &instance.weight.to_string());
    }
    if instance.started_ms != 0 {
        put(TIMESTAMP, &instance.started_ms.to_string());
    }
    if split_address(&instance.address).is_none() {
        put(ADDRESS, &instance.address);
    }
    params
}

/// Host and port of an address, if they give the same address back.
pub(super) fn split_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    let kept = host.bytes().all(is_plain) && join_address(host, port) == address;
    kept.then_some((host, port))
}

/// An instance of ours; `host` and `port` are those of the place where it was found.
pub(super) fn to_our_instance(
    mut params: BTreeMap<String, String>,
    service: ServiceKey,
    (host, port): (&str, u16),
    pool: &mut InstancePool,
) -> Result<Instance, String> {
    let mut take = |key: &str| params.remove(key);
    let address = take(ADDRESS).unwrap_or_else(|| join_address(host, port));
    let started_ms = number(TIMESTAMP, take(TIMESTAMP))?.unwrap_or(0);
    let id = take(ID).unwrap_or_else(|| foreign_id(&address, started_ms));
    let mut instance = Instance::new(service, &address, &id);
    instance.started_ms = started_ms;
    instance.application = take("application").unwrap_or_default().into();
    if let Some(weight) = number("weight", take("weight"))? {
        instance.weight = u32::try_from(weight).unwrap_or(u32::MAX);
    }
    instance.protocols = read_list(take(PROTOCOLS).as_deref())?;
    instance.codecs = read_list(take(CODECS).as_deref())?;
    instance.endpoints = read_endpoints(&take(ENDPOINTS).unwrap_or_default())?;
    params.retain(|key, value| match &**key {
        "methods" => are_methods(value),
        key => !RESERVED.contains(&key),
    });
    let metadata = params.into_iter().map(|(key, value)| match key.strip_prefix(METADATA) {
        Some(own) => (own.to_owned(), value),
        None => (key, value),
    });
    instance.metadata = Arc::new(metadata.collect());
    Ok(pool.shared(instance))
}

/// The instance that another implementation published: what has a field is in it, all else is kept.
pub(super) fn to_foreign_instance(
    mut params: BTreeMap<String, String>,
    protocols: Arc<[String]>,
    service: ServiceKey,
    (host, port): (&str, u16),
    pool: &mut InstancePool,
) -> Instance {
    let old: Vec<_> = params
        .range(DEFAULT.to_owned()..)
        .take_while(|(key, _)| key.starts_with(DEFAULT))
        .map(|(key, value)| (key[DEFAULT.len()..].to_owned(), value.clone()))
        .collect();
    for (key, value) in old {
        params.entry(key).or_insert(value);
    }
    let address = join_address(host, port);
    let started_ms = started_ms(params.get(TIMESTAMP).map_or("", String::as_str));
    let id = foreign_id(&address, started_ms);
    let mut instance = Instance::new(service, &address, &id);
    instance.started_ms = started_ms;
    instance.protocols = protocols;
    if let Some(weight) = params.get("weight").and_then(|text| text.parse::<i64>().ok()) {
        instance.weight = u32::try_from(weight.max(0)).unwrap_or(u32::MAX);
        params.remove("weight");
    }
    instance.application = params.remove("application").unwrap_or_default().into();
    for key in [TIMESTAMP, "interface", "group", "version"] {
        params.remove(key);
    }
    instance.metadata = Arc::new(params);
    pool.shared(instance)
}

/// The identity of a start that has none of ours.
pub(super) fn foreign_id(address: &str, started_ms: u64) -> String {
    match started_ms {
        0 => address.to_owned(),
        _ => format!("{address}@{started_ms}"),
    }
}

/// The start of a provider in milliseconds, 0 if it is unknown. Go writes seconds.
pub(super) fn started_ms(text: &str) -> u64 {
    /// As seconds, this is the year 5138, as milliseconds 1973.
    const SECONDS_BELOW: u64 = 100_000_000_000;
    match text.parse().unwrap_or(0) {
        seconds if seconds < SECONDS_BELOW => seconds * 1000,
        ms => ms,
    }
}

/// Whether metadata of this key stands under the key itself.
fn is_plain(key: &str) -> bool {
    !(RESERVED.contains(&key) || key.starts_with(OUR_KEYS))
}

/// Whether it names methods, and so is worth telling others.
fn are_methods(value: &str) -> bool {
    !matches!(value, "" | "*")
}

fn number(key: &str, text: Option<String>) -> Result<Option<u64>, String> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("its `{key}` is not a number"))
}

fn list(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|text| name(text)).collect();
    names.join(",")
}

/// The names of a list; none if it is not there.
fn read_list(text: Option<&str>) -> Result<Arc<[String]>, String> {
    text.into_iter().flat_map(|text| text.split(',')).map(|name| decode(name, false)).collect()
}

pub(super) fn endpoints(instance: &Instance) -> String {
    let pair =
        |(protocol, address): (&String, &Arc<str>)| format!("{}={}", name(protocol), name(address));
    instance.endpoints.iter().map(pair).collect::<Vec<_>>().join(",")
}

fn read_endpoints(text: &str) -> Result<BTreeMap<String, Arc<str>>, String> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    let read = |pair: &str| {
        let (protocol, address) = pair.split_once('=').ok_or("an endpoint has no `=`")?;
        Ok((decode(protocol, false)?, decode(address, false)?.into()))
    };
    pairs.map(read).collect()
}

/// A name as part of a list.
fn name(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '%' | ',' | '='))
}
