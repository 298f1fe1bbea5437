//! Provider and consumer URLs: what interface-level registries list.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rpc_core::{Instance, InstancePool, ServiceKey};

use super::params::{self, DUBBO, RELEASE, TIMESTAMP};
use super::process::MAX_PROTOCOLS;
use super::service_rules::{foreign_protocol, no_version};
use super::url::{DubboUrl, OUR_SCHEME};
use crate::listed_consumer::ListedConsumer;

/// A provider that an interface-level registry lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadProvider {
    /// What it is, at the one address and with the protocols of this URL.
    pub(crate) instance: Arc<Instance>,
    /// Whether it may stay after its process has gone: Go takes its record away at once, and leaves its
    /// URL until the session ends.
    pub(crate) may_be_left_over: bool,
    /// Whether it is one of ours, which a single URL describes completely.
    pub(crate) is_ours: bool,
}

/// Why an entry is not one of the providers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is something else on purpose, or switched off; nobody needs to hear of it.
    NotProvided(&'static str),
    /// It cannot be understood: someone should correct it.
    Malformed(String),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProvided(why) => f.write_str(why),
            Self::Malformed(why) => f.write_str(why),
        }
    }
}

/// The URL under which `instance` is listed.
pub(crate) fn provider_url(instance: &Instance) -> DubboUrl {
    // An odd address stands in a parameter of its own; then the host is for looks.
    let (host, port) = params::split_address(&instance.address).unwrap_or(("odd.invalid", 1));
    DubboUrl {
        scheme: OUR_SCHEME.to_owned(),
        user: String::new(),
        password: String::new(),
        host: host.to_owned(),
        port: Some(port),
        path: instance.service.interface().to_owned(),
        params: params::of_instance(instance),
    }
}

/// The URL that shows who calls `service`: from `host`, by a process that began at `started_ms`.
pub(crate) fn consumer_url(
    service: &ServiceKey,
    application: &str,
    host: &str,
    (started_ms, pid): (u64, u32),
) -> DubboUrl {
    let (started_ms, pid) = (started_ms.to_string(), pid.to_string());
    let params = [
        ("application", application),
        ("category", "consumers"),
        ("check", "false"),
        ("dubbo", DUBBO),
        ("group", service.group()),
        ("interface", service.interface()),
        ("methods", "*"),
        ("pid", &pid),
        ("release", RELEASE),
        ("side", "consumer"),
        (TIMESTAMP, &started_ms),
        ("version", service.version()),
    ];
    let said = params.into_iter().filter(|(_, value)| !value.is_empty());
    DubboUrl {
        scheme: "consumer".to_owned(),
        user: String::new(),
        password: String::new(),
        host: host.to_owned(),
        port: None,
        path: service.interface().to_owned(),
        params: said.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    }
}

/// The consumer that a URL describes, and the services that it wants.
pub(crate) fn read_consumer(url: &DubboUrl) -> Result<(ServiceKey, ListedConsumer), Unread> {
    if url.scheme != "consumer" {
        return Err(Unread::NotProvided("it is no consumer"));
    }
    let service = service_of(url, false).map_err(Unread::Malformed)?;
    let consumer = ListedConsumer {
        host: url.host.clone(),
        application: url.param("application").to_owned(),
        pid: url.param("pid").parse().unwrap_or(0),
        started_ms: params::started_ms(url.param(TIMESTAMP)),
    };
    Ok((service, consumer))
}

/// The provider that a URL describes.
pub(crate) fn read_provider(
    url: DubboUrl,
    pool: &mut InstancePool,
) -> Result<ReadProvider, Unread> {
    if !matches!(url.param("category"), "" | "providers") || url.scheme == "consumer" {
        return Err(Unread::NotProvided("it is of another category than providers"));
    }
    if url.scheme == "empty" {
        return Err(Unread::NotProvided("it says that there is no provider"));
    }
    if url.param("enabled") == "false" || url.param("disabled") == "true" {
        return Err(Unread::NotProvided("it is disabled"));
    }
    let is_ours = url.is_ours();
    let service = service_of(&url, is_ours).map_err(Unread::Malformed)?;
    let may_be_left_over = url.param("registry.type") == "all";
    let port = match url.port {
        Some(port) if is_ours || port != 0 => port,
        _ => return Err(Unread::Malformed("it has no port to connect to".to_owned())),
    };
    let instance = if is_ours {
        params::to_our_instance(url.params, service, (&url.host, port), pool)
            .map_err(Unread::Malformed)?
    } else {
        let more = url.param("ext.protocol").split(',').filter(|name| !name.is_empty());
        let mut protocols = vec![foreign_protocol(&url.scheme)];
        protocols.extend(more.take(MAX_PROTOCOLS - 1).map(foreign_protocol));
        params::to_foreign_instance(url.params, protocols.into(), service, (&url.host, port), pool)
    };
    Ok(ReadProvider { instance: Arc::new(instance), may_be_left_over, is_ours })
}

/// The metadata of a Nacos instance that says what `url` says.
pub(crate) fn to_nacos_metadata(url: DubboUrl) -> BTreeMap<String, String> {
    let mut metadata = url.params;
    metadata.entry("category".to_owned()).or_insert_with(|| "providers".to_owned());
    metadata.insert("protocol".to_owned(), url.scheme);
    metadata.insert("path".to_owned(), url.path);
    metadata
}

/// The URL that a Nacos instance at `host` and `port` stands for.
pub(crate) fn from_nacos_metadata(
    host: &str,
    port: u16,
    mut metadata: BTreeMap<String, String>,
) -> DubboUrl {
    let scheme = metadata.remove("protocol").filter(|name| !name.is_empty());
    let path = metadata.remove("path").filter(|path| !path.is_empty());
    let path = path.or_else(|| metadata.get("interface").cloned()).unwrap_or_default();
    DubboUrl {
        scheme: scheme.unwrap_or_else(|| "dubbo".to_owned()),
        user: String::new(),
        password: String::new(),
        host: host.to_owned(),
        port: Some(port),
        path,
        params: metadata,
    }
}

/// The service that a URL speaks of.
fn service_of(url: &DubboUrl, is_ours: bool) -> Result<ServiceKey, String> {
    let version = url.param("version");
    let version = if is_ours { version } else { no_version(version) };
    let key = ServiceKey::with_parts(url.interface(), url.param("group"), version);
    match key.as_str().parse::<ServiceKey>() {
        Ok(read) if read == key => Ok(key),
        Ok(_) => Err("its interface, group or version holds a `/` or `:`".to_owned()),
        Err(error) => Err(format!("{error}")),
    }
}
