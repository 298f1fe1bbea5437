//! What the paths of a tree are in Nacos, which has services and configurations instead.
//!
//! | path | in Nacos |
//! | --- | --- |
//! | `/dubbo/INTERFACE:VERSION:GROUP/providers/URL` | an instance of service `providers:INTERFACE:VERSION:GROUP` |
//! | `/dubbo/INTERFACE:VERSION:GROUP/consumers/URL` | likewise, `consumers:…` |
//! | `/dubbo/INTERFACE:VERSION:GROUP/configurators/URL` | likewise, `configurators:…` |
//! | `/services/APPLICATION/HOST:PORT` | an instance of service `APPLICATION` |
//! | `/dubbo/mapping/INTERFACE` | configuration `INTERFACE` of group `mapping` |
//! | `/dubbo/metadata/APPLICATION/REVISION` | configuration `APPLICATION` of group `REVISION` |
//! | `/dubbo/APPLICATION/REVISION` | configuration `APPLICATION:REVISION` of group `dubbo`, where Go looks, too |
//! | `/dubbo/config/GROUP/KEY` | configuration `KEY` of group `GROUP` |
//!
//! A `$` is `___` in names of services and configurations, which take no `$`.

use super::settings::NacosSetting;
use crate::dubbo::decode;

/// What is at a path, or below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The entries of an interface-level service.
    Urls {
        service: String,
    },
    /// The processes of an application.
    Processes {
        application: String,
    },
    /// A value.
    Value(NacosSetting),
    /// All interface-level services, or all applications.
    Interfaces,
    Applications,
    /// All values of a kind, which Nacos lists to nobody.
    Values,
}

/// The roots of the tree.
const INTERFACES: &str = "/dubbo";
const APPLICATIONS: &str = "/services";

/// Where the metadata is that Go reads beside that of Java.
const GO_GROUP: &str = "dubbo";

impl Place {
    /// What `path` means; `None` if Nacos has no place for it.
    pub(super) fn of(path: &str) -> Option<Self> {
        if path == INTERFACES {
            return Some(Self::Interfaces);
        }
        if path == APPLICATIONS {
            return Some(Self::Applications);
        }
        if path == "/dubbo/mapping" {
            return Some(Self::Values);
        }
        if let Some(application) = path.strip_prefix("/services/") {
            return Some(Self::Processes { application: application.to_owned() });
        }
        let (first, rest) = path.strip_prefix("/dubbo/")?.split_once('/')?;
        let setting = |id: &str, group: &str| {
            Some(Self::Value(NacosSetting { id: kept(id), group: kept(group) }))
        };
        match (first, rest.split_once('/')) {
            ("mapping", None) => setting(rest, "mapping"),
            ("metadata", Some((application, revision))) => setting(application, revision),
            ("config", Some((group, key))) => setting(key, group),
            (service, None) if matches!(rest, "providers" | "consumers" | "configurators") => {
                let service = decode(service, true).ok()?;
                Some(Self::Urls { service: kept(&format!("{rest}:{service}")) })
            }
            (application, None) => setting(&format!("{application}:{rest}"), GO_GROUP),
            _ => None,
        }
    }

    /// As [`of`](Self::of), for a child: its parent, and its name.
    pub(super) fn of_child(path: &str) -> Option<(Self, &str)> {
        let (parent, name) = path.rsplit_once('/')?;
        Some((Self::of(parent)?, name))
    }
}

/// A name as Nacos takes it.
fn kept(name: &str) -> String {
    name.replace('$', "___").replace('/', "-")
}

/// The interface-level service that lists providers under this name, as a child of `/dubbo`, not yet
/// encoded; `None` for other services.
pub(super) fn interface_of(name: &str) -> Option<String> {
    let service = name.strip_prefix("providers:")?;
    Some(service.replace("___", "$"))
}

/// Whether a service of this name is an application: interface-level names have their parts after `:`.
pub(super) fn is_application(name: &str) -> bool {
    !name.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_that_dubbo_writes_has_its_place() {
        let urls = |service: &str| Place::Urls { service: service.to_owned() };
        let value = |id: &str, group: &str| {
            Place::Value(NacosSetting { id: id.to_owned(), group: group.to_owned() })
        };
        for (path, expected) in [
            ("/dubbo/a.B%24C%3A1.0%3Ag/providers", urls("providers:a.B___C:1.0:g")),
            ("/dubbo/a.B::/consumers", urls("consumers:a.B::")),
            ("/dubbo/a.B::/configurators", urls("configurators:a.B::")),
            ("/services/shop", Place::Processes { application: "shop".to_owned() }),
            ("/dubbo/mapping/a.B$C", value("a.B___C", "mapping")),
            ("/dubbo/metadata/shop/r1", value("shop", "r1")),
            ("/dubbo/shop/r1", value("shop:r1", "dubbo")),
            ("/dubbo/config/dubbo/shop.configurators", value("shop.configurators", "dubbo")),
            ("/dubbo", Place::Interfaces),
            ("/services", Place::Applications),
            ("/dubbo/mapping", Place::Values),
        ] {
            assert_eq!(Place::of(path), Some(expected), "{path}");
        }
        for path in ["/", "/dubbo/a/b/c", "/other/a", "/dubbo/a.B::/providers/x"] {
            assert_eq!(Place::of(path), None, "{path}");
        }
        let (parent, name) = Place::of_child("/services/shop/10.0.0.1:1").unwrap();
        assert_eq!((parent, name), (Place::of("/services/shop").unwrap(), "10.0.0.1:1"));
    }

    #[test]
    fn an_interface_is_found_by_the_name_of_its_service() {
        assert_eq!(interface_of("providers:a.B___C:1.0:g").as_deref(), Some("a.B$C:1.0:g"));
        assert_eq!(interface_of("consumers:a.B::"), None);
        assert!(is_application("shop") && !is_application("providers:a.B::"));
    }
}
