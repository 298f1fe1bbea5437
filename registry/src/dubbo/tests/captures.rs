//! What Java and Go wrote into ZooKeeper, etcd and Nacos is read back without loss.

use std::collections::BTreeMap;

use rpc_core::ServiceKey;

use super::*;
use crate::dubbo::application::instances_of;
use crate::dubbo::url::join_address;

/// A node of a tree: its path, and its data as text.
struct Node {
    path: String,
    data: String,
    decoded: Option<String>,
}

fn nodes(list: &Value) -> Vec<Node> {
    let read = |node: &Value| {
        let path = node.get("path").or_else(|| node.get("key")).and_then(Value::as_str).unwrap();
        let data = match &node["data"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let decoded = node.get("decoded").and_then(Value::as_str).map(str::to_owned);
        Node { path: path.to_owned(), data, decoded }
    };
    list.as_array().into_iter().flatten().map(read).collect()
}

/// All nodes of ZooKeeper and etcd in the captures, by scenario.
fn scenarios() -> Vec<(String, Vec<Node>)> {
    let mut scenarios = Vec::new();
    for (name, scenario) in capture("zookeeper-nodes.json").as_object().unwrap() {
        let mut list = nodes(&scenario["provider_only"]);
        list.extend(nodes(&scenario["added_or_changed_by_consumer"]));
        scenarios.push((name.clone(), list));
    }
    for run in capture("dubbo-go-registry-nodes.json").as_array().unwrap() {
        let mut list = nodes(&run["provider_nodes"]);
        list.extend(nodes(&run["added_by_consumer"]));
        scenarios.push((run["what"].as_str().unwrap().to_owned(), list));
    }
    scenarios
}

/// The path's parent and last segment.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap()
}

#[test]
fn every_node_name_is_read_and_written_as_java_does() {
    let mut read = 0;
    for (scenario, list) in scenarios() {
        for node in &list {
            let (parent, name) = split(&node.path);
            if !["/providers", "/consumers"].iter().any(|end| parent.ends_with(end))
                || name.is_empty()
            {
                continue;
            }
            let url = DubboUrl::from_node_name(name)
                .unwrap_or_else(|error| panic!("{scenario}: {}: {error}", node.path));
            if let Some(decoded) = &node.decoded {
                assert_eq!(&url.to_string(), decoded, "{scenario}");
                assert_eq!(url.to_node_name(), name, "{scenario}");
            }
            assert_eq!(DubboUrl::from_node_name(&url.to_node_name()).unwrap(), url, "{scenario}");
            read += 1;
        }
    }
    assert_eq!(read, 39, "URLs in the captures");
}

#[test]
fn every_provider_is_listed_with_all_that_it_says() {
    let mut read = 0;
    for (scenario, list) in scenarios() {
        for node in list.iter().filter(|node| split(&node.path).0.ends_with("/providers")) {
            let url = DubboUrl::from_node_name(split(&node.path).1).unwrap();
            let provider = read_provider(url.clone(), &mut InstancePool::default()).unwrap();
            let instance = provider.instance;
            assert!(!provider.is_ours);
            assert_eq!(&*instance.address, url.address(), "{scenario}");
            assert_eq!(&*instance.application, url.param("application"));
            assert_eq!(instance.service.interface(), url.param("interface"));
            assert_eq!(instance.service.group(), url.param("group"));
            assert_eq!(instance.service.version(), url.param("version"));
            assert!(instance.started_ms > 1_700_000_000_000, "{scenario}: {}", instance.started_ms);
            assert!(instance.id.ends_with(&format!("@{}", instance.started_ms)));
            let in_fields = ["application", "interface", "group", "version", "weight", "timestamp"];
            let mut others = url.params.clone();
            others.retain(|key, _| !in_fields.contains(&&**key));
            assert_eq!(*instance.metadata, others, "{scenario}");
            crate::sound::check(&instance).unwrap();
            // None of them looks as if we could call it.
            let names = ["dubbo+hessian2", "tri"];
            assert!(instance.protocols.iter().all(|name| names.contains(&&**name)), "{instance:?}");
            read += 1;
        }
    }
    assert_eq!(read, 24, "providers in the captures");
}

