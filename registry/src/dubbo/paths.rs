//! Where things stand in a server that keeps values by path.

use rpc_core::ServiceKey;

use super::escape::encode_form;
use super::service_rules::colon_separated;

/// The paths of one registry.
///
/// ```text
/// /dubbo/<interface>/providers/<URL>          one provider, ends with its session
/// /dubbo/<interface>/consumers/<URL>          one consumer, ends with its session
/// /dubbo/<interface>/configurators/<URL>      one override, as Dubbo 2.6 keeps rules; only read
/// /dubbo/mapping/<interface>                  names of applications
/// /dubbo/metadata/<application>/<revision>    what the processes of one revision serve
/// /dubbo/<application>/<revision>             the same, where Go looks
/// /services/<application>/<host>:<port>       one process, ends with its session
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreePaths {
    root: String,
    services: String,
    parts_versions: bool,
}

impl TreePaths {
    /// The paths under `root`. Other roots than `dubbo` take the place of `services` too, as in Java.
    pub(crate) fn new(root: &str) -> Self {
        let services = if root == "dubbo" { "services" } else { root };
        let (root, services) = (format!("/{root}"), format!("/{services}"));
        Self { root, services, parts_versions: false }
    }

    /// Whether each version and group of an interface has a place of its own.
    pub(crate) fn parting_versions(mut self, parts: bool) -> Self {
        self.parts_versions = parts;
        self
    }

    /// The parent of all interfaces, and of what is not one: see [`interface_of`](Self::interface_of).
    pub(crate) fn interfaces(&self) -> &str {
        &self.root
    }

    /// The interface that a child of [`interfaces`](Self::interfaces) stands for, unless it is one of the
    /// folders that lie beside them.
    pub(crate) fn interface_of(name: &str) -> Option<String> {
        let interface = super::escape::decode(name, true).ok()?;
        (!matches!(&*interface, "" | "config" | "mapping" | "metadata")).then_some(interface)
    }

    /// The parent of the providers of a service: of all versions and groups of its interface, unless these
    /// are parted.
    pub(crate) fn providers(&self, service: &ServiceKey) -> String {
        format!("{}/{}/providers", self.root, self.folder(service))
    }

    /// The parent of the consumers of a service, likewise.
    pub(crate) fn consumers(&self, service: &ServiceKey) -> String {
        format!("{}/{}/consumers", self.root, self.folder(service))
    }

    /// The parent of the overrides of a service, likewise.
    pub(crate) fn overrides(&self, service: &ServiceKey) -> String {
        format!("{}/{}/configurators", self.root, self.folder(service))
    }

    fn folder(&self, service: &ServiceKey) -> String {
        match self.parts_versions {
            true => encode_form(&colon_separated(service)),
            false => encode_form(service.interface()),
        }
    }

    /// The parent of all applications.
    pub(crate) fn applications(&self) -> &str {
        &self.services
    }

    /// The parent of the processes of an application.
    pub(crate) fn processes(&self, application: &str) -> String {
        format!("{}/{application}", self.services)
    }

    /// The parent of all mappings.
    pub(crate) fn mappings(&self) -> String {
        format!("{}/mapping", self.root)
    }

    /// The applications of an interface, whose name is not encoded here.
    pub(crate) fn mapping(&self, interface: &str) -> String {
        format!("{}/mapping/{interface}", self.root)
    }

    /// What the processes of a revision serve: where Java looks, then where Go does. Both are written,
    /// and read in this order.
    pub(crate) fn metadata(&self, application: &str, revision: &str) -> [String; 2] {
        let root = &self.root;
        [
            format!("{root}/metadata/{application}/{revision}"),
            format!("{root}/{application}/{revision}"),
        ]
    }
}

/// Why an application of this name cannot be registered by its name, if it cannot.
pub(crate) fn check_application(name: &str) -> Result<(), String> {
    let why = match name {
        "" => "the application has no name",
        "." | ".." => "the name of the application is a path",
        _ if name.len() > MAX_SEGMENT => "the name of the application is longer than 255 bytes",
        _ if name.contains(['/', ',']) => "the name of the application has a slash or a comma",
        _ if name.chars().any(|c| c.is_control() || c.is_whitespace()) => {
            "the name of the application has blanks or control characters"
        }
        _ => return Ok(()),
    };
    Err(why.to_owned())
}

/// Whether text from elsewhere may be a segment of a path: an application, a revision.
pub(crate) fn is_segment(text: &str) -> bool {
    check_application(text).is_ok()
}

/// Longest name of an application, in bytes.
const MAX_SEGMENT: usize = 255;
