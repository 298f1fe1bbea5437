//! What a provider leaves at a real server is what an unmodified Java consumer read in the recorded recipes,
//! but for the scheme and protocol `dubhe` and the parameters that begin with it. Read back by hand.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dubhe_registry::{Registration, Registry, connect};
use rpc_core::{Instance, ServiceKey};
use serde_json::{Value, json};
use servers::{EtcdHand, EtcdServer, KeptNode, ZooKeeperHand, ZooKeeperServer};

/// The nodes of a server, by path.
type Nodes = BTreeMap<String, KeptNode>;

/// The recipe of this name.
fn recipe(pointer: &str) -> Value {
    let path = format!("{}/tests/captures/metadata-and-recipe.json", env!("CARGO_MANIFEST_DIR"));
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all.pointer(pointer).unwrap().clone()
}

/// Registers the provider of the recipes at `address`.
async fn register(registry: &str, address: &str) -> (Arc<dyn Registry>, Registration) {
    let registry = connect(registry).unwrap();
    let instance = Instance {
        application: "hand".into(),
        started_ms: 1_726_000_000_000,
        protocols: ["dubbo".to_owned()].into(),
        metadata: Arc::new([("methods".to_owned(), "greet".to_owned())].into()),
        ..Instance::new(ServiceKey::new("com.acme.Shop"), address, "start-1")
    };
    let registration = registry.register(instance).await.unwrap();
    assert!(registration.is_registered());
    (registry, registration)
}

/// What is at a path, which there must be, as it should with or without an owner.
fn at<'a>(nodes: &'a Nodes, path: &str, has_owner: bool) -> &'a [u8] {
    let node = nodes.get(path).unwrap_or_else(|| panic!("no {path} in {:?}", nodes.keys()));
    assert_eq!(node.has_owner, has_owner, "{path}");
    &node.value
}

/// A value as others would write it: our protocol has their name, the revision that of the recipe, and a JSON
/// that stands in a text is itself.
fn theirs(value: &Value, revision: &str) -> Value {
    match value {
        Value::String(text) if text == "dubhe" => "dubbo".into(),
        Value::String(text) if text == revision => "r1".into(),
        Value::String(text) if text.starts_with('[') => {
            theirs(&serde_json::from_str(text).unwrap(), revision)
        }
        Value::Array(list) => list.iter().map(|value| theirs(value, revision)).collect(),
        Value::Object(object) => {
            let renamed = |key: &str| key.replace(":dubhe", ":dubbo");
            object.iter().map(|(key, value)| (renamed(key), theirs(value, revision))).collect()
        }
        other => other.clone(),
    }
}

/// In which places two values differ: `+` where only ours has something, `-` where only the other one has.
fn differences(ours: &Value, other: &Value) -> BTreeSet<String> {
    let (Value::Object(ours), Value::Object(other)) = (ours, other) else {
        return if ours == other { BTreeSet::new() } else { [format!("={ours}")].into() };
    };
    let keys: BTreeSet<&String> = ours.keys().chain(other.keys()).collect();
    keys.into_iter()
        .flat_map(|key| match (ours.get(key), other.get(key)) {
            (Some(_), None) => [format!("+{key}")].into(),
            (None, Some(_)) => [format!("-{key}")].into(),
            (ours, other) => {
                differences(ours.unwrap_or(&Value::Null), other.unwrap_or(&Value::Null))
                    .into_iter()
                    .map(|place| format!("{key} {place}"))
                    .collect::<BTreeSet<_>>()
            }
        })
        .collect()
}

#[track_caller]
fn differ(ours: &Value, other: &Value, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|place| (*place).to_owned()).collect();
    assert_eq!(differences(ours, other), expected, "{ours} instead of {other}");
}

/// The parameters of a URL as node names have it, and what is before them.
fn url(name: &str) -> (String, Value) {
    let mut text = name.to_owned();
    for (code, sign) in [("%3A", ":"), ("%2F", "/"), ("%3F", "?"), ("%3D", "="), ("%26", "&")] {
        text = text.replace(code, sign);
    }
    let (start, query) = text.replace("%2C", ",").split_once('?').map(own).unwrap();
    let pairs = query.split('&').map(|pair| pair.split_once('=').map(own).unwrap());
    (start, pairs.map(|(key, value)| (key, Value::from(value))).collect())
}

fn own((first, second): (&str, &str)) -> (String, String) {
    (first.to_owned(), second.to_owned())
}

