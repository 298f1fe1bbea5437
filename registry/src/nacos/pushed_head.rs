//! Which push a list came in, and of which service it is: what is to be known before it is read.
//!
//! Servers write both before the hosts, of which there may be many, so reading ends there.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::messages::without_group;

/// Which push it is, and of which service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PushedHead {
    /// By which it is answered.
    pub(super) id: Option<String>,
    /// The name of the service, without the group.
    pub(super) service: String,
}

/// What was found so far.
#[derive(Debug, Default)]
struct FoundHead {
    id: Option<Option<String>>,
    service: Option<String>,
}

/// Reads a push.
struct OfPush<'a>(&'a mut FoundHead);

/// Reads the list in it.
struct OfList<'a>(&'a mut FoundHead);

impl PushedHead {
    /// That of a pushed list.
    ///
    /// # Errors
    /// It is of another form, as far as it was read.
    pub(super) fn of(json: &[u8]) -> Result<Self, String> {
        let mut found = FoundHead::default();
        let read = OfPush(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(json));
        match (read, found) {
            // It may have an error, as that is how reading ends early.
            (_, FoundHead { id: Some(id), service: Some(service) }) => Ok(Self { id, service }),
            (Ok(()), FoundHead { service: Some(service), .. }) => Ok(Self { id: None, service }),
            (Ok(()), FoundHead { service: None, .. }) => Err("it has no list".to_owned()),
            (Err(error), _) => Err(format!("it sent JSON of another form: {error}")),
        }
    }
}

impl FoundHead {
    /// Ends the reading if there is nothing more to be found.
    fn go_on<E: serde::de::Error>(&self) -> Result<(), E> {
        match self {
            Self { id: Some(_), service: Some(_) } => Err(E::custom("the rest is not read")),
            _ => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for OfPush<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OfPush<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a push")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "requestId" => self.0.id = Some(map.next_value()?),
                "serviceInfo" => map.next_value_seed(OfList(self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            self.0.go_on()?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for OfList<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OfList<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "name" => {
                    self.0.service = Some(without_group(&map.next_value::<String>()?).to_owned());
                    self.0.go_on()?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(json: &str) -> Result<(Option<String>, String), String> {
        PushedHead::of(json.as_bytes()).map(|head| (head.id, head.service))
    }

    #[test]
    fn it_is_found_in_any_order_and_hosts_behind_it_are_not_read() {
        let known = Ok((Some("7".to_owned()), "a".to_owned()));
        for json in [
            r#"{"headers":{},"requestId":"7","serviceInfo":{"name":"G@@a","hosts":[nonsense"#,
            r#"{"serviceInfo":{"hosts":[{"name":"b"}],"name":"a"},"module":"m","requestId":"7"}"#,
        ] {
            assert_eq!(head(json), known, "{json}");
        }
        let unanswered = r#"{"serviceInfo":{"name":"a"},"requestId":null}"#;
        assert_eq!(head(unanswered), Ok((None, "a".to_owned())));
        assert_eq!(head(r#"{"serviceInfo":{"name":"a"}}"#), Ok((None, "a".to_owned())));
    }

    #[test]
    fn what_is_no_pushed_list_has_none() {
        for json in ["", "7", "{}", r#"{"requestId":"7"}"#, r#"{"serviceInfo":{"name":7}}"#] {
            head(json).unwrap_err();
        }
        head(r#"{"requestId":"7","serviceInfo":null}"#).unwrap_err();
    }
}
