//! What we write is what an unmodified Java consumer read in the recorded recipes, but for the scheme and
//! protocol `dubhe` and the parameters that begin with it.

use std::collections::BTreeSet;

use rpc_core::{Instance, ServiceKey};

use super::*;

fn instance() -> Instance {
    let mut instance =
        Instance::new(ServiceKey::new("com.acme.Shop"), "192.0.2.2:35010", "start-1");
    instance.application = "hand".into();
    instance.started_ms = 1_726_000_000_000;
    instance.protocols = ["dubbo".to_owned(), "json".to_owned()].into();
    instance.codecs = ["msgpack".to_owned()].into();
    instance.metadata = std::sync::Arc::new([("methods".to_owned(), "greet".to_owned())].into());
    instance
}

/// The keys of an object, at every depth, as paths.
fn keys(value: &Value) -> BTreeSet<String> {
    let object = value.as_object().into_iter().flatten();
    object
        .flat_map(|(key, value)| {
            let below = keys(value).into_iter().map(move |below| format!("{key}/{below}"));
            std::iter::once(key.clone()).chain(below)
        })
        .collect()
}

#[test]
fn a_provider_url_says_what_a_java_consumer_read() {
    let recipe = &capture("metadata-and-recipe.json")["interface-level"]["full"];
    let theirs = DubboUrl::parse(recipe["url"].as_str().unwrap()).unwrap();
    let ours = provider_url(&instance());
    assert_eq!((&*theirs.scheme, &*ours.scheme), ("dubbo", "dubhe"));
    assert_eq!((&ours.host, ours.port, &ours.path), (&theirs.host, theirs.port, &theirs.path));
    for (key, value) in &theirs.params {
        match &**key {
            // Both are `false` where they are absent.
            "deprecated" | "generic" => assert_eq!(value, "false"),
            "release" => assert!(ours.param(key).starts_with("dubhe-")),
            _ => assert_eq!(ours.param(key), value, "{key}"),
        }
    }
    assert_eq!(
        ours.to_string().replace(env!("CARGO_PKG_VERSION"), "X"),
        "dubhe://192.0.2.2:35010/com.acme.Shop?application=hand&category=providers\
         &dubbo=2.0.2&dubhe.codecs=msgpack&dubhe.id=start-1&dubhe.protocols=dubbo,json&dynamic=true\
         &interface=com.acme.Shop&methods=greet&release=dubhe-X&side=provider\
         &timestamp=1726000000000"
    );
    let path = TreePaths::new("dubbo").providers(&ServiceKey::new("com.acme.Shop"));
    assert!(recipe["node"].as_str().unwrap().starts_with(&format!("{path}/dubbo%3A%2F%2F192")));
}

#[test]
fn nothing_that_we_write_draws_a_call_of_java_or_go() {
    let url = provider_url(&instance());
    let entry = application_entry(&[instance()]).unwrap();
    let metadata = to_nacos_metadata(url.clone());
    assert_eq!(url.scheme, "dubhe");
    assert_eq!(metadata["protocol"], "dubhe");
    let endpoints = entry.record.endpoints();
    assert!(!endpoints.is_empty() && endpoints.iter().all(|end| end.protocol == "dubhe"));
    for (key, service) in entry.metadata.services.iter() {
        assert!(key.ends_with(":dubhe") && service.protocol == "dubhe", "{key}");
    }
    let said = [&url.params, &metadata, &entry.record.metadata];
    let said: BTreeSet<&str> = said.into_iter().flatten().map(|(key, _)| &**key).collect();
    for key in
        ["serialization", "prefer.serialization", "meta-v", "dubbo.metadata-service.url-params"]
    {
        assert!(!said.contains(key), "{key}");
    }
    assert_eq!(entry.record.metadata["dubbo.metadata.storage-type"], "remote");
}

#[test]
fn a_record_and_its_metadata_have_the_form_that_a_java_consumer_read() {
    let capture = capture("metadata-and-recipe.json");
    let nodes = &capture["instance-level-remote"]["dubbo"]["nodes"];
    let entry = application_entry(&[instance()]).unwrap();
    let record: Value = serde_json::from_str(&entry.record.to_curator_json()).unwrap();
    let theirs = &nodes["/services/hand/192.0.2.2:35020"];
    let missing: Vec<_> = keys(theirs).difference(&keys(&record)).cloned().collect();
    assert_eq!(missing, Vec::<String>::new());
    assert_eq!(record["payload"]["@class"], theirs["payload"]["@class"]);
    assert_eq!(
        (&record["serviceType"], &record["id"]),
        (&theirs["serviceType"], &"192.0.2.2:35010".into())
    );
    let metadata: Value = serde_json::from_str(&entry.metadata.to_json()).unwrap();
    let theirs = &nodes["/dubbo/metadata/hand/r1"];
    let service = &theirs["services"]["com.acme.Shop:dubbo"];
    let ours = &metadata["services"]["com.acme.Shop:dubhe"];
    assert_eq!(keys(service).difference(&keys(ours)).count(), 0, "{ours}");
    for key in ["name", "path", "params/interface", "params/methods", "params/side"] {
        let pointer = format!("/{key}");
        assert_eq!(ours.pointer(&pointer), service.pointer(&pointer), "{key}");
    }
    assert_eq!(metadata["revision"], record["payload"]["metadata"]["dubbo.metadata.revision"]);
}

#[test]
fn a_consumer_url_says_what_java_s_does() {
    let service = ServiceKey::with_parts("com.acme.Shop", "g1", "1.2.0");
    let url = consumer_url(&service, "a&b", "192.0.2.2", (1_726_000_000_000, 77));
    assert_eq!(
        url.to_string().replace(env!("CARGO_PKG_VERSION"), "X"),
        "consumer://192.0.2.2/com.acme.Shop?application=a%26b&category=consumers&check=false\
         &dubbo=2.0.2&group=g1&interface=com.acme.Shop&methods=*&pid=77&release=dubhe-X\
         &side=consumer&timestamp=1726000000000&version=1.2.0"
    );
}
