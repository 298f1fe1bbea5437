//! Checks instances, and lists in which an unsound one does not affect the others.
//!
//! The same rules apply everywhere: before an instance is registered, when a server accepts it,
//! when a list comes from a registry or from the disk. An instance that breaks them is left out of
//! a list and logged, because one bad entry must not cost its neighbours their calls; registering
//! it is an error.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_core::{Error, Instance, InstancePool, ServiceKey};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::lock::locked;

/// Longest service, address and id, in bytes.
const MAX_NAME: usize = 512;

/// Largest instance of a list, in bytes of JSON: as much as a server's frame takes by default.
const MAX_LISTED: usize = 256 * 1024;

/// The shortest time between two warnings that the list of a service has unsound instances.
const TOLD_EVERY: Duration = Duration::from_secs(600);

/// Fails with what is wrong with `instance`, and what to do.
pub(crate) fn check(instance: &Instance) -> Result<(), String> {
    check_service(&instance.service)?;
    let Instance { address, id, application, protocols, codecs, metadata, .. } = instance;
    check_address(address)?;
    check_name("id", id)?;
    instance.endpoints.iter().try_for_each(|(protocol, address)| {
        check_text("protocol of an endpoint", protocol)?;
        check_address(address)
    })?;
    check_text("application", application)?;
    protocols.iter().try_for_each(|name| check_text("protocol", name))?;
    codecs.iter().try_for_each(|name| check_text("codec", name))?;
    metadata.iter().try_for_each(|(key, value)| {
        check_text("metadata key", key)?;
        check_text(&format!("metadata `{key}`"), value)
    })
}

/// Fails with what is wrong with the name of a service.
pub(crate) fn check_service(service: &ServiceKey) -> Result<(), String> {
    check_name("service", service.as_str())?;
    // Instances of a program's own registry are unchecked up to here.
    service.as_str().parse::<ServiceKey>().map_err(|error| error.to_string())?;
    Ok(())
}

/// As [`check`], before it is registered.
pub(crate) fn check_registrable(instance: &Instance) -> Result<(), Error> {
    check(instance).map_err(|why| {
        let (service, address) = (plain(&instance.service), plain(&instance.address));
        let what = format!("the instance of {service} at {address} cannot be registered: {why}");
        Error::invalid_config(what)
    })
}

/// As [`check_service`], before its list is asked for.
pub(crate) fn check_listable(service: &ServiceKey) -> Result<(), Error> {
    check_service(service).map_err(|why| {
        Error::invalid_config(format!("no registry can list {}: {why}", plain(service)))
    })
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    if name.len() > MAX_NAME {
        return Err(format!("the {what} has {} bytes and may have {MAX_NAME}", name.len()));
    }
    check_text(what, name)
}

fn check_text(what: &str, text: &str) -> Result<(), String> {
    // Most texts are plain ASCII, which is told without decoding it.
    let is_plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    match !is_plain && text.chars().any(char::is_control) {
        true => Err(format!("the {what} {} holds control characters, leave them out", plain(text))),
        false => Ok(()),
    }
}

fn check_address(address: &str) -> Result<(), String> {
    check_name("address", address)?;
    match is_address(address) {
        true => Ok(()),
        false => Err(format!("the address `{address}` is not of the form host:port")),
    }
}

fn is_address(text: &str) -> bool {
    let is_host = |host: &str| !host.is_empty() && !host.contains(char::is_whitespace);
    text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok())
}

/// Text from outside as it may be shown: short, and steering no terminal.
pub(crate) fn plain(text: impl fmt::Display) -> String {
    let text: String = text.to_string().chars().take(200).collect();
    text.escape_debug().to_string()
}

/// As [`plain`] for a text that is written here around texts from outside: it may have a thousand
/// characters, ends with a whole word, and says how much more there was.
pub(crate) fn plain_line(text: &str) -> String {
    const MOST: usize = 1000;
    let Some((end, _)) = text.char_indices().nth(MOST) else {
        return text.escape_debug().to_string();
    };
    // No word is that long but what nobody reads.
    let kept =
        text[..end].rfind(' ').filter(|at| *at >= end / 2).map_or(&text[..end], |at| &text[..at]);
    let more = text[kept.len()..].trim_start().chars().count();
    let characters = if more == 1 { "character" } else { "characters" };
    format!("{} … ({more} {characters} more)", kept.escape_debug())
}

/// The sound instances of a list in JSON.
pub(crate) fn read(list: &[&RawValue]) -> (Vec<Arc<Instance>>, UnsoundInstances) {
    let (mut instances, mut left_out) =
        (Vec::with_capacity(list.len()), UnsoundInstances::default());
    let mut pool = InstancePool::default();
    for json in list {
        match read_one(json.get(), &mut pool) {
            Ok(instance) => instances.push(Arc::new(instance)),
            Err(why) => left_out.add(why),
        }
    }
    (instances, left_out)
}

/// A sound instance in JSON; what others of the pool say too, it shares with them.
pub(crate) fn read_one(json: &str, pool: &mut InstancePool) -> Result<Instance, String> {
    if json.len() > MAX_LISTED {
        let length = json.len();
        return Err(format!("it has {length} bytes and may have {MAX_LISTED}"));
    }
    let instance: Instance = serde_json::from_str(json).map_err(plain)?;
    check(&instance).map_err(|why| format!("{}: {why}", plain(&instance.address)))?;
    Ok(pool.shared(instance))
}

