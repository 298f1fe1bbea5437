//! How a registry's tree is laid out, and at which levels this process writes into it: the parameters that
//! every scheme with Dubbo's layouts takes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rpc_core::{Error, Instance};

use super::own_nodes::OwnNodes;
use super::paths::{check_application, is_segment};
use super::told::ToldOfTrees;
use crate::url::RegistryUrl;
use crate::{RegistryParams, sound};

/// The root of the interface level, of the mapping and of the metadata, if the address names none.
const ROOT: &str = "dubbo";

/// Where things are in a registry's tree, and what this process writes there.
///
/// | parameter of the address | meaning | default |
/// | --- | --- | --- |
/// | `group` | root of the tree, without `/` | `dubbo` |
/// | `register-mode` | `interface`, `instance` or `all`: the levels at which providers are registered | `all` |
/// | `register-consumer` | whether a consumer lists itself under the services that it uses | `true` |
#[derive(Debug)]
pub(crate) struct Layout {
    /// The root, without `/`.
    pub(crate) root: Arc<str>,
    /// Whether each version and group of an interface has a place of its own, as services of Nacos do.
    pub(crate) parts_versions: bool,
    pub(crate) mode: RegisterMode,
    pub(crate) registers_consumers: bool,
    /// The form in which application-level records are written; all forms are read.
    pub(crate) record: RecordForm,
    /// Name of this process's application, or the empty string.
    pub(crate) application: Arc<str>,
    /// The address of the registry for people, as it is logged.
    pub(crate) address: Arc<str>,
    /// Servers of the registry as `host:port`; the way to them decides which of its own addresses this
    /// machine writes into the entry of a consumer.
    pub(crate) servers: Vec<String>,
    /// What has been logged about the tree.
    pub(crate) told: ToldOfTrees,
    /// What this process has written.
    pub(super) own: OwnNodes,
}

/// The levels at which providers are registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum RegisterMode {
    /// A node for each service and address, as all versions of Dubbo read.
    Interface,
    /// A record for each process, as Dubbo 3 reads.
    Instance,
    /// Both.
    #[default]
    All,
}

/// The form in which an application-level record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordForm {
    /// The JSON of Curator, as on ZooKeeper.
    Curator,
    /// The JSON of dubbo-go, as on etcd.
    Go,
}

// === impl Layout ===

impl Layout {
    /// Whether a mapping is begun that is not there. Where records have Go's form, dubbo-go does not add itself to
    /// the mapping of another and its provider does not start; so as long as there is the interface level to
    /// be found by, ours is only added to what is there.
    pub(crate) fn begins_mappings(&self) -> bool {
        self.record == RecordForm::Curator || self.mode == RegisterMode::Instance
    }

    /// Whether `instance` is registered at the application level.
    ///
    /// # Errors
    /// It would be, if it had other names: why, and the remedy.
    pub(super) fn has_record(&self, instance: &Instance) -> Result<bool, String> {
        match check_application(&instance.application) {
            _ if !self.mode.writes_instances() => Ok(false),
            Err(why) => Err(format!("{why}, write one into application.name")),
            Ok(()) if !is_segment(&instance.address) => {
                let address = sound::plain(&instance.address);
                Err(format!(
                    "`{address}` names no record, write a plain host into provider.advertise"
                ))
            }
            Ok(()) => Ok(true),
        }
    }

    /// Fails if `instance` would not be registered at any level.
    pub(crate) fn check(&self, instance: &Instance) -> Result<(), Error> {
        let (Err(why), RegisterMode::Instance) = (self.has_record(instance), self.mode) else {
            return Ok(());
        };
        let (address, service) = (&self.address, &instance.service);
        Err(Error::invalid_config(format!(
            "registry {address}: {service} cannot be registered with register-mode=instance: {why}"
        )))
    }

    /// The parameters of an address that it takes; a scheme adds its own and checks them all with
    /// [`RegistryUrl::expect_keys`].
    pub(crate) const KEYS: [&str; 3] = ["group", "register-mode", "register-consumer"];

