//! The requests of Nacos' protocol and their answers, as JSON has them.
//!
//! Only what is needed of each: a server ignores what is missing, and we ignore what we do not know.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dubbo::TreeMark;

/// A request that a server answers.
pub(super) trait NacosAsk: Serialize + Sync {
    /// The name of its class, by which the server reads it.
    const KIND: &'static str;
    /// What is read of the answer.
    type Answer: DeserializeOwned + Send + 'static;
}

/// What a message of a server says of itself: an answer whether the request succeeded, a push by which id it is
/// answered, a list of a service which it is. Hosts are not read for it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MessageHead {
    pub(super) result_code: i32,
    pub(super) error_code: i32,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) service_info: Option<ListHead>,
}

impl MessageHead {
    /// Whether it is the answer to a request that succeeded.
    pub(super) fn is_success(&self) -> bool {
        self.result_code == SUCCESS
    }
}

/// The result code of a request that succeeded.
pub(super) const SUCCESS: i32 = 200;

/// Reads what a server sent.
///
/// # Errors
/// It is of another form.
pub(super) fn read_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|error| format!("it sent JSON of another form: {error}"))
}

/// An answer without content.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// Whether the server has started; answered on every connection.
#[derive(Debug, Serialize)]
pub(super) struct ServerCheck {}

impl NacosAsk for ServerCheck {
    const KIND: &'static str = "ServerCheckRequest";
    type Answer = ServerAbilities;
}

/// What a server can do.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ServerAbilities {
    /// It tells its abilities, as Nacos 2.3 and later do.
    pub(super) support_ability_negotiation: bool,
}

/// Whether the server knows this connection.
#[derive(Debug, Serialize)]
pub(super) struct HealthCheck {}

impl NacosAsk for HealthCheck {
    const KIND: &'static str = "HealthCheckRequest";
    type Answer = Nothing;
}

/// Makes a client of a connection: the first message of the stream. It has no answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectionSetup<'a> {
    pub(super) client_version: &'static str,
    /// The namespace.
    pub(super) tenant: &'a str,
    pub(super) labels: BTreeMap<&'static str, &'a str>,
}

impl ConnectionSetup<'_> {
    pub(super) const KIND: &'static str = "ConnectionSetupRequest";
}

/// A provider, as servers list it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NacosHost {
    pub(super) ip: String,
    pub(super) port: u16,
    pub(super) weight: f64,
    pub(super) healthy: bool,
    pub(super) enabled: bool,
    pub(super) ephemeral: bool,
    pub(super) metadata: Option<BTreeMap<String, String>>,
}

impl Default for NacosHost {
    fn default() -> Self {
        Self {
            ip: String::new(),
            port: 0,
            weight: 1.0,
            healthy: true,
            enabled: true,
            ephemeral: true,
            metadata: None,
        }
    }
}

/// A service by name, in its group and namespace.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Named<'a> {
    pub(super) namespace: &'a str,
    pub(super) group_name: &'a str,
    pub(super) service_name: &'a str,
}

/// Lists this connection's instance of a service, in place of whatever it listed there, or takes all of
/// them off.
#[derive(Debug, Serialize)]
pub(super) struct InstanceRequest<'a> {
    #[serde(flatten)]
    pub(super) service: Named<'a>,
    /// `registerInstance` or `deregisterInstance`.
    pub(super) r#type: &'static str,
    pub(super) instance: &'a NacosHost,
}

impl NacosAsk for InstanceRequest<'_> {
    const KIND: &'static str = "InstanceRequest";
    type Answer = Nothing;
}

/// Lists several instances of a service, in place of whatever this connection listed there.
#[derive(Debug, Serialize)]
pub(super) struct BatchInstanceRequest<'a> {
    #[serde(flatten)]
    pub(super) service: Named<'a>,
    /// `batchRegisterInstance`.
    pub(super) r#type: &'static str,
    pub(super) instances: &'a [NacosHost],
}

impl NacosAsk for BatchInstanceRequest<'_> {
    const KIND: &'static str = "BatchInstanceRequest";
    type Answer = Nothing;
}

/// Begins or ends the pushes about a service.
#[derive(Debug, Serialize)]
pub(super) struct SubscribeServiceRequest<'a> {
    #[serde(flatten)]
    pub(super) service: Named<'a>,
    pub(super) subscribe: bool,
    pub(super) clusters: &'static str,
}

impl NacosAsk for SubscribeServiceRequest<'_> {
    const KIND: &'static str = "SubscribeServiceRequest";
    type Answer = MessageHead;
}

/// Asks for the list of a service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceQueryRequest<'a> {
    #[serde(flatten)]
    pub(super) service: Named<'a>,
    pub(super) cluster: &'static str,
    pub(super) healthy_only: bool,
    pub(super) udp_port: u16,
}

impl NacosAsk for ServiceQueryRequest<'_> {
    const KIND: &'static str = "ServiceQueryRequest";
    type Answer = MessageHead;
}