/// Takes out of a list what is not sound.
pub(crate) fn sift(instances: &mut Vec<Arc<Instance>>) -> UnsoundInstances {
    let mut left_out = UnsoundInstances::default();
    instances.retain(|instance| match check(instance) {
        Ok(()) => true,
        Err(why) => {
            left_out.add(format!("{}: {why}", plain(&instance.address)));
            false
        }
    });
    left_out
}

/// How many instances of a list were left out, and why the first of them was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UnsoundInstances {
    pub(crate) count: usize,
    pub(crate) why: String,
}

impl UnsoundInstances {
    pub(crate) fn add(&mut self, why: String) {
        if self.count == 0 {
            self.why = why;
        }
        self.count += 1;
    }

    /// Adds what was left out of another list.
    pub(crate) fn join(&mut self, other: &Self) {
        if self.count == 0 {
            self.why.clone_from(&other.why);
        }
        self.count += other.count;
    }
}

/// Logs the instances that were left out of lists: once for each service, and again while it lasts.
#[derive(Debug, Default)]
pub(crate) struct Teller(Mutex<HashMap<ServiceKey, Instant>>);

impl Teller {
    pub(crate) fn tell(&self, registry: &str, service: &ServiceKey, left_out: &UnsoundInstances) {
        if left_out.count == 0 || !self.is_due(service) {
            return;
        }
        let UnsoundInstances { count, why } = left_out;
        tracing::warn!(
            target: "dubhe::registry::list",
            registry,
            %service,
            left_out = count,
            why,
            "unusable instances are left out of the list, correct the providers that register them"
        );
    }

    /// Whether something about `service` is to be told now; then it is not for a while.
    pub(crate) fn is_due(&self, service: &ServiceKey) -> bool {
        let now = Instant::now();
        let mut told = locked(&self.0);
        told.retain(|_, at| now.saturating_duration_since(*at) < TOLD_EVERY);
        if told.contains_key(service) {
            return false;
        }
        told.insert(service.clone(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(address: &str) -> Instance {
        Instance::new(ServiceKey::new("shop.Inventory"), address, "id")
    }

    fn with(change: impl FnOnce(&mut Instance)) -> Instance {
        let mut instance = instance("10.0.0.1:20880");
        change(&mut instance);
        instance
    }

    #[test]
    fn what_is_wrong_with_an_instance_is_named_with_its_field() {
        let metadata =
            |key: &str, value: &str| Arc::new([(key.to_owned(), value.to_owned())].into());
        for (wrong, expected) in [
            (with(|i| i.service = ServiceKey::new("a b")), "`a b` is not a service key"),
            (
                with(|i| i.service = ServiceKey::new("a\u{1b}")),
                r"the service a\u{1b} holds control",
            ),
            (instance("a:1\n"), r"the address a:1\n holds control characters, leave them out"),
            (instance("a"), "the address `a` is not of the form host:port"),
            (instance(":1"), "host:port"),
            (instance("a:65536"), "host:port"),
            (instance("a b:1"), "host:port"),
            (instance(&format!("{}:1", "a".repeat(511))), "the address has 513 bytes and may"),
            (with(|i| i.id = "\0".into()), r"the id \0 holds"),
            (
                with(|i| drop(i.endpoints.insert("x".to_owned(), "a".into()))),
                "`a` is not of the form",
            ),
            (
                with(|i| drop(i.endpoints.insert("\r".to_owned(), "a:1".into()))),
                r"the protocol of an endpoint \r holds",
            ),
            (with(|i| i.application = "\u{7f}".into()), r"the application \u{7f} holds"),
            (with(|i| i.protocols = ["a\r".to_owned()].into()), r"the protocol a\r holds"),
            (with(|i| i.codecs = ["\t".to_owned()].into()), r"the codec \t holds"),
            (with(|i| i.metadata = metadata("a\nb", "")), r"the metadata key a\nb holds"),
            (
                with(|i| i.metadata = metadata("zone", "\u{9b}")),
                r"the metadata `zone` \u{9b} holds",
            ),
        ] {
            let error = check(&wrong).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains(char::is_control), "{error:?}");
        }
        for address in ["10.0.0.1:20880", "[::1]:20880", "shop.example:0"] {
            check(&instance(address)).unwrap();
        }
    }

    #[test]
    fn a_bad_instance_of_a_list_costs_no_other() {
        let long =
            format!(r#"{{"service":"a","address":"a:1","id":"{}"}}"#, "i".repeat(MAX_LISTED));
        let good = r#"{"service":"a","address":"a:1","id":"1","new":[{}]}"#;
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let bad = [r#"{"service":"a b"}"#, "null", "7", r#"{"address":7}"#, &deep, &long];
        let list = format!("[{good},{},{good}]", bad.join(","));
        let list: Vec<&RawValue> = serde_json::from_str(&list).unwrap();
        let (read, left_out) = read(&list);
        assert_eq!((read.len(), left_out.count), (2, bad.len()));
        assert!(left_out.why.contains("not a service key"), "{left_out:?}");
    }
}
