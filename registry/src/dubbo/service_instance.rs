//! One process in application-level discovery: where it is, and which revision of services it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::loose_json::{LooseObject, read_object};
use super::metadata_info::MetadataInfo;
use super::params::{self, OF_PROCESS, started_ms};
use super::url::join_address;

const REVISION: &str = "dubbo.metadata.revision";
const STORAGE: &str = "dubbo.metadata.storage-type";
const ENDPOINTS: &str = "dubbo.endpoints";
/// What a Java reader of ZooKeeper insists on.
const PAYLOAD_CLASS: &str = "org.apache.dubbo.registry.zookeeper.ZookeeperInstance";

/// The record of one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServiceInstance {
    /// Name of the application.
    pub(crate) application: String,
    /// Name or IP address; IPv6 addresses without brackets.
    pub(crate) host: String,
    /// The port of its first protocol.
    pub(crate) port: u16,
    /// When it was registered, in milliseconds since 1970; 0 if unknown.
    pub(crate) registered_ms: u64,
    /// What Dubbo knows of it, by Dubbo's keys.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Its services, where the record itself holds them, as Go's does in etcd.
    pub(crate) services: Option<Arc<MetadataInfo>>,
}

/// A protocol of a process, and its port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ProtocolPort {
    /// The port.
    pub(crate) port: u16,
    /// The protocol, such as `dubbo`, `tri` or our `dubhe`.
    pub(crate) protocol: String,
}

impl ServiceInstance {
    /// Our record of a process that serves `revision`, which is found in the registry.
    pub(super) fn ours(application: &str, host: &str, port: u16, revision: &str) -> Self {
        let endpoints = json!([{"port": port, "protocol": super::url::OUR_SCHEME}]).to_string();
        let metadata = [(REVISION, revision), (STORAGE, "remote"), (ENDPOINTS, &endpoints)];
        Self {
            application: application.to_owned(),
            host: host.to_owned(),
            port,
            metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..Self::default()
        }
    }

    /// A Nacos instance of the application.
    pub(crate) fn from_nacos(
        application: &str,
        host: &str,
        port: u16,
        metadata: BTreeMap<String, String>,
    ) -> Self {
        let (application, host) = (application.to_owned(), host.to_owned());
        Self { application, host, port, metadata, ..Self::default() }
    }

    /// `host:port`: its name among the processes of its application.
    pub(crate) fn id(&self) -> String {
        join_address(&self.host, self.port)
    }

    /// Which services it has; `None` if it has none, or does not say.
    pub(crate) fn revision(&self) -> Option<&str> {
        revision_of(|key| self.metadata.get(key).map(String::as_str))
    }

    /// Whether its services are to be read in the registry. Else only the process itself knows them.
    pub(crate) fn has_remote_metadata(&self) -> bool {
        is_remote(|key| self.metadata.get(key).map(String::as_str))
    }

    /// Whether it is one of ours.
    pub(super) fn is_ours(&self) -> bool {
        self.metadata.contains_key(params::ID)
    }

    /// Its protocols and their ports, as far as it says.
    pub(crate) fn endpoints(&self) -> Vec<ProtocolPort> {
        let text = self.metadata.get(ENDPOINTS).map_or("", String::as_str);
        let Ok(Value::Array(list)) = serde_json::from_str(text) else { return Vec::new() };
        let read = |value: &Value| {
            let object = LooseObject::new(value.as_object()?);
            let port = u16::try_from(object.number("port")).ok().filter(|port| *port > 0)?;
            Some(ProtocolPort { port, protocol: object.text("protocol").to_owned() })
        };
        list.iter().take(MAX_ENDPOINTS).filter_map(read).collect()
    }

    /// When it started, in milliseconds since 1970; 0 if unknown.
    pub(crate) fn started_ms(&self) -> u64 {
        let text = self.metadata.get("timestamp").map_or("", String::as_str);
        // Others write other units, and ours is what we wrote.
        if self.is_ours() { text.parse().unwrap_or(0) } else { started_ms(text) }
    }

    /// What it says of itself as a provider, which is below what its services say. Of ours only what we
    /// wrote: some servers add keys of their own.
    pub(super) fn params(&self, ours: bool) -> impl Iterator<Item = (&String, &String)> {
        self.metadata.iter().filter(move |(key, _)| match &***key {
            key if ours => OF_PROCESS.contains(&key),
            ENDPOINTS | "meta-v" | "registry.id" | "dubbo.subscribed-services.revision" => false,
            key => !key.starts_with("dubbo.metadata"),
        })
    }

    /// The record in ZooKeeper: that of Curator's service discovery.
    pub(crate) fn to_curator_json(&self) -> String {
        let id = self.id();
        json!({
            "name": self.application,
            "id": id,
            "address": self.host,
            "port": self.port,
            "sslPort": null,
            "payload": {
                "@class": PAYLOAD_CLASS,
                "id": id,
                "name": self.application,
                "metadata": self.metadata,
            },
            "registrationTimeUTC": self.registered_ms,
            "serviceType": "DYNAMIC",
            "uriSpec": null,
        })
        .to_string()
    }

    /// The record in etcd: that of Go, which Java's extension of etcd cannot read.
    pub(crate) fn to_go_json(&self) -> String {
        json!({
            "ID": self.id(),
            "ServiceName": self.application,
            "Host": self.host,
            "Port": self.port,
            "Weight": 0,
            "Enable": true,
            "Healthy": true,
            "Metadata": self.metadata,
            "ServiceMetadata": self.services.as_deref(),
            "Address": "",
            "GroupName": "",
            "Tag": "",
        })
        .to_string()
    }

    /// Reads the record that Java or Go wrote in ZooKeeper or etcd, whichever it is. `None` if it says
    /// that it is switched off.
    pub(crate) fn from_json(text: &[u8]) -> Result<Option<Self>, String> {
        let object = read_object(text)?;
        let object = LooseObject::new(&object);
        if ["enable", "enabled", "healthy"].into_iter().any(|key| object.is_false(key)) {
            return Ok(None);
        }
        let payload = object.object("payload").map(LooseObject::new);
        let first = |keys: [&str; 2]| {
            keys.into_iter().map(|key| object.text(key)).find(|text| !text.is_empty())
        };
        // In Go's record in etcd there is an `Address` too, and it is empty.
        let host = first(["host", "address"]).ok_or("it has no host")?;
        let port = u16::try_from(object.number("port")).ok().filter(|port| *port > 0);
        Ok(Some(Self {
            application: first(["serviceName", "name"]).unwrap_or_default().to_owned(),
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: port.ok_or("it has no port to connect to")?,
            registered_ms: u64::try_from(object.number("registrationTimeUTC")).unwrap_or(0),
            metadata: payload.unwrap_or(object).texts("metadata"),
            services: object
                .object("serviceMetadata")
                .map(|services| Arc::new(MetadataInfo::from_object(services))),
        }))
    }
}

/// The revision that the metadata of a record names, if it is one.
pub(super) fn revision_of<'a>(said: impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    said(REVISION).filter(|text| !matches!(*text, "" | "0"))
}

/// Whether the metadata of a record says that its services are in the registry.
pub(super) fn is_remote<'a>(said: impl Fn(&str) -> Option<&'a str>) -> bool {
    said(STORAGE).is_some_and(|storage| storage == "remote")
}

/// Most endpoints that are read of one process.
const MAX_ENDPOINTS: usize = 100;
