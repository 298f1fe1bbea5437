//! What the processes of one revision serve: Dubbo's `MetadataInfo`, as JSON.

use std::fmt::Write as _;

use md5::{Digest, Md5};
use rpc_core::ServiceKey;
use serde::Serialize;
use serde_json::{Map, Value};

use super::fixed_map::FixedMap;
use super::fixed_texts::FixedTexts;
use super::loose_json::{LooseObject, read_object};
use super::service_rules::no_version;

/// The services of an application at one revision; processes of the same revision share it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct MetadataInfo {
    /// Name of the application.
    pub(crate) app: String,
    /// The revision that records name; any text.
    pub(crate) revision: String,
    /// Services by `[group/]interface[:version]:protocol`.
    pub(crate) services: FixedMap<ServiceInfo>,
}

/// One service over one protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct ServiceInfo {
    /// The interface.
    pub(crate) name: String,
    /// The group, or the empty string.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) group: String,
    /// The version, or the empty string.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) version: String,
    /// The protocol, such as `dubbo`, `tri` or our `dubhe`.
    pub(crate) protocol: String,
    /// Its port; 0 means that of the record's endpoint for the protocol, or of the record.
    pub(crate) port: u16,
    /// Its path on the wire: mostly the interface.
    pub(crate) path: String,
    /// What a provider URL has as parameters.
    pub(crate) params: FixedTexts,
}

// === impl MetadataInfo ===

impl MetadataInfo {
    /// The services of an application, with the revision that follows from them.
    pub(crate) fn new(app: &str, services: Vec<ServiceInfo>) -> Self {
        let services: FixedMap<_> =
            services.into_iter().map(|service| (service.key(), service)).collect();
        let revision = revision(app, &services);
        Self { app: app.to_owned(), revision, services }
    }

    /// Reads what Java, Go or we wrote. A service that is none is left out.
    pub(crate) fn from_json(text: &[u8]) -> Result<Self, String> {
        Ok(Self::from_object(&read_object(text)?))
    }

    pub(super) fn from_object(object: &Map<String, Value>) -> Self {
        let object = LooseObject::new(object);
        let services = object.object("services").into_iter().flatten();
        let read = |(key, value): (&String, &Value)| {
            let service = ServiceInfo::from_object(key, LooseObject::new(value.as_object()?))?;
            Some((key.clone(), service))
        };
        Self {
            app: object.text("app").to_owned(),
            revision: object.text("revision").to_owned(),
            services: services.filter_map(read).collect(),
        }
    }

    /// The JSON that Java and Go read.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The same text for the same services, another for others: never `0`, which would mean no services.
fn revision(app: &str, services: &FixedMap<ServiceInfo>) -> String {
    let mut text = String::new();
    // Lengths stand before texts, so that no two lists of services give one text.
    let mut add = |part: &str| text.extend([&part.len().to_string(), ":", part]);
    add(app);
    for (key, service) in services.iter() {
        add(key);
        add(&service.port.to_string());
        add(&service.path);
        add(&service.params.len().to_string());
        for (key, value) in service.params.iter() {
            add(key);
            add(value);
        }
    }
    Md5::digest(text).iter().fold(String::with_capacity(32), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

// === impl ServiceInfo ===

impl ServiceInfo {
    /// `[group/]interface[:version]:protocol`.
    fn key(&self) -> String {
        let service = ServiceKey::with_parts(&self.name, &self.group, &self.version);
        format!("{service}:{}", self.protocol)
    }

    /// The service that it describes; versions of ours are taken as they are.
    pub(super) fn service(&self, ours: bool) -> ServiceKey {
        let version = if ours { &self.version } else { no_version(&self.version) };
        ServiceKey::with_parts(&self.name, &self.group, version)
    }

    /// Reads one service; what its object does not say, its key does.
    fn from_object(key: &str, object: LooseObject<'_>) -> Option<Self> {
        let (service, protocol) = key.rsplit_once(':').unwrap_or((key, ""));
        let or = |said: &str, else_: &str| if said.is_empty() { else_ } else { said }.to_owned();
        let name = match object.text("name") {
            "" => service.parse::<ServiceKey>().ok()?.interface().to_owned(),
            name => name.to_owned(),
        };
        Some(Self {
            path: or(object.text("path"), &name),
            name,
            group: object.text("group").to_owned(),
            version: object.text("version").to_owned(),
            protocol: or(object.text("protocol"), protocol),
            port: u16::try_from(object.number("port")).unwrap_or(0),
            params: object.texts("params").into(),
        })
    }
}
