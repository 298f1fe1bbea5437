//! The record of a process as it is held: what its neighbours say too is held once for all of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rpc_core::WeakPool;

use super::fixed_texts::FixedTexts;
use super::metadata_info::MetadataInfo;
use super::params::OF_PROCESS;
use super::service_instance::{self, ServiceInstance};

/// A [`ServiceInstance`] that takes little memory, also beside a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessRecord {
    common: Arc<CommonRecord>,
    /// Its port, its host, and the values of [`OF_PROCESS`].
    own: Arc<[u8]>,
}

/// What the processes of one revision say alike.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CommonRecord {
    application: String,
    metadata: FixedTexts,
    services: Option<Arc<MetadataInfo>>,
}

/// Finds again what records say alike, as long as somebody holds such a record. Whoever reads makes it of what is held,
/// as it takes more memory than all that a short list says.
#[derive(Debug, Default)]
pub(crate) struct RecordPool(WeakPool<CommonRecord>);

// === impl RecordPool ===

impl RecordPool {
    /// What knows what these say.
    pub(crate) fn of<'a>(held: impl Iterator<Item = &'a ProcessRecord>) -> Self {
        let (mut pool, mut known) = (WeakPool::default(), HashSet::new());
        for ProcessRecord { common, .. } in held {
            // Most say the same, which is found by where it is held.
            if known.insert(Arc::as_ptr(common)) {
                let _ = pool.shared(Arc::clone(common));
            }
        }
        Self(pool)
    }
}

// === impl ProcessRecord ===

impl ProcessRecord {
    /// What `record` says.
    pub(crate) fn new(record: ServiceInstance, pool: &mut RecordPool) -> Self {
        let ServiceInstance { application, host, port, mut metadata, services, .. } = record;
        let mut own = port.to_be_bytes().to_vec();
        put_text(&mut own, Some(&host));
        OF_PROCESS.into_iter().for_each(|key| put_text(&mut own, metadata.remove(key).as_deref()));
        let common = CommonRecord { application, metadata: metadata.into(), services };
        Self { common: pool.0.shared(Arc::new(common)), own: own.into() }
    }

    /// The record. When it was registered is not kept.
    pub(crate) fn whole(&self) -> ServiceInstance {
        let CommonRecord { application, metadata, services } = &*self.common;
        let said = metadata.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut metadata: BTreeMap<_, _> = said.collect();
        let (port, mut texts) = self.own.split_first_chunk().unwrap_or((&[0; 2], &[]));
        let host = take_text(&mut texts).unwrap_or_default().to_owned();
        let own = OF_PROCESS.into_iter().map(|key| (key, take_text(&mut texts)));
        metadata.extend(own.filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))));
        ServiceInstance {
            application: application.clone(),
            host,
            port: u16::from_be_bytes(*port),
            registered_ms: 0,
            metadata,
            services: services.clone(),
        }
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

/// Appends a text, after its length and one, in groups of seven bits, of which the last has the highest bit of its
/// byte set; of none 0.
fn put_text(own: &mut Vec<u8>, text: Option<&str>) {
    let mut length = text.map_or(0, |text| text.len() + 1);
    while length > 0x7f {
        own.push((length & 0x7f) as u8);
        length >>= 7;
    }
    own.push(length as u8 | 0x80);
    own.extend_from_slice(text.unwrap_or_default().as_bytes());
}

/// Takes the next text that was appended, if it is one.
fn take_text<'a>(own: &mut &'a [u8]) -> Option<&'a str> {
    let (mut length, mut shift) = (0, 0);
    while let Some((byte, rest)) = own.split_first() {
        *own = rest;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 != 0 {
            break;
        }
    }
    let (text, rest) = own.split_at_checked(length.checked_sub(1)?)?;
    *own = rest;
    str::from_utf8(text).ok()
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
            for host in
                ["", "10.0.0.1", "fe80::1", &"h".repeat(126), &"h".repeat(127), &"h".repeat(70_000)]
            {
                let whole = record(host, metadata);
                let held = ProcessRecord::new(whole.clone(), pool);
                assert_eq!((held.whole(), held.revision()), (whole.clone(), whole.revision()));
            }
        }
    }

    #[test]
    fn what_records_say_alike_is_held_once_and_no_longer_than_it_is_held() {
        let pool = &mut RecordPool::default();
        let mut read = |id: &str, revision: &str| {
            let metadata = [("dubhe.id", id), ("dubbo.metadata.revision", revision)];
            ProcessRecord::new(record("h", &metadata), pool)
        };
        let (one, other) = (read("1", "r"), read("2", "r"));
        assert!(Arc::ptr_eq(&one.common, &other.common));
        let later = record("h", &[("dubhe.id", "3"), ("dubbo.metadata.revision", "r")]);
        let later = ProcessRecord::new(later, &mut RecordPool::of([&one, &other].into_iter()));
        assert!(Arc::ptr_eq(&one.common, &later.common), "of what is held a pool is made again");
        let common = Arc::downgrade(&one.common);
        drop((one, other, later));
        assert!(common.upgrade().is_none());
    }
}
