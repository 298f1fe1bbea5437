//! The instances of one process as a record of its application, and back.

use std::collections::{BTreeMap, HashMap};

use rpc_core::{Instance, InstancePool, ServiceKey};

use super::metadata_info::{MetadataInfo, ServiceInfo};
use super::params::{self, OF_PROCESS, TIMESTAMP};
use super::process::{MAX_PROTOCOLS, join_record};
use super::service_instance::{ProtocolPort, ServiceInstance};
use super::service_rules::{foreign_protocol, satisfies};
use super::url::{OUR_SCHEME, PROTOCOLS};
use crate::sound::{self, UnsoundInstances};

/// What one process publishes: its record, and the services of its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApplicationEntry {
    /// The record.
    pub(crate) record: ServiceInstance,
    /// The services, to be found under the revision that the record names.
    pub(crate) metadata: MetadataInfo,
}

/// What the process of `instances` publishes: those of one application at one address. `None` if there
/// are none.
///
/// Everything that is the same in all processes of a program stands in the services, so that those share
/// one revision; what tells one start from another stands in the record.
pub(crate) fn application_entry(instances: &[Instance]) -> Option<ApplicationEntry> {
    let first = instances.first()?;
    let (host, port) = params::split_address(&first.address).unwrap_or(("odd.invalid", 1));
    let of_process: BTreeMap<_, _> = params::of_instance(first)
        .into_iter()
        .filter(|(key, _)| OF_PROCESS.contains(&&**key))
        .collect();
    let services = instances.iter().map(|instance| {
        let service = &instance.service;
        let mut params = params::of_instance(instance);
        for key in OF_PROCESS {
            match (params.get(key), of_process.get(key)) {
                (own, common) if own == common => drop(params.remove(key)),
                (None, Some(_)) => {
                    let none = if key == TIMESTAMP { "0" } else { "" };
                    params.insert(key.to_owned(), none.to_owned());
                }
                _ => {}
            }
        }
        if instance.address != first.address {
            params.insert(params::ADDRESS.to_owned(), instance.address.to_string());
        }
        ServiceInfo {
            name: service.interface().to_owned(),
            group: service.group().to_owned(),
            version: service.version().to_owned(),
            protocol: OUR_SCHEME.to_owned(),
            port,
            path: service.interface().to_owned(),
            params: params.into(),
        }
    });
    let metadata = MetadataInfo::new(&first.application, services.collect());
    let mut record = ServiceInstance::ours(&first.application, host, port, &metadata.revision);
    record.registered_ms = first.started_ms;
    record.metadata.extend(of_process);
    Some(ApplicationEntry { record, metadata })
}

/// The instances of a record that serve `wanted`: one for each service key, with all of its protocols; and
/// what of them cannot be read.
pub(crate) fn instances_of(
    wanted: &ServiceKey,
    record: &ServiceInstance,
    metadata: &MetadataInfo,
    pool: &mut InstancePool,
) -> (Vec<Instance>, UnsoundInstances) {
    let (mut found, mut left_out) = (Vec::new(), UnsoundInstances::default());
    // Read once: a record may name many of both.
    let endpoints = record.endpoints();
    let mut counts: HashMap<ServiceKey, usize> = HashMap::new();
    for info in metadata.services.values() {
        let service = info.service(is_ours(info));
        if !satisfies(wanted, &service) {
            continue;
        }
        let count = counts.entry(service).or_default();
        *count += 1;
        let read = match *count <= MAX_PROTOCOLS {
            true => instance_of(record, &endpoints, info, pool),
            false => {
                Err(format!("it has more than {MAX_PROTOCOLS} protocols, and the rest is left out"))
            }
        };
        match read {
            Ok(instance) => found.extend(instance),
            Err(why) => {
                let at = format!("{}/{}: {}", record.application, record.id(), info.name);
                left_out.add(format!("{}: {why}", sound::plain(at)));
            }
        }
    }
    (join_record(found), left_out)
}

fn is_ours(info: &ServiceInfo) -> bool {
    info.protocol == OUR_SCHEME || info.params.contains_key(PROTOCOLS)
}

/// The provider of one service over one protocol; `None` if it is switched off.
fn instance_of(
    record: &ServiceInstance,
    endpoints: &[ProtocolPort],
    info: &ServiceInfo,
    pool: &mut InstancePool,
) -> Result<Option<Instance>, String> {
    let ours = is_ours(info);
    let mut params: BTreeMap<String, String> =
        record.params(ours).map(|(key, value)| (key.clone(), value.clone())).collect();
    params.extend(info.params.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
    let switch = |key: &str| params.get(key).map_or("", String::as_str);
    if !ours && (switch("enabled") == "false" || switch("disabled") == "true") {
        return Ok(None);
    }
    let service = info.service(ours);
    params.entry("application".to_owned()).or_insert_with(|| record.application.clone());
    if ours {
        let at = (&*record.host, record.port);
        return params::to_our_instance(params, service, at, pool).map(Some);
    }
    let port = match info.port {
        0 => endpoints
            .iter()
            .find(|endpoint| endpoint.protocol == info.protocol)
            .map_or(record.port, |endpoint| endpoint.port),
        port => port,
    };
    let protocols = [foreign_protocol(&info.protocol)].into();
    let at = (&*record.host, port);
    Ok(Some(params::to_foreign_instance(params, protocols, service, at, pool)))
}
