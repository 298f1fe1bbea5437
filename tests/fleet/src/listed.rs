//! One entry of a list in a form that all three languages have: what is compared.

use std::collections::BTreeSet;
use std::fmt;

use rpc_core::Instance;

/// The scheme under which ours are listed.
pub(crate) const OURS: &str = "dubhe";

/// What a list says of one provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    /// The name of its application.
    pub(crate) application: String,
    /// Its protocol, as Dubbo names it.
    pub(crate) scheme: String,
    /// Where it is.
    pub(crate) address: String,
    /// Which start of one of ours it is; empty for others.
    pub(crate) id: String,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://{}", self.application, self.scheme, self.address)?;
        if self.id.is_empty() { Ok(()) } else { write!(f, " ({})", self.id) }
    }
}

impl Listed {
    /// Of a URL as peers print it; `None` if it is none.
    pub(crate) fn of_url(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (address, rest) = rest.split_once('/')?;
        let (_, params) = rest.split_once('?')?;
        // None of these values has a character that is encoded.
        let param = |key: &str| {
            let pairs = params.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value)
        };
        Some(Self {
            application: param("application").to_owned(),
            scheme: scheme.to_owned(),
            address: address.to_owned(),
            id: param("dubhe.id").to_owned(),
        })
    }

    /// Of an instance in our own list: one for each protocol of a foreign process.
    pub(crate) fn of_instance(instance: &Instance) -> Vec<Self> {
        let is_ours = instance.codecs.iter().any(|codec| codec == "protobuf");
        let one = |scheme: &str, address: &str, id: &str| Self {
            application: instance.application.to_string(),
            scheme: scheme.to_owned(),
            address: address.to_owned(),
            id: id.to_owned(),
        };
        if is_ours {
            return vec![one(OURS, &instance.address, &instance.id)];
        }
        let protocols = instance.protocols.iter();
        protocols
            .map(|name| {
                // Theirs are told from ours of the same name.
                let scheme = name.strip_suffix("+hessian2").unwrap_or(name);
                one(scheme, instance.address_of(name), "")
            })
            .collect()
    }
}

/// What is missing in `seen` and what is too much in it, for people; `None` if nothing is.
pub(crate) fn difference(wanted: &BTreeSet<Listed>, seen: &BTreeSet<Listed>) -> Option<String> {
    let texts = |these: Vec<&Listed>| {
        these.into_iter().map(Listed::to_string).collect::<Vec<_>>().join(", ")
    };
    let missing: Vec<&Listed> = wanted.difference(seen).collect();
    let surplus: Vec<&Listed> = seen.difference(wanted).collect();
    match (missing.is_empty(), surplus.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("lacks {}", texts(missing))),
        (true, false) => Some(format!("has {} too much", texts(surplus))),
        (false, false) => {
            Some(format!("lacks {}, has {} too much", texts(missing), texts(surplus)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_prints_and_what_we_list_have_one_form() {
        let ours = "dubhe://127.0.0.1:1/dubhe.fleet.Stock?application=a&dubhe.id=7&methods=*";
        let mut instance =
            Instance::new(rpc_core::ServiceKey::new("dubhe.fleet.Stock"), "127.0.0.1:1", "7");
        instance.application = "a".into();
        instance.codecs = ["protobuf".to_owned()].into();
        assert_eq!(Listed::of_url(ours).as_slice(), Listed::of_instance(&instance));

        let theirs = "dubbo://127.0.0.1:1/dubhe.fleet.Stock?application=a&methods=who";
        instance.codecs = [].into();
        instance.protocols = ["dubbo+hessian2".to_owned()].into();
        assert_eq!(Listed::of_url(theirs).as_slice(), Listed::of_instance(&instance));
        assert_eq!(Listed::of_url("ready"), None);
    }

    #[test]
    fn a_difference_names_both_sides() {
        let one = |port: &str| {
            let url = format!("dubbo://127.0.0.1:{port}/s?application=a");
            Listed::of_url(&url).expect("it is a URL")
        };
        let (wanted, seen) = (BTreeSet::from([one("1"), one("2")]), BTreeSet::from([one("3")]));
        let told = difference(&wanted, &seen).expect("they differ");
        assert!(told.contains("lacks a dubbo://127.0.0.1:1, a dubbo://127.0.0.1:2"), "{told}");
        assert!(told.contains("has a dubbo://127.0.0.1:3 too much"), "{told}");
        assert_eq!(difference(&seen, &seen), None);
    }
}
