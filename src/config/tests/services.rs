//! Names of services in the configuration: what was probably meant, and quotes around them.

use rpc_core::ServiceKey;

use super::{file, file_error, inventory};
use crate::config::Gate;

#[test]
fn a_section_that_misses_its_service_by_a_slip_is_found() {
    let config = file("consumer.services.\"shop.Inventry\".retries = 1");
    let (origin, name) = config.misnamed_section(&inventory()).unwrap();
    assert_eq!((origin.to_string(), name), ("dubhe.toml:1:19".to_owned(), "shop.Inventry"));
    assert_eq!(config.misnamed_section(&ServiceKey::new("shop.Cart")), None);
    assert_eq!(config.misnamed_section(&ServiceKey::new("shop.Inventry")), None);
    let other_group = ServiceKey::with_parts("shop.Inventry", "blue", "");
    assert_eq!(config.misnamed_section(&other_group), None);
    for (section, service) in [("Inventory", "shop.Inventory"), ("shop.Cart", "Cart")] {
        let config = file(&format!("consumer.services.\"{section}\".retries = 1"));
        let found = config.misnamed_section(&ServiceKey::new(service));
        assert_eq!(found.map(|(_, name)| name), Some(section), "the package is missing");
    }
    let config = file("consumer.services.\"blue/shop.Inventory\".retries = 1");
    assert_eq!(config.misnamed_section(&inventory()), None, "another group is no slip");
    let config = file("consumer.services.\"shop.Inventory:2.0.0\".retries = 1");
    for version in ["", "1.0.0"] {
        let other = ServiceKey::with_parts("shop.Inventory", "", version);
        assert_eq!(config.misnamed_section(&other), None, "another version is no slip");
    }
    let slip = ServiceKey::with_parts("shop.Inventry", "", "2.0.0");
    let found = config.misnamed_section(&slip);
    assert_eq!(found.map(|(_, name)| name), Some("shop.Inventory:2.0.0"));
}

#[test]
fn a_service_that_is_not_served_is_pointed_at() {
    let config = file("[provider.services.\"shop.Inventry\"]\nweight = 1\n");
    let served = [ServiceKey::with_parts("shop.Inventory", "blue", "")];
    assert_eq!(
        config.check_served(&served).unwrap_err().to_string(),
        "dubhe.toml:1:20: unknown service in [provider.services] `shop.Inventry` \
         (did you mean `shop.Inventory`?), available: shop.Inventory, blue/shop.Inventory"
    );
    let config = file("provider.services.\"shop.Inventory\".weight = 1");
    assert!(config.check_served(&served).is_ok());
}

#[test]
fn quotes_that_were_forgotten_around_a_service_are_told() {
    for (text, section) in [
        ("[provider.services.m.A]\nweight = 5\n", "provider.services.\"m.A\""),
        ("[consumer.services.m.A.methods.look]\nretries = 5\n", "consumer.services.\"m.A\""),
        ("[consumer.instances.shop.example]\nweight = 1\n", "consumer.instances.\"shop.example\""),
        ("[consumer.services]\nm.deep.a.timeout = \"1s\"\n", "consumer.services.\"m.deep.a\""),
    ] {
        let error = file_error(text);
        let expected = format!("write a name with dots in quotes: [{section}]");
        assert!(error.ends_with(&expected), "{error}");
    }
    let slip = file_error("[consumer.services.Shop.metods.look]\nretries = 5\n");
    assert!(slip.contains("did you mean `methods`?"), "{slip}");
    let key = file_error("[consumer.services.Shop]\nweight = 5\n");
    assert!(key.contains("unknown key in [consumer.services.Shop] `weight`, available:"), "{key}");
}

#[test]
fn the_gate_of_a_method_is_set_by_the_closest_section() {
    let config = file(
        r#"
        provider.gate = "off"
        [provider.services."shop.Inventory"]
        gate = "adaptive"
        methods.count.gate = "off"
        [provider.services."blue/shop.Inventory"]
        methods.reserve.gate = "off"
        "#,
    );
    let blue = ServiceKey::with_parts("shop.Inventory", "blue", "");
    for (service, method, gate) in [
        (&ServiceKey::new("Other"), "count", Gate::Off),
        (&inventory(), "reserve", Gate::Adaptive),
        (&inventory(), "count", Gate::Off),
        (&blue, "reserve", Gate::Off),
        (&blue, "count", Gate::Off),
        (&blue, "list", Gate::Adaptive),
    ] {
        assert_eq!(config.gate(service, method), gate, "{service}/{method}");
    }
    assert_eq!(file("").gate(&inventory(), "count"), Gate::Adaptive);
    let error = file_error("provider.gate = \"of\"\n");
    assert!(error.contains("`off`") && error.contains("adaptive"), "{error}");
}

#[test]
fn a_method_that_is_not_served_is_pointed_at() {
    let config = file("[provider.services.\"shop.Inventory\".methods.cout]\ngate = \"off\"\n");
    let checked = config.check_handlers(&inventory(), ["count", "reserve"]);
    assert_eq!(
        checked.unwrap_err().to_string(),
        "dubhe.toml:1:45: unknown method in [provider.services.\"shop.Inventory\".methods] `cout` \
         (did you mean `count`?), available: count, reserve"
    );
}
