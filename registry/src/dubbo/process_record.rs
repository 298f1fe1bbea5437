//! The record of a process as it is held: what its neighbours say too is held once for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use rpc_core::WeakPool;

use super::fixed_texts::FixedTexts;
use super::metadata_info::MetadataInfo;
use super::params::OF_PROCESS;
use super::service_instance::{self, ServiceInstance};

/// Says that a process does not say something.
const UNSAID: u32 = u32::MAX;

/// A [`ServiceInstance`] that takes little memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProcessRecord {
    common: Arc<CommonRecord>,
    /// Its host, and the values of [`OF_PROCESS`].
    text: Box<str>,
    host_end: u32,
    /// Where each of those values ends.
    ends: [u32; OF_PROCESS.len()],
    port: u16,
}

/// What the processes of one revision say alike.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CommonRecord {
    application: String,
    metadata: FixedTexts,
    services: Option<Arc<MetadataInfo>>,
}

/// Finds again what records say alike, as long as somebody holds such a record.
#[derive(Debug, Default)]
pub(crate) struct RecordPool(WeakPool<CommonRecord>);

// === impl ProcessRecord ===

impl ProcessRecord {
    /// What `record` says; `None` if it is longer than any record that servers take.
    pub(crate) fn new(record: ServiceInstance, pool: &mut RecordPool) -> Option<Self> {
        let ServiceInstance { application, host, port, mut metadata, services, .. } = record;
        let mut text = host;
        let host_end = u32::try_from(text.len()).ok()?;
        let mut ends = [UNSAID; OF_PROCESS.len()];
        for (end, key) in ends.iter_mut().zip(OF_PROCESS) {
            if let Some(value) = metadata.remove(key) {
                text.push_str(&value);
                *end = u32::try_from(text.len()).ok().filter(|end| *end != UNSAID)?;
            }
        }
        let common = CommonRecord { application, metadata: metadata.into(), services };
        let common = pool.0.shared(Arc::new(common));
        Some(Self { common, text: text.into(), host_end, ends, port })
    }

    /// The record. When it was registered is not kept.
    pub(crate) fn whole(&self) -> ServiceInstance {
        let CommonRecord { application, metadata, services } = &*self.common;
        let said = metadata.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut metadata: BTreeMap<_, _> = said.collect();
        let mut start = self.host_end;
        for (end, key) in self.ends.iter().zip(OF_PROCESS).filter(|(end, _)| **end != UNSAID) {
            metadata.insert(key.to_owned(), self.part(start, *end));
            start = *end;
        }
        ServiceInstance {
            application: application.clone(),
            host: self.part(0, self.host_end),
            port: self.port,
            registered_ms: 0,
            metadata,
            services: services.clone(),
        }
    }

    fn part(&self, start: u32, end: u32) -> String {
        self.text.get(start as usize..end as usize).unwrap_or_default().to_owned()
    }

    /// As that of a [`ServiceInstance`].
    pub(crate) fn revision(&self) -> Option<&str> {
        service_instance::revision_of(|key| self.common.metadata.get(key))
    }

    /// As that of a [`ServiceInstance`].
    pub(crate) fn has_remote_metadata(&self) -> bool {
        service_instance::is_remote(|key| self.common.metadata.get(key))
    }

    /// Whether it holds its services itself.
    pub(crate) fn has_services(&self) -> bool {
        self.common.services.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(host: &str, metadata: &[(&str, &str)]) -> ServiceInstance {
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ServiceInstance::from_nacos("shop", host, 7, metadata.collect())
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let pool = &mut RecordPool::default();
        for metadata in [
            &[][..],
            &[("timestamp", "")],
            &[("dubhe.id", "one"), ("dubbo.metadata.revision", "r")],
            &[("dubhe.address", "odd"), ("dubhe.id", "\u{e4}"), ("timestamp", "5"), ("zone", "n")],
        ] {
            for host in ["", "10.0.0.1", "fe80::1"] {
                let whole = record(host, metadata);
                let held = ProcessRecord::new(whole.clone(), pool).unwrap();
                assert_eq!((held.whole(), held.revision()), (whole.clone(), whole.revision()));
            }
        }
    }

    #[test]
    fn what_records_say_alike_is_held_once_and_no_longer_than_it_is_held() {
        let pool = &mut RecordPool::default();
        let mut read = |id: &str, revision: &str| {
            let metadata = [("dubhe.id", id), ("dubbo.metadata.revision", revision)];
            ProcessRecord::new(record("h", &metadata), pool).unwrap()
        };
        let (one, other) = (read("1", "r"), read("2", "r"));
        assert!(Arc::ptr_eq(&one.common, &other.common));
        let common = Arc::downgrade(&one.common);
        drop((one, other));
        assert!(common.upgrade().is_none());
    }
}
