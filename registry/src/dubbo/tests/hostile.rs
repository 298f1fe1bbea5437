//! Payloads that others wrote wrong, by accident or on purpose: no panic, no long work, no memory without
//! bound, and neighbours are listed.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use rpc_core::{InstancePool, ServiceKey};
use tokio::time::Instant;

use super::*;

/// All texts of the captures, at any depth: node names, records, metadata, configurations.
fn corpus() -> Vec<String> {
    fn collect(value: &Value, texts: &mut Vec<String>) {
        match value {
            Value::String(text) => {
                texts.push(text.clone());
                texts.extend(text.rsplit_once('/').map(|(_, name)| name.to_owned()));
            }
            Value::Array(list) => list.iter().for_each(|value| collect(value, texts)),
            Value::Object(object) => {
                texts.push(value.to_string());
                object.values().for_each(|value| collect(value, texts));
            }
            _ => {}
        }
    }
    let mut texts = Vec::new();
    for file in ["zookeeper-nodes", "dubbo-go-registry-nodes", "nacos-nodes", "metadata-and-recipe"]
    {
        collect(&capture(&format!("{file}.json")), &mut texts);
    }
    texts.retain(|text| (1..4096).contains(&text.len()));
    texts.sort();
    texts.dedup();
    texts
}

/// A text with some of its bytes changed, cut out, doubled, or replaced by those of another.
fn mutate(random: &mut StdRng, text: &str, other: &str) -> Vec<u8> {
    const SPECIAL: &[u8] = b"%&=?/:,+[]{}\"\\@#\0\n\x1b\xff\xc3 0-9";
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..40)).min(bytes.len());
        match random.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] = SPECIAL[random.random_range(0..SPECIAL.len())],
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            3 => {
                let start = random.random_range(0..=other.len());
                let part = &other.as_bytes()[start..(start + 40).min(other.len())];
                drop(bytes.splice(at..end, part.iter().copied()));
            }
            _ => bytes.insert(at, u8::try_from(random.random_range(0..256)).unwrap()),
        }
    }
    bytes
}

/// Every reader gets the payload; whatever is listed of it is checked, and written again.
fn read_all(payload: &[u8], wanted: &ServiceKey, pool: &mut InstancePool) {
    let text = String::from_utf8_lossy(payload);
    let mut providers = Vec::new();
    for url in [DubboUrl::from_node_name(&text), DubboUrl::parse(&text)].into_iter().flatten() {
        assert_eq!(
            DubboUrl::parse(&url.to_string()).map(|read| read.to_string()),
            Ok(url.to_string())
        );
        providers.extend(read_provider(url, pool));
    }
    let metadata: BTreeMap<String, String> = text
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    providers.extend(read_provider(from_nacos_metadata("h", 1, metadata.clone()), pool));
    let info = MetadataInfo::from_json(payload).ok();
    let mut records = vec![ServiceInstance::from_nacos("a", "h", 1, metadata)];
    records.extend(ServiceInstance::from_json(payload).ok().flatten());
    let read: Vec<_> = records
        .iter()
        .flat_map(|record| [record.services.as_deref(), info.as_ref()].map(|info| (record, info)))
        .map(|(record, info)| ReadRecord::new(wanted, record, info, pool))
        .collect();
    let merged = merge(wanted, &providers, &read);
    for instance in &merged.instances {
        if crate::sound::check(instance).is_ok() {
            provider_url(instance).to_node_name();
        }
    }
    merged
        .remarks
        .notes
        .iter()
        .for_each(|note| assert!(!note.to_string().contains(char::is_control)));
    mapping::applications(&text);
    mapping::with_application(Some(&text), "shop");
}

#[test]
fn ten_thousand_broken_payloads_harm_no_reader() {
    let corpus = corpus();
    assert!(corpus.len() > 300, "{} texts", corpus.len());
    let mut random = StdRng::seed_from_u64(1);
    let wanted =
        ["com.acme.Echo", "com.acme.Shop", "*"].map(|name| format!("*/{name}:*").parse().unwrap());
    let pool = &mut InstancePool::default();
    for round in 0..10_000 {
        let [text, other] = [0; 2].map(|_| &corpus[random.random_range(0..corpus.len())]);
        read_all(&mutate(&mut random, text, other), &wanted[round % 3], pool);
    }
    for _ in 0..500 {
        let mut noise = vec![0; random.random_range(0..200)];
        random.fill_bytes(&mut noise);
        read_all(&noise, &wanted[2], pool);
    }
}

