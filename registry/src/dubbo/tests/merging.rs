//! Both levels give one list: each process once, nobody lost, nobody who left.

use std::collections::BTreeMap;

use rpc_core::{Instance, InstancePool, ServiceKey};

use super::*;

fn wanted() -> ServiceKey {
    ServiceKey::new("a.B")
}

fn ours(address: &str, id: &str, started_ms: u64) -> Instance {
    let mut instance = Instance::new(wanted(), address, id);
    instance.application = "shop".into();
    instance.started_ms = started_ms;
    instance.protocols = ["dubbo".to_owned()].into();
    instance
}

fn listed(instance: &Instance) -> ReadProvider {
    read_provider(provider_url(instance), &mut InstancePool::default()).unwrap()
}

fn recorded(instance: &Instance) -> ReadRecord {
    let entry = application_entry(std::slice::from_ref(instance)).unwrap();
    ReadRecord::new(&wanted(), &entry.record, Some(&entry.metadata), &mut InstancePool::default())
}

/// A record of another implementation: its services are read from `metadata`, if there is any.
fn foreign(port: u16, endpoints: &str, storage: &str, metadata: Option<&str>) -> ReadRecord {
    let metadata = metadata.map(|json| MetadataInfo::from_json(json.as_bytes()).unwrap());
    let of_record = [
        ("dubbo.metadata.revision", "r"),
        ("dubbo.metadata.storage-type", storage),
        ("dubbo.endpoints", endpoints),
        ("timestamp", "1726000000900"),
    ];
    let of_record = of_record.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let record = ServiceInstance::from_nacos("theirs", "h", port, of_record);
    ReadRecord::new(&wanted(), &record, metadata.as_ref(), &mut InstancePool::default())
}

fn addresses(merged: &Merged) -> Vec<&str> {
    let mut addresses: Vec<_> = merged.instances.iter().map(|at| &*at.address).collect();
    addresses.sort_unstable();
    addresses
}

const TWO_PORTS: &str = r#"[{"port":1,"protocol":"dubbo"},{"port":2,"protocol":"tri"}]"#;

#[test]
fn a_process_at_both_levels_is_listed_once_as_it_is() {
    let one = ours("h:1", "start", 5);
    let merged = merge(&wanted(), [&listed(&one)], [&recorded(&one)]);
    assert_eq!(merged, Merged { instances: vec![one.into()], ..Merged::default() });
}

#[test]
fn what_a_record_says_and_cannot_be_read_is_counted_with_the_reason() {
    let mut entry = application_entry(&[ours("h:1", "start", 5)]).unwrap();
    let heavy = |(name, info): (&String, &ServiceInfo)| {
        let params = BTreeMap::from([("weight".to_owned(), "heavy\u{7}".to_owned())]).into();
        (name.clone(), ServiceInfo { params, ..info.clone() })
    };
    entry.metadata.services = entry.metadata.services.iter().map(heavy).collect();
    let pool = &mut InstancePool::default();
    let read = ReadRecord::new(&wanted(), &entry.record, Some(&entry.metadata), pool);
    let merged = merge(&wanted(), [], [&read]);
    assert!(merged.instances.is_empty());
    assert_eq!(merged.remarks.left_out.count, 1);
    let why = &merged.remarks.left_out.why;
    assert!(why.starts_with("shop/h:1: a.B: ") && why.contains("weight"), "{why}");
    assert!(!why.contains(char::is_control), "{why:?}");
}

#[test]
fn a_process_that_only_one_level_knows_is_listed_too() {
    let (one, two) = (ours("h:1", "x", 5), ours("h:2", "y", 5));
    let merged = merge(&wanted(), [&listed(&one)], [&recorded(&two)]);
    assert_eq!(addresses(&merged), ["h:1", "h:2"]);
}