#[test]
fn the_extra_protocol_of_one_port_is_listed_too() {
    let capture = capture("zookeeper-nodes.json");
    let list = nodes(&capture["33-dubbo-ext-tri"]["provider_only"]);
    let urls = list.iter().filter(|node| split(&node.path).0.ends_with("/providers"));
    let protocols: Vec<_> = urls
        .map(|node| provider(node.decoded.as_ref().unwrap()).instance.protocols.to_vec())
        .collect();
    assert_eq!(protocols, vec![vec!["dubbo+hessian2", "tri"]; 2]);
}

/// The application-level part of a scenario: processes, and metadata by path.
fn application_level(list: &[Node]) -> (Vec<ServiceInstance>, BTreeMap<&str, MetadataInfo>) {
    let processes = list.iter().filter(|node| {
        let in_services = node.path.strip_prefix("/services/");
        in_services.is_some_and(|path| path.contains('/'))
    });
    let read = |node: &Node| {
        let record = ServiceInstance::from_json(node.data.as_bytes());
        record.unwrap_or_else(|error| panic!("{}: {error}", node.path)).unwrap()
    };
    let metadata = list.iter().filter(|node| node.data.starts_with(r#"{"app":"#));
    let read_info = |node: &Node| MetadataInfo::from_json(node.data.as_bytes()).unwrap();
    (processes.map(read).collect(), metadata.map(|node| (&*node.path, read_info(node))).collect())
}

/// The JSON that stands in a text.
fn json(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

/// The services of an application are those of `theirs`, each with its port, its path and its parameters.
fn has_services(info: &MetadataInfo, theirs: &Value) {
    let (app, revision) = (theirs["app"].as_str(), theirs["revision"].as_str());
    assert_eq!((Some(&*info.app), Some(&*info.revision)), (app, revision));
    let services = theirs["services"].as_object().unwrap();
    assert!(info.services.iter().map(|(name, _)| name).eq(services.keys()), "{theirs}");
    for (key, theirs) in services {
        let (_, ours) = info.services.iter().find(|(known, _)| *known == key).unwrap();
        let text = |name: &str| theirs[name].as_str().unwrap_or_default();
        for (name, ours) in [
            ("name", &ours.name),
            ("group", &ours.group),
            ("version", &ours.version),
            ("protocol", &ours.protocol),
            ("path", &ours.path),
        ] {
            assert_eq!(ours, text(name), "{key}: {name}");
        }
        assert_eq!(u64::from(ours.port), theirs["port"].as_u64().unwrap(), "{key}");
        assert_eq!(serde_json::to_value(&ours.params).unwrap(), theirs["params"], "{key}");
    }
}

#[test]
fn every_record_is_read_with_its_endpoints_and_metadata() {
    let (mut read, mut services) = (0, 0);
    for (scenario, list) in scenarios() {
        for node in &list {
            let Some((_, id)) =
                node.path.strip_prefix("/services/").and_then(|at| at.split_once('/'))
            else {
                continue;
            };
            let record = ServiceInstance::from_json(node.data.as_bytes()).unwrap().unwrap();
            let theirs: Value = serde_json::from_str(&node.data).unwrap();
            // Go's records in etcd have other names, and nothing around what they say.
            let is_go = theirs.get("Host").is_some();
            let [name, host, port] = match is_go {
                true => ["ServiceName", "Host", "Port"],
                false => ["name", "address", "port"],
            };
            let metadata = if is_go { &theirs["Metadata"] } else { &theirs["payload"]["metadata"] };
            assert_eq!(record.application, theirs[name], "{scenario}");
            assert_eq!((&*record.host, record.id()), (theirs[host].as_str().unwrap(), id.into()));
            assert_eq!(u64::from(record.port), theirs[port].as_u64().unwrap(), "{scenario}");
            assert_eq!(serde_json::to_value(&record.metadata).unwrap(), *metadata, "{scenario}");
            assert_eq!(record.registered_ms, theirs["registrationTimeUTC"].as_u64().unwrap_or(0));
            assert_eq!(record.revision(), metadata["dubbo.metadata.revision"].as_str());
            let endpoints = serde_json::to_value(record.endpoints()).unwrap();
            assert_eq!(endpoints, json(&metadata["dubbo.endpoints"]), "{scenario}");
            match theirs.get("ServiceMetadata") {
                Some(theirs) => has_services(record.services.as_deref().unwrap(), theirs),
                None => assert_eq!(record.services, None),
            }
            services += record.services.map_or(0, |info| info.services.iter().count());
            read += 1;
        }
    }
    assert_eq!((read, services), (16, 11), "records in the captures, and services that they hold");
}

#[test]
fn metadata_is_found_where_java_and_go_put_it() {
    let paths = TreePaths::new("dubbo");
    let mut read = 0;
    for (scenario, list) in scenarios() {
        let (records, metadata) = application_level(&list);
        for record in records.iter().filter(|record| record.has_remote_metadata()) {
            let revision = record.revision().unwrap();
            let places = paths.metadata(&record.application, revision);
            let found = places.iter().find_map(|path| metadata.get_key_value(&**path));
            let (path, info) = found.unwrap_or_else(|| panic!("{scenario}: nothing at {places:?}"));
            let theirs = &list.iter().find(|node| node.path == *path).unwrap().data;
            has_services(info, &serde_json::from_str(theirs).unwrap());
            assert_eq!((&*info.app, &*info.revision), (&*record.application, revision));
            for service in info.services.values() {
                let wanted =
                    ServiceKey::with_parts(&service.name, &service.group, &service.version);
                let found = instances_of(&wanted, record, info, &mut InstancePool::default()).0;
                let [instance] = &found[..] else { panic!("{scenario}: {wanted}: {found:?}") };
                assert_eq!(*instance.application, *record.application);
                assert_eq!(*instance.address, join_address(&record.host, service.port));
                let mapping = paths.mapping(&service.name);
                let applications = list.iter().find(|node| node.path == mapping).unwrap();
                assert_eq!(mapping::applications(&applications.data), [&*record.application]);
                read += 1;
            }
        }
    }
    assert_eq!(read, 6, "services with remote metadata in the captures");
}

#[test]
fn both_ports_of_a_go_process_are_one_instance_in_etcd_where_its_record_holds_the_services() {
    let capture = capture("dubbo-go-registry-nodes.json");
    let runs = capture.as_array().unwrap().iter();
    let run = runs
        .filter(|run| run["registry"] == "etcdv3" && run["mode"] == "all")
        .find(|run| run["protocol"] == "dubbo,tri")
        .unwrap();
    let list = nodes(&run["provider_nodes"]);
    let (records, _) = application_level(&list);
    assert_eq!(records.len(), 2);
    let wanted = ServiceKey::with_parts("com.acme.Echo", "g1", "1.0.0");
    let pool = &mut InstancePool::default();
    let read: Vec<_> =
        records.iter().map(|record| ReadRecord::new(&wanted, record, None, pool)).collect();
    let urls = list.iter().filter(|node| split(&node.path).0.ends_with("/providers"));
    let providers: Vec<_> = urls
        .map(|node| DubboUrl::from_node_name(split(&node.path).1).unwrap())
        .map(|url| read_provider(url, pool).unwrap())
        .collect();
    assert!(providers.iter().all(|provider| provider.may_be_left_over));
    let from_records = merge(&wanted, [], &read);
    let from_urls = merge(&wanted, &providers, []);
    let from_both = merge(&wanted, &providers, &read);
    for merged in [&from_records, &from_urls, &from_both] {
        let [instance] = &merged.instances[..] else { panic!("{merged:?}") };
        assert_eq!(&*instance.address, "10.0.0.9:26270");
        assert_eq!(*instance.protocols, ["dubbo+hessian2", "tri"]);
        assert_eq!(&**instance.address_of("tri"), "10.0.0.9:26271");
        assert_eq!(instance.started_ms, 1_795_230_785_000);
        let note = merged.remarks.notes.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            note,
            ["1 of application `go-echo-provider` not called: they speak dubbo+hessian2, tri"]
        );
    }
}

#[test]
fn nacos_instances_are_the_provider_urls_and_records_that_they_stand_for() {
    let (mut providers, mut records) = (0, 0);
    for (scenario, rows) in capture("nacos-nodes.json").as_object().unwrap() {
        let rows = rows.as_array().unwrap().iter();
        for row in rows.filter(|row| row["kind"] == "service") {
            let name = row["name"].as_str().unwrap();
            for instance in row["instances"].as_array().unwrap() {
                let metadata: BTreeMap<String, String> =
                    serde_json::from_value(instance["metadata"].clone()).unwrap();
                let host = instance["ip"].as_str().unwrap();
                let port = u16::try_from(instance["port"].as_u64().unwrap()).unwrap();
                if let Some(rest) = name.strip_prefix("providers:") {
                    let url = from_nacos_metadata(host, port, metadata.clone());
                    assert_eq!(to_nacos_metadata(url.clone()), metadata, "{scenario}");
                    let read = read_provider(url, &mut InstancePool::default()).unwrap().instance;
                    let listed = colon_separated(&read.service).replace('$', "___");
                    assert_eq!(listed, rest, "{scenario}");
                    providers += 1;
                } else if name.starts_with("consumers:") {
                    let url = from_nacos_metadata(host, port, metadata);
                    let unread = read_provider(url, &mut InstancePool::default()).unwrap_err();
                    assert!(matches!(unread, Unread::NotProvided(_)), "{scenario}: {unread}");
                } else {
                    let record = ServiceInstance::from_nacos(name, host, port, metadata);
                    let said = &instance["metadata"];
                    assert_eq!(record.revision(), said["dubbo.metadata.revision"].as_str());
                    let endpoints = serde_json::to_value(record.endpoints()).unwrap();
                    assert_eq!(endpoints, json(&said["dubbo.endpoints"]), "{scenario}");
                    assert_eq!(record.endpoints()[0].port, port);
                    records += 1;
                }
            }
        }
    }
    assert_eq!((providers, records), (12, 9), "providers and records in the captures");
}

#[test]
fn nacos_configurations_are_mappings_metadata_or_what_only_consoles_read() {
    let (mut mappings, mut metadata, mut definitions) = (0, 0, 0);
    for (scenario, rows) in capture("nacos-nodes.json").as_object().unwrap() {
        for row in rows.as_array().unwrap().iter().filter(|row| row["kind"] == "config") {
            let text = |key: &str| row[key].as_str().unwrap();
            let (id, group, content) = (text("dataId"), text("group"), text("content"));
            if group == "mapping" {
                assert_eq!(mapping::applications(content), ["demo-provider"], "{scenario}");
                mappings += 1;
            } else if id.contains(":provider:") {
                // The signatures of an interface, at none of the places that are read.
                let info = MetadataInfo::from_json(content.as_bytes()).unwrap();
                assert!(
                    info.services.iter().count() == 0 && !id.ends_with(".configurators"),
                    "{scenario}"
                );
                let said: Value = serde_json::from_str(content).unwrap();
                let name = id.split(':').next().unwrap().replace("___", ".");
                assert_eq!(said["canonicalName"], name, "{scenario}");
                definitions += 1;
            } else {
                let info = MetadataInfo::from_json(content.as_bytes()).unwrap();
                has_services(&info, &serde_json::from_str(content).unwrap());
                assert_eq!((&*info.app, &*info.revision), (id, group), "{scenario}");
                metadata += 1;
            }
        }
    }
    assert_eq!((mappings, metadata, definitions), (10, 1, 11), "configurations in the captures");
}

#[test]
fn recipes_that_java_called_are_read() {
    let capture = capture("metadata-and-recipe.json");
    let wanted = ServiceKey::new("com.acme.Shop");
    for (name, recipe) in capture["interface-level"].as_object().unwrap() {
        let node = recipe["node"].as_str().unwrap();
        let url = DubboUrl::from_node_name(split(node).1).unwrap();
        let read = read_provider(url, &mut InstancePool::default()).unwrap();
        assert_eq!(read.instance.service, wanted, "{name}");
    }
    for (name, recipe) in capture["instance-level-remote"].as_object().unwrap() {
        let nodes = recipe["nodes"].as_object().unwrap();
        let at = |start: &str| {
            let found = nodes.iter().find(|(path, _)| path.starts_with(start));
            found.map(|(_, data)| data.to_string())
        };
        let record = at("/services/").unwrap();
        let record = ServiceInstance::from_json(record.as_bytes()).unwrap().unwrap();
        let info = MetadataInfo::from_json(at("/dubbo/metadata/").unwrap().as_bytes()).unwrap();
        let found = instances_of(&wanted, &record, &info, &mut InstancePool::default()).0;
        let [instance] = &found[..] else { panic!("{name}: {found:?}") };
        assert_eq!(&*instance.address, record.id(), "{name}");
    }
}
