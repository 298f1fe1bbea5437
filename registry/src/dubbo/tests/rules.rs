//! The rules of Dubbo's layouts, one by one.

use std::collections::BTreeMap;

use rpc_core::ServiceKey;

use super::*;

#[test]
fn a_url_is_read_leniently_and_written_strictly() {
    let text = "dubbo://u:p@10.0.0.5:20880/ctx/org.Demo?b&a=1=2&=x&c=&b=3";
    let url = DubboUrl::parse(text).unwrap();
    assert_eq!((&*url.user, &*url.password), ("u", "p"));
    assert_eq!((&*url.host, url.port, &*url.path), ("10.0.0.5", Some(20880), "ctx/org.Demo"));
    assert_eq!((url.param("a"), url.param("b"), url.param("c")), ("1=2", "3", ""));
    assert_eq!(url.to_string(), "dubbo://u:p@10.0.0.5:20880/ctx/org.Demo?a=1=2&b=3&c=");
    // A login is not shown where something is logged by accident.
    assert_eq!(format!("{url:?}"), "DubboUrl(dubbo://10.0.0.5:20880/ctx/org.Demo)");
}

#[test]
fn node_names_are_javas_form_encoding_and_go_s_is_read() {
    let url = DubboUrl::parse("tri://h:1/a.B$C?x=~ *,é").unwrap();
    let java = "tri%3A%2F%2Fh%3A1%2Fa.B%24C%3Fx%3D%7E+*%2C%C3%A9";
    assert_eq!(url.to_node_name(), java);
    let go = "tri%3A%2F%2Fh%3A1%2Fa.B%24C%3Fx%3D~+%2A%2C%C3%A9";
    for name in [java, go, &java.to_lowercase().replace("b%24c", "B%24C")] {
        assert_eq!(DubboUrl::from_node_name(name).unwrap(), url, "{name}");
    }
    assert!(DubboUrl::from_node_name("a%3A%2F%2Fb%FF").unwrap_err().contains("not UTF-8"));
    // An escape that is none stays, as Go's reader would refuse it and Java's would not.
    assert_eq!(DubboUrl::from_node_name("a%3A%2F%2Fb%3Fx%3D5%zz").unwrap().param("x"), "5%zz");
}

#[test]
fn ipv6_hosts_are_read_with_and_without_brackets() {
    for (text, host, port) in [
        ("dubbo://[fe80::1]:20880/a", "fe80::1", Some(20880)),
        ("dubbo://fe80::1:20880/a", "fe80::1", Some(20880)),
        ("dubbo://fe80::1:2080/a", "fe80::1", Some(2080)),
        ("consumer://fe80::1/a", "fe80::1", None),
        ("consumer://[::1]/a", "::1", None),
        ("consumer://10.0.0.9/a", "10.0.0.9", None),
    ] {
        let url = DubboUrl::parse(text).unwrap();
        assert_eq!((&*url.host, url.port), (host, port), "{text}");
        assert_eq!(DubboUrl::parse(&url.to_string()).unwrap(), url);
    }
}

