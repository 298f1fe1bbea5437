//! Dubbo's layouts: how its registries write down who provides what, so that Java, Go and Rust find
//! each other in one server.
//!
//! A server is reached through [`NodeTree`] or through files of its own; what is written there, and
//! how it is read back, is decided here alone:
//!
//! ```text
//! provider URL     provider_url(&Instance) -> DubboUrl -> to_node_name() or to_nacos_metadata()
//!                  DubboUrl::from_node_name() or from_nacos_metadata() -> read_provider() -> ReadProvider
//! application      application_entry(&[Instance]) -> ApplicationEntry { record, metadata }
//!                  ServiceInstance::from_json() + MetadataInfo::from_json() -> ReadRecord::new()
//! both             merge(wanted, providers, records) -> Merged { instances, notes }
//! ```

#![allow(dead_code, unused_imports, reason = "the registries that use it follow")]

mod application;
mod config;
mod escape;
mod layout;
mod loose_json;
pub(crate) mod mapping;
#[cfg(test)]
pub(crate) mod memory_tree;
mod merged;
mod metadata_info;
mod own_nodes;
mod params;
mod paths;
mod pool;
mod process;
mod provider_url;
mod service_instance;
mod service_rules;
mod session;
mod told;
mod tree;
#[cfg(test)]
pub(crate) mod tree_contract;
mod url;

pub(crate) use self::application::{ApplicationEntry, application_entry};
pub(crate) use self::escape::{decode, encode_form};
pub(crate) use self::layout::{Layout, RecordForm, RegisterMode};
pub(crate) use self::merged::{Merged, NotCalled, Note, ReadRecord, UNREAD, merge};
pub(crate) use self::metadata_info::{MetadataInfo, ServiceInfo};
pub(crate) use self::paths::{TreePaths, check_application, is_segment};
pub(crate) use self::pool::Pool;
pub(crate) use self::provider_url::{
    ReadProvider, Unread, consumer_url, from_nacos_metadata, provider_url, read_provider,
    to_nacos_metadata,
};
pub(crate) use self::service_instance::{ProtocolPort, ServiceInstance};
pub(crate) use self::service_rules::{colon_separated, foreign_protocol, satisfies};
pub(crate) use self::session::TreeSession;
pub(crate) use self::tree::{NodeTree, ReadOf, TreeNode};
pub(crate) use self::url::DubboUrl;

#[cfg(test)]
mod tests;