#[test]
fn payloads_made_to_take_long_are_done_soon() {
    let wanted = ServiceKey::new("*");
    let pool = &mut InstancePool::default();
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    let wide: String = (0..100_000).map(|n| format!("{n}&")).collect();
    let services: Vec<_> =
        (0..2000).map(|n| format!(r#""a.B{n}:tri":{{"params":{{}}}}"#)).collect();
    let services = format!(r#"{{"services":{{{}}}}}"#, services.join(","));
    let endpoints = Value::from(vec![serde_json::json!({"port": 1, "protocol": "x"}); 20_000]);
    let record = serde_json::json!({
        "host": "h", "port": 1, "metadata": {"dubbo.metadata.revision": "r", "dubbo.endpoints": endpoints.to_string()},
    });
    let started = Instant::now();
    for payload in [
        deep.as_str(),
        &format!("a://h:1/x?{wide}"),
        &format!("a://h:1/x?{}", "%".repeat(1_000_000)),
        &format!("a://{}", ":".repeat(1_000_000)),
        &services,
        &record.to_string(),
        &"a,".repeat(500_000),
    ] {
        read_all(payload.as_bytes(), &wanted, pool);
    }
    // Debug builds on a busy machine: in release this is a small part of a second.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn a_long_list_of_one_place_is_merged_in_one_pass() {
    let pool = &mut InstancePool::default();
    let providers: Vec<_> = (0..5000)
        .map(|n| format!("dubbo://h:{}/a.B?timestamp=1726000000000&pid={}", n % 4999 + 1, n % 3))
        .map(|text| read_provider(DubboUrl::parse(&text).unwrap(), pool).unwrap())
        .collect();
    let started = Instant::now();
    let merged = merge(&ServiceKey::new("a.B"), &providers, []);
    assert_eq!(merged.instances.len(), 5000);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// The names of protocols that nobody speaks, each another one.
fn protocol_names(from: usize) -> String {
    let names: Vec<_> = (from..from + 150_000).map(|n| format!("{n:x}")).collect();
    names.join(",")
}

// Compared with each other, the names of each of these would take hours.
#[test]
fn of_names_of_protocols_without_end_each_process_keeps_sixteen() {
    let pool = &mut InstancePool::default();
    let most = |merged: &Merged| merged.instances.iter().map(|at| at.protocols.len()).max();
    let urls: Vec<_> = ["x", "y"]
        .iter()
        .enumerate()
        .map(|(n, scheme)| {
            let names = protocol_names(n * 150_000);
            format!("{scheme}://h:{}/a.B?application=shop&ext.protocol={names}", n + 1)
        })
        .map(|text| read_provider(DubboUrl::parse(&text).unwrap(), pool).unwrap())
        .collect();
    let merged = merge(&ServiceKey::new("a.B"), &urls, []);
    assert_eq!((merged.instances.len(), most(&merged)), (2, Some(16)));

    let urls: Vec<_> = (1..100)
        .map(|n| format!("x{n}://h:{n}/a.B?application=shop"))
        .map(|text| read_provider(DubboUrl::parse(&text).unwrap(), pool).unwrap())
        .collect();
    let merged = merge(&ServiceKey::new("a.B"), &urls, []);
    let named: usize = merged.instances.iter().map(|at| at.protocols.len()).sum();
    assert_eq!((merged.instances.len(), most(&merged), named), (7, Some(16), 99));
}

// As above; and each service would have the endpoints of its process read again.
#[test]
fn of_services_with_protocols_without_end_each_process_keeps_sixteen() {
    let pool = &mut InstancePool::default();
    let endpoints = Value::from(vec![serde_json::json!({"port": 1, "protocol": "x"}); 20_000]);
    let of_record = [
        ("dubbo.metadata.revision".to_owned(), "r".to_owned()),
        ("dubbo.endpoints".to_owned(), endpoints.to_string()),
    ];
    let record = ServiceInstance::from_nacos("shop", "h", 1, of_record.into());
    let mut read = |services: &[String]| {
        let metadata = format!(r#"{{"services":{{{}}}}}"#, services.join(","));
        let metadata = MetadataInfo::from_json(metadata.as_bytes()).unwrap();
        let wanted = ServiceKey::new("a.B");
        let read = ReadRecord::new(&wanted, &record, Some(&metadata), pool);
        merge(&wanted, [], [&read])
    };
    let merged = read(&(0..200_000).map(|n| format!(r#""a.B:p{n}":{{}}"#)).collect::<Vec<_>>());
    let [one] = &merged.instances[..] else { panic!("{} instances", merged.instances.len()) };
    assert_eq!((one.protocols.len(), merged.remarks.left_out.count), (16, 200_000 - 16));
    assert_eq!(
        merged.remarks.left_out.why,
        "shop/h:1: a.B: it has more than 16 protocols, and the rest is left out"
    );

    // Ours name theirs in one list, which stands as it is; nothing is compared with so many.
    let ours = |n: usize| {
        let names = protocol_names(n * 150_000);
        format!(r#""a.B:p{n}":{{"params":{{"dubhe.protocols":"{names}"}}}}"#)
    };
    let merged = read(&[ours(0), ours(1), r#""a.B:a":{}"#.to_owned()]);
    let [one] = &merged.instances[..] else { panic!("{} instances", merged.instances.len()) };
    assert_eq!(one.protocols.len(), 150_000);
}

// Compared with each other, these would take a quarter of an hour.
#[test]
fn services_without_end_at_one_address_are_merged_in_one_pass() {
    let pool = &mut InstancePool::default();
    let services: Vec<_> = (0..150_000).map(|n| format!(r#""a.B{n}:x":{{}}"#)).collect();
    let metadata = format!(r#"{{"services":{{{}}}}}"#, services.join(","));
    let metadata = MetadataInfo::from_json(metadata.as_bytes()).unwrap();
    let revision = ("dubbo.metadata.revision".to_owned(), "r".to_owned());
    let record = ServiceInstance::from_nacos("shop", "h", 1, [revision].into());
    let every = "*/*:*".parse().unwrap();
    let read = ReadRecord::new(&every, &record, Some(&metadata), pool);
    assert_eq!(merge(&every, [], [&read]).instances.len(), 150_000);
}
