//! Which provider satisfies which consumer, and under which names foreign protocols are listed.

use rpc_core::ServiceKey;

/// The protocols that Dubhe itself serves and calls, by the names that instances list.
const OUR_PROTOCOLS: [&str; 4] = ["dubbo", "http", "injvm", "json"];

/// The name under which the protocol of a Java or Go provider is listed.
///
/// Never one that we speak: our `dubbo` frames carry bodies that no other implementation reads yet, so a
/// provider of theirs must not look as if it could be called. This is the one place that decides it.
pub(crate) fn foreign_protocol(scheme: &str) -> String {
    match scheme {
        "dubbo" => "dubbo+hessian2".to_owned(),
        name if OUR_PROTOCOLS.contains(&name) => format!("{name}+foreign"),
        name => name.to_owned(),
    }
}

/// Whether an instance of `listed` serves those who want `wanted`: equal interfaces, and group and version
/// equal, `*` or, for the group, one of a list.
pub(crate) fn satisfies(wanted: &ServiceKey, listed: &ServiceKey) -> bool {
    wanted == listed
        || ((wanted.interface() == listed.interface() || wanted.interface() == "*")
            && (wanted.group() == "*"
                || wanted.group() == listed.group()
                || (wanted.group().contains(',')
                    && wanted.group().split(',').any(|group| group.trim() == listed.group())))
            && (wanted.version() == "*"
                || no_version(wanted.version()) == no_version(listed.version())))
}

/// A version as it is compared: Dubbo writes `0.0.0` for none.
pub(crate) fn no_version(version: &str) -> &str {
    if version == "0.0.0" { "" } else { version }
}

/// `interface:version:group` with empty segments kept, as in names of Nacos and keys of rules.
pub(crate) fn colon_separated(service: &ServiceKey) -> String {
    let (interface, version) = (service.interface(), no_version(service.version()));
    format!("{interface}:{version}:{}", service.group())
}
