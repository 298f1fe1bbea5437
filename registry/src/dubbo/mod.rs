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
//! both             merge(wanted, providers, records) -> Merged { instances, remarks }
//! ```

#![cfg_attr(
    not(all(feature = "etcd", feature = "nacos", feature = "zookeeper")),
    allow(dead_code, reason = "each registry uses a part of it")
)]

mod application;
mod config;
mod escape;
mod fixed_map;
mod fixed_texts;
mod layout;
mod loose_json;
pub(crate) mod mapping;
#[cfg(test)]
mod memory_contract;
#[cfg(test)]
mod memory_nodes;
#[cfg(test)]
pub(crate) mod memory_tree;
mod merged;
mod metadata_info;
mod node_feed;
mod own_nodes;
mod params;
mod paths;
mod process;
mod process_record;
mod provider_url;
#[cfg(test)]
pub(crate) mod reading_contract;
mod service_instance;
mod service_rules;
mod session;
mod shared_instances;
mod told;
mod tree;
#[cfg(test)]
pub(crate) mod tree_contract;
mod url;

#[cfg(feature = "nacos")]
pub(crate) use self::escape::{decode, encode_form};
pub(crate) use self::layout::Layout;
#[cfg(any(feature = "etcd", feature = "zookeeper"))]
pub(crate) use self::layout::RecordForm;
#[cfg(feature = "nacos")]
pub(crate) use self::provider_url::{from_nacos_metadata, to_nacos_metadata};
#[cfg(feature = "nacos")]
pub(crate) use self::service_instance::ServiceInstance;
pub(crate) use self::session::TreeSession;
#[cfg(any(feature = "nacos", feature = "zookeeper"))]
pub(crate) use self::tree::NodeName;
pub(crate) use self::tree::{
    ChangedNode, NodeSink, NodeTree, ReadChildren, ReadOf, TreeMark, TreeNode, ValueSink,
};
#[cfg(feature = "nacos")]
pub(crate) use self::url::DubboUrl;

#[cfg(test)]
mod tests;