/// Which list it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListHead {
    /// In some versions with its group: `group@@name`.
    pub(super) name: Option<String>,
    /// When the server made the list, in milliseconds by its clock.
    pub(super) last_ref_time: i64,
    /// Of the text of its hosts; `None` if there is none.
    #[serde(deserialize_with = "mark_of")]
    pub(super) hosts: Option<TreeMark>,
}

fn mark_of<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TreeMark>, D::Error> {
    let text = <&RawValue>::deserialize(from)?;
    Ok(Some(TreeMark::of_bytes(text.get().as_bytes())))
}

/// A list of a service, answered or pushed, of which the hosts are read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WholeList {
    pub(super) service_info: Option<NacosService>,
}

/// Who provides a service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NacosService {
    #[serde(deserialize_with = "hosts")]
    pub(super) hosts: Vec<NacosHost>,
}

/// A host of a list, or what stands there and cannot be one.
#[derive(Deserialize)]
#[serde(untagged)]
enum ListedHost {
    Host(NacosHost),
    Malformed(Value),
}

/// Reads hosts. What cannot be one costs no other: it becomes one without port, which whoever reads the list
/// leaves out and tells.
fn hosts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<NacosHost>, D::Error> {
    let host = |listed: ListedHost| match listed {
        ListedHost::Host(host) => host,
        ListedHost::Malformed(value) => {
            let ip = value.get("ip").and_then(Value::as_str).unwrap_or("malformed").to_owned();
            NacosHost { ip, ..NacosHost::default() }
        }
    };
    let listed = Option::<Vec<ListedHost>>::deserialize(from)?;
    Ok(listed.unwrap_or_default().into_iter().map(host).collect())
}

/// Asks for the names of services, a page at a time.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceListRequest<'a> {
    #[serde(flatten)]
    pub(super) service: Named<'a>,
    pub(super) page_no: usize,
    pub(super) page_size: usize,
    pub(super) selector: &'static str,
}

impl NacosAsk for ServiceListRequest<'_> {
    const KIND: &'static str = "ServiceListRequest";
    type Answer = ServiceNames;
}

/// The name of a service that the server names with its group before it, or without.
pub(super) fn without_group(name: &str) -> &str {
    name.split_once("@@").map_or(name, |(_, name)| name)
}

/// A page of names.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceNames {
    /// How many there are in all.
    pub(super) count: usize,
    /// Each as `group@@name`.
    pub(super) service_names: Option<Vec<String>>,
}

/// The key of a configuration, in its namespace.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigKey<'a> {
    pub(super) data_id: &'a str,
    pub(super) group: &'a str,
    pub(super) tenant: &'a str,
}

/// Asks for a configuration.
#[derive(Debug, Serialize)]
pub(super) struct ConfigQueryRequest<'a> {
    #[serde(flatten)]
    pub(super) key: ConfigKey<'a>,
}

impl NacosAsk for ConfigQueryRequest<'_> {
    const KIND: &'static str = "ConfigQueryRequest";
    type Answer = ConfigAnswer;
}

/// A configuration.
#[derive(Debug, Deserialize)]
pub(super) struct ConfigAnswer {
    pub(super) content: Option<String>,
    pub(super) md5: Option<String>,
}

/// Sets a configuration.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigPublishRequest<'a> {
    #[serde(flatten)]
    pub(super) key: ConfigKey<'a>,
    pub(super) content: &'a str,
    /// Only if the present content has this digest, or there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cas_md5: Option<&'a str>,
    pub(super) addition_map: BTreeMap<&'static str, &'static str>,
}

impl NacosAsk for ConfigPublishRequest<'_> {
    const KIND: &'static str = "ConfigPublishRequest";
    type Answer = Nothing;
}

/// Takes a configuration away.
#[derive(Debug, Serialize)]
pub(super) struct ConfigRemoveRequest<'a> {
    #[serde(flatten)]
    pub(super) key: ConfigKey<'a>,
}

impl NacosAsk for ConfigRemoveRequest<'_> {
    const KIND: &'static str = "ConfigRemoveRequest";
    type Answer = Nothing;
}

/// Begins or ends the pushes about configurations.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigBatchListenRequest<'a> {
    pub(super) listen: bool,
    pub(super) config_listen_contexts: [ListenedConfig<'a>; 1],
}

/// A configuration to be told about, and the digest of the content that we know.
#[derive(Debug, Serialize)]
pub(super) struct ListenedConfig<'a> {
    #[serde(flatten)]
    pub(super) key: ConfigKey<'a>,
    pub(super) md5: &'a str,
}

impl NacosAsk for ConfigBatchListenRequest<'_> {
    const KIND: &'static str = "ConfigBatchListenRequest";
    type Answer = Nothing;
}

/// A configuration has changed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigChangeNotify {
    pub(super) data_id: String,
    pub(super) group: String,
}

/// Our answer to a push.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PushAnswer {
    pub(super) request_id: Option<String>,
    pub(super) result_code: i32,
    pub(super) error_code: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_without_its_group() {
        for (told, name) in [("DEFAULT_GROUP@@a.B", "a.B"), ("a.B", "a.B"), ("g@@a@@b", "a@@b")] {
            assert_eq!(without_group(told), name);
        }
    }
}