#[test]
fn a_newer_start_at_the_address_is_not_hidden_by_the_older_record() {
    let (old, new) = (ours("h:1", "old", 5), ours("h:1", "new", 6));
    let merged = merge(&wanted(), [&listed(&new)], [&recorded(&old)]);
    // The snapshot keeps the youngest of each address.
    let snapshot = rpc_core::Snapshot::shared(merged.instances, rpc_core::Source::Live);
    assert_eq!(*snapshot.to_vec(), *std::slice::from_ref(&new));
    let merged = merge(&wanted(), [&listed(&old)], [&recorded(&new)]);
    assert_eq!(merged.instances, [new.into()]);
}

#[test]
fn other_services_and_what_is_not_wanted_stay_out() {
    let mut other = ours("h:1", "x", 5);
    other.service = ServiceKey::with_parts("a.B", "blue", "");
    let merged = merge(&wanted(), [&listed(&other)], [&recorded(&other)]);
    assert_eq!(merged, Merged::default());
}

#[test]
fn a_url_that_go_left_behind_is_dropped_while_its_application_has_records() {
    let url = |port, kind| {
        let text = format!("dubbo://h:{port}/a.B?application=theirs&registry.type={kind}");
        provider(&text)
    };
    let services = r#"{"services":{"a.B:dubbo":{"port":1}}}"#;
    let alive = foreign(1, r#"[{"port":1,"protocol":"dubbo"}]"#, "remote", Some(services));
    let merged = merge(&wanted(), [&url(9, "all")], [&alive]);
    assert_eq!(addresses(&merged), ["h:1"]);
    // One that registers by interface alone is no leftover, and without a record nothing is known.
    let merged = merge(&wanted(), [&url(9, "interface")], [&alive]);
    assert_eq!(addresses(&merged), ["h:1", "h:9"]);
    let merged = merge(&wanted(), [&url(9, "all")], []);
    assert_eq!(addresses(&merged), ["h:9"]);
}

#[test]
fn two_protocols_of_one_record_are_one_instance_with_endpoints() {
    let services = r#"{"services":{"a.B:tri":{"port":2},"a.B:dubbo":{"port":1}}}"#;
    let merged = merge(&wanted(), [], [&foreign(1, TWO_PORTS, "remote", Some(services))]);
    let [instance] = &merged.instances[..] else { panic!("{merged:?}") };
    assert_eq!(*instance.protocols, ["dubbo+hessian2", "tri"]);
    assert_eq!((&*instance.address, &**instance.address_of("tri")), ("h:1", "h:2"));
    assert_eq!((&*instance.id, &*instance.application), ("h:1@1726000000900", "theirs"));
}

#[test]
fn the_weight_of_a_process_with_two_protocols_counts_once() {
    let services = r#"{"services":{
        "a.B:dubbo":{"port":1,"params":{"weight":"30"}},
        "a.B:tri":{"port":2,"params":{"weight":"30"}}
    }}"#;
    let of_record = foreign(1, TWO_PORTS, "remote", Some(services));
    let url = |scheme: &str, port: u16| {
        let at = "application=theirs&timestamp=1726000000900&weight=30";
        provider(&format!("{scheme}://h:{port}/a.B?{at}"))
    };
    let urls = [url("dubbo", 1), url("tri", 2)];
    for merged in [
        merge(&wanted(), [], [&of_record]),
        merge(&wanted(), &urls, []),
        merge(&wanted(), &urls, [&of_record]),
    ] {
        let [instance] = &merged.instances[..] else { panic!("{merged:?}") };
        assert_eq!((instance.protocols.len(), instance.weight), (2, 30), "{instance:?}");
    }
    let own = Instance { weight: 30, ..ours("h:1", "start", 5) };
    let own = Instance { protocols: ["dubbo".to_owned(), "json".to_owned()].into(), ..own };
    let merged = merge(&wanted(), [&listed(&own)], [&recorded(&own)]);
    assert_eq!(merged.instances, [own.into()]);
}