/// The URL that is listed at the interface level is that of the recipe, and says more.
fn is_the_recipes_url(nodes: &Nodes, address: &str) {
    let folder = "/dubbo/com.acme.Shop/providers/";
    let mut names = nodes.keys().filter_map(|path| path.strip_prefix(folder));
    let name = names.next().unwrap();
    assert_eq!((names.next(), at(nodes, &format!("{folder}{name}"), true)), (None, &b""[..]));
    let (start, params) = url(name);
    assert_eq!(start, format!("dubhe://{address}/com.acme.Shop"));
    let recipe = recipe("/interface-level/full/node");
    let (_, expected) = url(recipe.as_str().unwrap().strip_prefix(folder).unwrap());
    let release = format!("release =\"dubhe-{}\"", env!("CARGO_PKG_VERSION"));
    // Both are `false` where they are absent.
    let absent = ["-deprecated", "-generic"];
    let more = ["+category", "+dubhe.id", "+dubhe.protocols", &release];
    differ(&params, &expected, &[&absent[..], &more].concat());
}

/// The metadata at `path` are those of the recipe, and say more.
fn are_the_recipes_metadata(nodes: &Nodes, path: &str, revision: &str, expected: &Value) {
    let metadata: Value = serde_json::from_slice(at(nodes, path, false)).unwrap();
    let said = theirs(&metadata, revision);
    let service = "services com.acme.Shop:dubbo params";
    let more = ["+application", "+category", "+dubbo", "+dubhe.protocols", "+dynamic", "+release"];
    let more = more.map(|key| format!("{service} {key}"));
    differ(&said, expected, &more.each_ref().map(String::as_str));
}

#[tokio::test]
async fn what_is_registered_at_zookeeper_are_the_recipes_that_java_read() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let address = "192.0.2.2:35020";
    let registered = register(&format!("zookeeper://{}/recipes", server.address()), address).await;
    let all = ZooKeeperHand::open(server.address()).unwrap().all("/recipes").unwrap();
    let nodes: Nodes = all
        .into_iter()
        .filter(|(_, node)| node.has_owner || !node.value.is_empty())
        .map(|(path, node)| (path.replacen("/recipes", "", 1), node))
        .collect();
    is_the_recipes_url(&nodes, address);

    let recipe = recipe("/instance-level-remote/dubbo/nodes");
    let process = format!("/services/hand/{address}");
    let record: Value = serde_json::from_slice(at(&nodes, &process, true)).unwrap();
    let revision = record["payload"]["metadata"]["dubbo.metadata.revision"].as_str().unwrap();
    let more = ["+dubhe.id", "+timestamp"].map(|key| format!("payload metadata {key}"));
    let expected = theirs(&recipe[&process], "r1");
    differ(&theirs(&record, revision), &expected, &more.each_ref().map(String::as_str));
    let places = [format!("/dubbo/metadata/hand/{revision}"), format!("/dubbo/hand/{revision}")];
    for path in &places {
        are_the_recipes_metadata(&nodes, path, revision, &recipe["/dubbo/metadata/hand/r1"]);
    }
    let mapping = "/dubbo/mapping/com.acme.Shop";
    assert_eq!(recipe[mapping], *String::from_utf8_lossy(at(&nodes, mapping, false)));
    assert_eq!(nodes.len(), 5, "{:?}", nodes.keys());
    drop(registered);
}

#[tokio::test]
async fn what_is_registered_at_etcd_are_the_same_and_a_record_in_the_form_of_go() {
    let Some(etcd) = EtcdServer::start() else { return };
    let address = "192.0.2.2:35020";
    let instances = format!("etcd://{}?register-mode=instance", etcd.address());
    let (_at_both, _at_one) = (
        register(&format!("etcd://{}", etcd.address()), address).await,
        register(&instances, "192.0.2.3:35020").await,
    );
    let hand = EtcdHand::new(&etcd.address());
    let nodes: Nodes =
        hand.all("/dubbo/").unwrap().into_iter().chain(hand.all("/services/").unwrap()).collect();
    is_the_recipes_url(&nodes, address);

    let recipe = recipe("/instance-level-remote/dubbo/nodes");
    let process = format!("/services/hand/{address}");
    let record: Value = serde_json::from_slice(at(&nodes, &process, true)).unwrap();
    let revision = record["Metadata"]["dubbo.metadata.revision"].as_str().unwrap();
    let expected = json!({
        "ID": address, "ServiceName": "hand", "Host": "192.0.2.2", "Port": 35020,
        "Weight": 0, "Enable": true, "Healthy": true, "Address": "", "GroupName": "", "Tag": "",
        "Metadata": theirs(&recipe[&process]["payload"]["metadata"], "r1"),
        "ServiceMetadata": null,
    });
    let more = ["Metadata +dubhe.id", "Metadata +timestamp"];
    differ(&theirs(&record, revision), &expected, &more);
    let places = [format!("/dubbo/metadata/hand/{revision}"), format!("/dubbo/hand/{revision}")];
    for path in &places {
        are_the_recipes_metadata(&nodes, path, revision, &recipe["/dubbo/metadata/hand/r1"]);
    }
    // Who registers by instance alone begins the mapping: nothing else leads to it.
    let mapping = "/dubbo/mapping/com.acme.Shop";
    assert_eq!(recipe[mapping], *String::from_utf8_lossy(at(&nodes, mapping, false)));
    at(&nodes, "/services/hand/192.0.2.3:35020", true);
}
