//! One process is one instance: the entries that another implementation makes for each protocol, joined.

use std::collections::HashMap;
use std::sync::Arc;

use rpc_core::{Instance, ServiceKey};

/// How far apart the entries of one process may have started, in milliseconds: it exports one protocol
/// after the other, and has loaded its program before the first.
pub(super) const NEAR_MS: u64 = 10_000;

/// Most protocols that are taken of one entry or process, so that what many names cost is bounded.
pub(super) const MAX_PROTOCOLS: usize = 16;

/// Joins what one record says of a process: an instance for each service.
pub(super) fn join_record(entries: Vec<Instance>) -> Vec<Instance> {
    if entries.len() < 2 {
        return entries;
    }
    let mut by_service: HashMap<ServiceKey, Vec<Instance>> = HashMap::new();
    for entry in entries {
        by_service.entry(entry.service.clone()).or_default().push(entry);
    }
    by_service.into_values().filter_map(join).collect()
}

/// Joins the provider URLs of other implementations: those of one service, host and application that
/// started at nearly the same time and name different protocols.
pub(super) fn join_urls<'a>(
    urls: impl IntoIterator<Item = &'a Arc<Instance>>,
) -> Vec<Arc<Instance>> {
    let mut by_place: HashMap<(&ServiceKey, &str, &str), Vec<&Arc<Instance>>> = HashMap::new();
    for url in urls {
        let host = url.address.rsplit_once(':').map_or(&*url.address, |(host, _)| host);
        by_place.entry((&url.service, host, &url.application)).or_default().push(url);
    }
    by_place.into_values().flat_map(join_place).collect()
}

/// Sorts the URLs of one place into processes.
fn join_place(mut urls: Vec<&Arc<Instance>>) -> Vec<Arc<Instance>> {
    urls.sort_by_key(|url| (url.started_ms, &url.address));
    let mut processes: Vec<Vec<&Arc<Instance>>> = Vec::new();
    for url in urls {
        // Only the newest can be near, for they are in order; the bound keeps hostile lists cheap.
        let near = processes.iter_mut().rev().take(MAX_NEAR);
        match near.into_iter().find(|process| belongs(url, process)) {
            Some(process) => process.push(url),
            None => processes.push(vec![url]),
        }
    }
    let joined = |urls: Vec<&Arc<Instance>>| match &urls[..] {
        [one] => Some(Arc::clone(one)),
        _ => join(urls.into_iter().map(|url| Instance::clone(url)).collect()).map(Arc::new),
    };
    processes.into_iter().filter_map(joined).collect()
}

const MAX_NEAR: usize = 16;

fn belongs(url: &Instance, process: &[&Arc<Instance>]) -> bool {
    let named: usize = process.iter().map(|other| other.protocols.len()).sum();
    let has_room = named + url.protocols.len() <= MAX_PROTOCOLS;
    has_room
        && process.iter().all(|other| {
            let pids = (url.metadata.get("pid"), other.metadata.get("pid"));
            let same_pid = !matches!(pids, (Some(one), Some(two)) if one != two);
            let near = url.started_ms.abs_diff(other.started_ms) <= NEAR_MS;
            same_pid && near && !url.protocols.iter().any(|name| other.protocols.contains(name))
        })
}

/// One instance at the address of its first protocol by name, which is the same for every reader.
fn join(mut entries: Vec<Instance>) -> Option<Instance> {
    entries.sort_by(|a, b| (&a.protocols, &a.address).cmp(&(&b.protocols, &b.address)));
    let mut entries = entries.into_iter();
    let mut process = entries.next()?;
    let mut protocols = process.protocols.to_vec();
    for entry in entries {
        for protocol in entry.protocols.iter() {
            if protocols.len() >= MAX_PROTOCOLS {
                break;
            }
            if protocols.contains(protocol) {
                continue;
            }
            if entry.address != process.address {
                process.endpoints.insert(protocol.clone(), entry.address.clone());
            }
            protocols.push(protocol.clone());
        }
    }
    if protocols.len() > process.protocols.len() {
        process.protocols = protocols.into();
    }
    Some(process)
}
