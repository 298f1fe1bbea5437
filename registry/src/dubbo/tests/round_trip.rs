//! Every instance that may be registered comes back equal, from each form in which it is written.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use rpc_core::{Instance, InstancePool, ServiceKey};

use super::*;
use crate::dubbo::application::instances_of;
use crate::sound;

/// Text without control characters, with a liking for what means something in a URL or a list.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "%", "&", "=", "+", "?", "#", ";", ",", "/", ":", "@", " ", "%26", "%2", "\u{2003}", "é",
        "\"", "[", "]", "{", "\\", "~", "*", "$", "_",
    ]);
    let part =
        prop_oneof![3 => odd.prop_map(str::to_owned), 2 => "[a-zA-Z0-9.-]{1,6}", 1 => "\\PC"];
    vec(part, 0..6)
        .prop_map(|parts| parts.concat())
        .prop_filter("controls", |text| !text.chars().any(char::is_control))
}

/// Keys that mean something to Dubbo or to us, and others.
fn key() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "warmup",
        "methods",
        "side",
        "timestamp",
        "weight",
        "application",
        "interface",
        "group",
        "version",
        "category",
        "enabled",
        "disabled",
        "protocol",
        "path",
        "dubbo",
        "release",
        "dubhe.id",
        "dubhe.protocols",
        "dubhe.meta.",
        "dubhe.meta.weight",
        "default.weight",
        "default.x",
        "dubbo.endpoints",
        "dubbo.metadata.revision",
        "meta-v",
        "dubbo.tag",
        "",
        "pid",
    ]);
    prop_oneof![known.prop_map(str::to_owned), text()]
}

fn address() -> impl Strategy<Value = String> {
    let usual = prop::sample::select(vec![
        "10.0.0.1",
        "shop.example",
        "[::1]",
        "[fe80::1]",
        "::1",
        "a/b",
        "a?b",
        "a@b",
        "user:pw@h",
        "[x",
        "ü",
        "%",
        "a&b=c",
    ]);
    let host = prop_oneof![usual.prop_map(str::to_owned), "[^\\s\\pC]{1,8}"];
    (host, prop_oneof![any::<u16>().prop_map(|port| port.to_string()), Just("0080".to_owned())])
        .prop_map(|(host, port)| format!("{host}:{port}"))
}

fn service() -> impl Strategy<Value = ServiceKey> {
    let part = |pattern: &'static str| prop_oneof![pattern, "[^\\s\\pC/:]{0,8}"];
    let interface = prop_oneof!["[a-z.A-Z$_]{1,12}", "[^\\s\\pC/:]{1,8}"];
    (part("[a-z:*]{0,4}"), interface, part("[0-9.]{0,5}"))
        .prop_map(|(group, interface, version)| {
            ServiceKey::with_parts(&interface, &group, &version)
        })
        .prop_filter("no key", |key| {
            key.as_str().parse::<ServiceKey>().is_ok_and(|read| read == *key)
        })
}

prop_compose! {
    fn instance()(
        service in service(),
        address in address(),
        id in text(),
        application in text(),
        weight in prop_oneof![Just(100), any::<u32>()],
        started_ms in prop_oneof![Just(0), any::<u64>()],
        protocols in vec(text(), 0..3),
        codecs in vec(text(), 0..3),
        endpoints in btree_map(text(), address(), 0..3),
        metadata in btree_map(key(), text(), 0..5),
    ) -> Instance {
        let mut instance = Instance::new(service, &address, &id);
        instance.application = application.into();
        instance.weight = weight;
        instance.started_ms = started_ms;
        instance.protocols = protocols.into();
        instance.codecs = codecs.into();
        instance.endpoints =
            endpoints.into_iter().map(|(key, address)| (key, address.into())).collect();
        instance.metadata = metadata.into();
        instance
    }
}

fn read(url: DubboUrl) -> Instance {
    Instance::clone(&read_provider(url, &mut InstancePool::default()).unwrap().instance)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_instance_survives_its_provider_url(instance in instance()) {
        prop_assume!(sound::check(&instance).is_ok());
        let url = provider_url(&instance);
        let name = url.to_node_name();
        prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+%.-*_".contains(&b)));
        let read_url = DubboUrl::from_node_name(&name).unwrap();
        prop_assert_eq!(&read_url, &url);
        prop_assert_eq!(read(read_url), instance.clone());
        prop_assert_eq!(read(DubboUrl::parse(&url.to_string()).unwrap()), instance);
    }

    #[test]
    fn an_instance_survives_the_metadata_of_nacos(instance in instance()) {
        prop_assume!(sound::check(&instance).is_ok());
        let url = provider_url(&instance);
        let (host, port) = (url.host.clone(), url.port.unwrap());
        let metadata = to_nacos_metadata(url);
        prop_assert_eq!(read(from_nacos_metadata(&host, port, metadata)), instance);
    }

    #[test]
    fn instances_survive_the_record_of_their_application(
        mut instances in vec(instance(), 1..4),
        is_one_process in any::<bool>(),
    ) {
        let first = instances[0].clone();
        for instance in &mut instances {
            instance.application = "shop".into();
            if is_one_process {
                instance.address = first.address.clone();
                instance.id = first.id.clone();
                instance.started_ms = first.started_ms;
                instance.endpoints = first.endpoints.clone();
            }
        }
        prop_assume!(instances.iter().all(|instance| sound::check(instance).is_ok()));
        let by_service: BTreeMap<_, _> =
            instances.iter().map(|instance| (instance.service.clone(), instance)).collect();
        let entry = application_entry(&instances).unwrap();
        let metadata = MetadataInfo::from_json(entry.metadata.to_json().as_bytes()).unwrap();
        prop_assert_eq!(&metadata, &entry.metadata);
        let mut go = entry.record.clone();
        go.services = None;
        for json in [entry.record.to_curator_json(), go.to_go_json()] {
            let record = ServiceInstance::from_json(json.as_bytes()).unwrap().unwrap();
            prop_assert_eq!(record.revision(), Some(&*metadata.revision));
            for (service, instance) in &by_service {
                // Only the exact service: a wanted `*` would find others too.
                let read = instances_of(service, &record, &metadata, &mut InstancePool::default()).0;
                let same: Vec<_> = read.iter().filter(|read| read.service == *service).collect();
                prop_assert_eq!(same, vec![*instance]);
            }
        }
    }
}

#[test]
fn processes_of_one_program_share_a_revision() {
    let process = |address: &str, id: &str| {
        let mut instance = Instance::new(ServiceKey::new("shop.Stock"), address, id);
        instance.application = "shop".into();
        instance.started_ms = u64::from(id.as_bytes()[0]);
        instance.endpoints = [("json".to_owned(), format!("{address}0").into())].into();
        instance
    };
    let entry = |instance| application_entry(&[instance]).unwrap();
    let (one, two) = (entry(process("10.0.0.1:2080", "a")), entry(process("10.0.0.2:2080", "b")));
    assert_eq!(one.metadata, two.metadata);
    let mut heavier = process("10.0.0.1:2080", "a");
    heavier.weight = 200;
    assert_ne!(entry(heavier).metadata.revision, one.metadata.revision);
}