#[test]
fn urls_of_one_start_are_one_instance_and_those_of_two_are_two() {
    let url = |scheme: &str, port: u16, started_ms: u64, more: &str| {
        let text =
            format!("{scheme}://h:{port}/a.B?application=theirs&timestamp={started_ms}{more}");
        provider(&text)
    };
    let start = 1_726_000_000_000;
    let counts = |urls: &[ReadProvider]| {
        let merged = merge(&wanted(), urls, []);
        let mut counts: Vec<_> = merged.instances.iter().map(|i| i.protocols.len()).collect();
        counts.sort_unstable();
        counts
    };
    let (dubbo, tri) = (url("dubbo", 1, start, ""), url("tri", 2, start + 900, ""));
    assert_eq!(counts(&[dubbo.clone(), tri.clone()]), [2]);
    let again = [url("dubbo", 3, start + 50, ""), url("tri", 4, start + 950, "")];
    assert_eq!(counts(&[&[dubbo.clone(), tri], &again[..]].concat()), [2, 2]);
    assert_eq!(counts(&[dubbo.clone(), url("tri", 2, start + 60_000, "")]), [1, 1]);
    assert_eq!(counts(&[dubbo, url("dubbo", 2, start, "")]), [1, 1]);
    let pids = [url("dubbo", 1, start, "&pid=1"), url("tri", 2, start, "&pid=2")];
    assert_eq!(counts(&pids), [1, 1]);
}

#[test]
fn local_metadata_is_told_and_hides_no_provider_url() {
    let local = foreign(1, TWO_PORTS, "local", None);
    let merged = merge(&wanted(), [], [&local]);
    let [instance] = &merged.instances[..] else { panic!("{merged:?}") };
    assert_eq!(instance.metadata[UNREAD], "services unread: local metadata");
    assert_eq!(*instance.protocols, ["dubbo+hessian2", "tri"]);
    assert_eq!(
        merged.remarks.notes[0].to_string(),
        "1 of application `theirs` not called: services unread: local metadata (set \
         metadata-type=remote there, or register-mode=all)"
    );
    crate::sound::check(instance).unwrap();
    // It names no protocol, and must not be taken to speak ours.
    let merged = merge(&wanted(), [], [&foreign(1, "", "local", None)]);
    assert_eq!(*merged.instances[0].protocols, ["unread"]);
    let merged = merge(&wanted(), [&provider("tri://h:2/a.B?application=theirs")], [&local]);
    assert_eq!(merged.instances.len(), 1);
    assert_eq!(merged.remarks.notes.len(), 1, "{:?}", merged.remarks.notes);
    assert!(matches!(merged.remarks.notes[0].why, NotCalled::Foreign(_)));
    let unnamed = merge(&wanted(), [&provider("tri://h:2/a.B")], []);
    assert_eq!(
        unnamed.remarks.notes[0].to_string(),
        "1 without application not called: they speak tri"
    );
}

#[test]
fn a_revision_without_metadata_is_told_and_lists_nobody() {
    let merged = merge(&wanted(), [], [&foreign(1, TWO_PORTS, "remote", None)]);
    assert!(merged.instances.is_empty());
    assert_eq!(
        merged.remarks.notes[0].to_string(),
        "1 of application `theirs` not called: services unread: the registry has no metadata of \
         their revision that can be read"
    );
}

#[test]
fn equal_metadata_of_many_instances_is_kept_once() {
    let pool = &mut InstancePool::default();
    let read: Vec<_> = (0..200)
        .map(|n| format!("dubbo://10.0.0.{n}:1/a.B?application=x&methods=m&side=provider"))
        .map(|text| read_provider(DubboUrl::parse(&text).unwrap(), pool).unwrap().instance)
        .collect();
    let first = &read[0];
    assert!(read.iter().all(|one| std::sync::Arc::ptr_eq(&one.metadata, &first.metadata)));
    // What no list holds any more is forgotten.
    drop(read);
    for n in 0..10_000 {
        let text = format!("dubbo://h:1/a.B?pid={n}");
        read_provider(DubboUrl::parse(&text).unwrap(), pool).unwrap();
    }
    assert!(pool.kinds() < 300, "{}", pool.kinds());
}
