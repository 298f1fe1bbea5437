//! Dubbo's layouts: what we write comes back, what Java and Go wrote is read, and hostile input harms
//! nobody.

mod captures;
mod hostile;
mod merging;
mod recipes;
mod round_trip;
mod rules;

use rpc_core::InstancePool;
use serde_json::Value;

use super::application::application_entry;
use super::merged::{Merged, NotCalled, ReadRecord, UNREAD, merge};
use super::metadata_info::{MetadataInfo, ServiceInfo};
use super::paths::{TreePaths, check_application};
use super::provider_url::{
    ReadProvider, Unread, consumer_url, from_nacos_metadata, provider_url, read_provider,
    to_nacos_metadata,
};
use super::service_instance::ServiceInstance;
use super::service_rules::{colon_separated, satisfies};
use super::url::DubboUrl;
use super::*;

/// A capture, parsed.
fn capture(file: &str) -> Value {
    let path = format!("{}/tests/captures/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// The provider that the text of a URL describes.
fn provider(text: &str) -> ReadProvider {
    read_provider(DubboUrl::parse(text).unwrap(), &mut InstancePool::default()).unwrap()
}