#[test]
fn text_that_is_no_url_says_why() {
    for (text, why) in [
        ("", "no `scheme://`"),
        ("10.0.0.1:20880", "no `scheme://`"),
        ("a b://h:1/x", "its scheme is not letters"),
        ("://h:1/x", "its scheme is not letters"),
        ("dubbo:///x", "no host"),
        ("dubbo://:1/x", "no host"),
        ("dubbo://[::1/x", "`[` without `]`"),
        ("dubbo://a]:b:1/x", "a bracket in the wrong place"),
        ("dubbo://h:65536/x", "not a number from 0 to 65535"),
        ("dubbo://h:-1/x", "not a number from 0 to 65535"),
    ] {
        let error = DubboUrl::parse(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    let long = format!("dubbo://h:1/x?{}", "a".repeat(1 << 20));
    assert!(DubboUrl::parse(&long).unwrap_err().contains("bytes and may have 1048576"));
    let many: String = (0..5000).map(|n| format!("k{n}=&")).collect();
    let error = DubboUrl::parse(&format!("dubbo://h:1/x?{many}")).unwrap_err();
    assert!(error.contains("more than 4096 parameters"), "{error}");
}

#[test]
fn keys_with_default_before_them_speak_for_those_that_are_absent() {
    let url = DubboUrl::parse("dubbo://h:1/a?default.group=g&default.weight=5&weight=7").unwrap();
    assert_eq!((url.param("group"), url.param("weight"), url.param("x")), ("g", "7", ""));
    let read = read_provider(url, &mut InstancePool::default()).unwrap().instance;
    assert_eq!((read.service.group(), read.weight), ("g", 7));
    assert_eq!(read.metadata.get("default.group").map(String::as_str), Some("g"));
}

#[test]
fn a_consumer_takes_equal_parts_stars_and_lists() {
    let key = |text: &str| text.parse::<ServiceKey>().unwrap();
    for (wanted, listed, expected) in [
        ("a.B", "a.B", true),
        ("a.B", "a.C", false),
        ("a.B", "g/a.B", false),
        ("g/a.B", "g/a.B", true),
        ("*/a.B", "g/a.B", true),
        ("*/a.B", "a.B", true),
        ("g,h/a.B", "h/a.B", true),
        ("g,h/a.B", "i/a.B", false),
        ("a.B", "a.B:1.0", false),
        ("a.B:*", "a.B:1.0", true),
        ("a.B:*", "a.B", true),
        ("a.B:1.0", "a.B:1.0.0", false),
        ("a.B:0.0.0", "a.B", true),
        ("a.B", "a.B:0.0.0", true),
        ("*", "a.B", true),
        ("*/*:*", "g/a.B:1", true),
    ] {
        assert_eq!(satisfies(&key(wanted), &key(listed)), expected, "{wanted} of {listed}");
    }
}

#[test]
fn what_is_no_provider_is_left_out_and_what_is_broken_says_so() {
    let read =
        |text: &str| read_provider(DubboUrl::parse(text).unwrap(), &mut InstancePool::default());
    for text in [
        "dubbo://h:1/a?category=configurators",
        "dubbo://h:1/a?enabled=false",
        "dubbo://h:1/a?disabled=true",
        "consumer://h/a?category=consumers",
        "consumer://h/a",
        "empty://h/a?category=providers",
        "override://0.0.0.0/a?category=configurators",
    ] {
        assert!(matches!(read(text), Err(Unread::NotProvided(_))), "{text}");
    }
    for (text, why) in [
        ("dubbo://h/a", "no port to connect to"),
        ("dubbo://h:0/a", "no port to connect to"),
        ("dubbo://h:1", "the interface is empty"),
        ("dubbo://h:1/a/b", "holds a `/` or `:`"),
        ("dubbo://h:1/a?group=x/y", "at most one `/`"),
        ("dubbo://h:1/a%20b c", "without blanks"),
        ("dubhe://h:1/a?weight=much", "its `weight` is not a number"),
        ("dubhe://h:1/a?timestamp=-1", "its `timestamp` is not a number"),
        ("dubhe://h:1/a?dubhe.endpoints=json", "an endpoint has no `=`"),
    ] {
        let Err(Unread::Malformed(error)) = read(text) else { panic!("{text} is read") };
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn the_version_0_0_0_is_none() {
    let read = provider("dubbo://h:1/a?version=0.0.0&group=");
    assert_eq!(read.instance.service, ServiceKey::new("a"));
    let key = ServiceKey::with_parts("org.Demo", "", "0.0.0");
    assert_eq!(colon_separated(&key), "org.Demo::");
    let key = ServiceKey::with_parts("org.Demo", "g", "1.0.0");
    assert_eq!(colon_separated(&key), "org.Demo:1.0.0:g");
}

#[test]
fn a_start_in_seconds_is_read_as_one_in_milliseconds() {
    let started = |text: &str| {
        let url = format!("dubbo://h:1/a?timestamp={text}");
        let instance = provider(&url).instance;
        (instance.started_ms, instance.id.to_string())
    };
    let ms = (1_726_000_000_000, "h:1@1726000000000".to_owned());
    assert_eq!(started("1726000000000"), ms);
    assert_eq!(started("1726000000"), ms);
    assert_eq!(started("soon"), (0, "h:1".to_owned()));
}

#[test]
fn no_foreign_protocol_has_the_name_of_one_that_is_spoken() {
    let protocols = |text: &str| provider(text).instance.protocols.to_vec();
    assert_eq!(protocols("dubbo://h:1/a"), ["dubbo+hessian2"]);
    assert_eq!(protocols("tri://h:1/a"), ["tri"]);
    assert_eq!(protocols("rest://h:1/a"), ["rest"]);
    assert_eq!(protocols("json://h:1/a"), ["json+foreign"]);
    // The mark of our own wire, whatever the scheme will be.
    assert_eq!(protocols("dubbo://h:1/a?dubhe.protocols=dubbo,json"), ["dubbo", "json"]);
}

#[test]
fn a_mapping_grows_by_whole_names() {
    let with = mapping::with_application;
    assert_eq!(with(None, "shop").as_deref(), Some("shop"));
    assert_eq!(with(Some(""), "shop").as_deref(), Some("shop"));
    assert_eq!(with(Some("shop-2,myshop"), "shop").as_deref(), Some("shop-2,myshop,shop"));
    assert_eq!(with(Some("a, shop ,b"), "shop"), None);
    assert_eq!(with(Some("a,"), "shop").as_deref(), Some("a,shop"));
    assert_eq!(mapping::applications("a, b,,a,c"), ["a", "b", "c"]);
    assert!(mapping::applications(" , ").is_empty());
    let long: Vec<_> = (0..1002).map(|n| format!("a{n}")).collect();
    let long = format!("{},a0,a0", long.join(","));
    assert_eq!((mapping::applications(&long).len(), mapping::left_out(&long)), (1000, 2));
    assert_eq!(mapping::left_out("a,b"), 0);
}

#[test]
fn paths_are_those_of_java_and_go() {
    let paths = TreePaths::new("dubbo");
    assert_eq!(paths.providers(&ServiceKey::new("a.B$C")), "/dubbo/a.B%24C/providers");
    assert_eq!(paths.consumers(&ServiceKey::new("a.B")), "/dubbo/a.B/consumers");
    assert_eq!(paths.processes("shop"), "/services/shop");
    assert_eq!(paths.mapping("a.B$C"), "/dubbo/mapping/a.B$C");
    assert_eq!(paths.metadata("shop", "r"), ["/dubbo/metadata/shop/r", "/dubbo/shop/r"]);
    let paths = TreePaths::new("team");
    assert_eq!(paths.providers(&ServiceKey::new("a.B")), "/team/a.B/providers");
    assert_eq!(paths.processes("shop"), "/team/shop");
    assert_eq!(TreePaths::interface_of("a.B%24C").as_deref(), Some("a.B$C"));
    assert_eq!(TreePaths::interface_of("metadata"), None);
    for name in ["", ".", "..", "a/b", "a,b", "a b", "a\n", &"a".repeat(256)] {
        assert!(check_application(name).is_err(), "{name:?}");
    }
    check_application("shop-2.eu_west").unwrap();
    // The log puts it into quotes, where those of its own would read as a part of the name.
    let told = check_application("a/b").unwrap_err();
    assert_eq!(told, "the name of the application has a slash or a comma");
}

#[test]
fn a_record_without_revision_or_with_0_serves_nothing() {
    let wanted = ServiceKey::new("a.B");
    for metadata in ["{}", r#"{"dubbo.metadata.revision":"0"}"#] {
        let json = format!(
            r#"{{"name":"shop","address":"h","port":1,"payload":{{"metadata":{metadata}}}}}"#
        );
        let record = ServiceInstance::from_json(json.as_bytes()).unwrap().unwrap();
        assert_eq!(record.revision(), None);
        let read = ReadRecord::new(&wanted, &record, None, &mut InstancePool::default());
        assert_eq!(merge(&wanted, [], [&read]), Merged::default());
    }
}

#[test]
fn records_are_read_in_any_case_and_without_what_may_be_missing() {
    for json in [
        r#"{"ID":"h:1","ServiceName":"shop","Host":"h","Port":1,"Metadata":{"k":"v"},"Address":""}"#,
        r#"{"id":"h:1","serviceName":"shop","host":"h","port":1,"enabled":true,"metadata":{"k":"v"}}"#,
        r#"{"name":"shop","address":"h","port":"1","payload":{"metadata":{"k":"v"}},"new":[1]}"#,
    ] {
        let record = ServiceInstance::from_json(json.as_bytes()).unwrap().unwrap();
        assert_eq!((&*record.application, &*record.id()), ("shop", "h:1"), "{json}");
        assert_eq!(record.metadata["k"], "v");
    }
    let off = r#"{"serviceName":"shop","host":"h","port":1,"enabled":false}"#;
    assert_eq!(ServiceInstance::from_json(off.as_bytes()), Ok(None));
    for (json, why) in [
        ("", "it has no value, or none that we may read"),
        ("{", "it is not JSON"),
        ("[]", "it is not a JSON object"),
        ("{}", "it has no host"),
        (r#"{"host":"h","port":0}"#, "it has no port to connect to"),
        (r#"{"host":"h","port":65536}"#, "it has no port to connect to"),
    ] {
        let error = ServiceInstance::from_json(json.as_bytes()).unwrap_err();
        assert!(error.contains(why), "{json}: {error}");
    }
}

#[test]
fn a_service_port_is_its_own_or_that_of_its_endpoint_or_of_the_record() {
    let wanted = ServiceKey::new("a.B");
    let address = |port: u16, endpoints: &str| {
        let json = format!(
            r#"{{"name":"shop","address":"h","port":1,"payload":{{"metadata":{{
                "dubbo.metadata.revision":"r","dubbo.metadata.storage-type":"remote",
                "dubbo.endpoints":{}}}}}}}"#,
            Value::from(endpoints)
        );
        let record = ServiceInstance::from_json(json.as_bytes()).unwrap().unwrap();
        let info = format!(r#"{{"services":{{"a.B:tri":{{"port":{port}}}}}}}"#);
        let info = MetadataInfo::from_json(info.as_bytes()).unwrap();
        let read = ReadRecord::new(&wanted, &record, Some(&info), &mut InstancePool::default());
        merge(&wanted, [], [&read]).instances[0].address.to_string()
    };
    let endpoints = r#"[{"port":2,"protocol":"dubbo"},{"port":3,"protocol":"tri"}]"#;
    assert_eq!(address(4, endpoints), "h:4");
    assert_eq!(address(0, endpoints), "h:3");
    assert_eq!(address(0, r#"[{"port":2,"protocol":"dubbo"}]"#), "h:1");
    assert_eq!(address(0, "no list"), "h:1");
}

#[test]
fn a_revision_follows_from_the_content_alone() {
    let service = |params: &[(&str, &str)]| {
        let params = params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ServiceInfo {
            name: "a.B".to_owned(),
            protocol: "dubhe".to_owned(),
            params: BTreeMap::from_iter(params).into(),
            ..ServiceInfo::default()
        }
    };
    let revision =
        |params: &[(&str, &str)]| MetadataInfo::new("shop", vec![service(params)]).revision;
    let one = revision(&[("a", "1"), ("b", "2")]);
    assert_eq!(one, revision(&[("b", "2"), ("a", "1")]));
    assert_eq!(one.len(), 32);
    // Neither a value that looks like two parameters nor another application has the same one.
    assert_ne!(one, revision(&[("a", "1, b=2")]));
    assert_ne!(one, MetadataInfo::new("other", vec![service(&[("a", "1"), ("b", "2")])]).revision);
    // It must not move from one release to the next: records in registries name it.
    assert_eq!(
        MetadataInfo::new("shop", vec![service(&[("a", "1")])]).revision,
        "6339478a6b94b8e6f8567bf08ee61c37"
    );
}