    /// The layout that the address and the settings of a registry ask for. `default_port` is that of
    /// the scheme.
    ///
    /// # Errors
    /// A parameter with a value that cannot work.
    pub(crate) fn of(
        url: &RegistryUrl,
        params: &RegistryParams,
        record: RecordForm,
        default_port: u16,
    ) -> Result<Self, Error> {
        let value = |key| url.query.get(key).map(String::as_str);
        let root = value("group").unwrap_or(ROOT);
        if root.is_empty() || root.contains('/') || root.contains(char::is_control) {
            let root = sound::plain(root);
            let why =
                format!("group `{root}` is no root: write one name without `/`, as in group=dubbo");
            return Err(url.wrong(&why));
        }
        Ok(Self {
            root: root.into(),
            parts_versions: false,
            mode: match value("register-mode") {
                Some(text) => text.parse().map_err(|why: String| url.wrong(&why))?,
                None => RegisterMode::default(),
            },
            registers_consumers: match value("register-consumer") {
                None | Some("true") => true,
                Some("false") => false,
                Some(other) => {
                    let other = sound::plain(other);
                    let why = format!("register-consumer is `{other}`: write true or false");
                    return Err(url.wrong(&why));
                }
            },
            record,
            application: params.application.as_deref().unwrap_or_default().into(),
            address: url.to_string().into(),
            servers: url.hosts.iter().map(|host| host.address(default_port)).collect(),
            told: ToldOfTrees::default(),
            own: OwnNodes::new(),
        })
    }

    /// As [`of`](Self::of), for a registry that has services in place of a tree: `group` is another thing there.
    pub(crate) fn of_services(
        url: &RegistryUrl,
        params: &RegistryParams,
        default_port: u16,
    ) -> Result<Self, Error> {
        let mut tree = url.clone();
        tree.query.remove("group");
        let layout = Self::of(&tree, params, RecordForm::Curator, default_port)?;
        Ok(Self { parts_versions: true, ..layout })
    }
}

// === impl RegisterMode ===

impl RegisterMode {
    /// Whether providers are registered at the interface level.
    pub(crate) fn writes_interfaces(self) -> bool {
        matches!(self, Self::Interface | Self::All)
    }

    /// Whether providers are registered at the application level.
    pub(crate) fn writes_instances(self) -> bool {
        matches!(self, Self::Instance | Self::All)
    }
}

impl FromStr for RegisterMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "interface" => Ok(Self::Interface),
            "instance" => Ok(Self::Instance),
            "all" => Ok(Self::All),
            other => Err(format!(
                "register-mode is `{}`: write interface, instance or all",
                sound::plain(other)
            )),
        }
    }
}

impl fmt::Display for RegisterMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interface => "interface",
            Self::Instance => "instance",
            Self::All => "all",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(address: &str) -> Result<Layout, Error> {
        let url = RegistryUrl::parse(address).unwrap();
        Layout::of(&url, &RegistryParams::new(address), RecordForm::Curator, 2181)
    }

    #[test]
    fn an_address_chooses_root_levels_and_whether_consumers_are_listed() {
        let layout_of = |address| layout(address).unwrap();
        let plain = layout_of("zookeeper://a,[::1]:7");
        assert_eq!((&*plain.root, plain.mode), ("dubbo", RegisterMode::All));
        assert!(plain.registers_consumers && plain.application.is_empty());
        assert_eq!(plain.servers, ["a:2181", "[::1]:7"]);
        let chosen =
            layout_of("zookeeper://a?group=shop&register-mode=instance&register-consumer=false");
        assert_eq!((&*chosen.root, chosen.mode), ("shop", RegisterMode::Instance));
        assert!(!chosen.registers_consumers);
    }

    #[test]
    fn a_parameter_that_cannot_work_says_what_to_write() {
        for (query, expected) in [
            ("group=", "write one name without `/`, as in group=dubbo"),
            ("group=a%2Fb", "group `a/b` is no root"),
            ("register-mode=both", "register-mode is `both`: write interface, instance or all"),
            ("register-consumer=no", "register-consumer is `no`: write true or false"),
        ] {
            let error = layout(&format!("zookeeper://a?{query}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
