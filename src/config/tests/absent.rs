//! What `absent://` orders, which gives way to whatever is set.

use std::time::Duration;

use rpc_core::ServiceKey;

use crate::config::*;

#[test]
fn what_gives_way_goes_before_the_default_alone() {
    let origin = || Origin::ConfigCenter {
        rule: "shop.Stock::".to_owned(),
        address: "zookeeper://a".to_owned(),
        is_of_service: true,
        is_absent: true,
    };
    let order =
        |layer: Layer, path: &[&str]| layer.ordered(path.iter().copied(), "7s".into(), origin());
    let section = ["consumer", "services", "shop.Stock"];
    let of_all = || order(Layer::new(), &[&section[..], &["timeout"]].concat());
    let of_method =
        || order(Layer::new(), &[&section[..], &["methods", "left", "timeout"]].concat());
    let attribute = MethodDefaults { timeout: Some(Duration::from_secs(3)), ..Default::default() };
    let none = MethodDefaults::default();
    let set = |key: &str| Layer::new().set(key, "5s");
    let (all, service, method) = (
        "consumer.timeout",
        "consumer.services.\"shop.Stock\".timeout",
        "consumer.services.\"shop.Stock\".methods.left.timeout",
    );
    for (rules, builder, attribute, expected) in [
        (of_all(), Layer::new(), &none, 7),
        (of_all(), Layer::new(), &attribute, 3),
        (of_all(), set(all), &none, 5),
        (of_all(), set(all), &attribute, 5),
        (of_all(), set(service), &none, 5),
        (of_all(), set(method), &none, 5),
        (of_method(), Layer::new(), &none, 7),
        (of_method(), Layer::new(), &attribute, 3),
        // What is set for more is less specific.
        (of_method(), set(all), &none, 7),
        (of_method(), set(service), &none, 7),
        (of_method(), set(method), &none, 5),
    ] {
        let config = Config::load(Sources { builder, rules, ..Sources::default() }).unwrap();
        let timeout = config.method(&ServiceKey::new("shop.Stock"), "left", attribute).timeout;
        assert_eq!(timeout.value, Duration::from_secs(expected), "{timeout:?}");
        assert_eq!(timeout.origin.gives_way(), expected == 7);
    }
}
