//! Which extension, with which parameters: `"failover"` or `{ name = "forking", forks = 2 }`.

use std::fmt;

use rpc_core::Params;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// An extension chosen by name, and its parameters.
///
/// The [`ExtensionPoint`](rpc_core::ExtensionPoint) that builds it knows whether the name exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// The name of the extension.
    pub name: String,
    /// Its parameters; empty for its defaults.
    pub params: Params,
}

impl Selector {
    /// The extension `name` with its defaults.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), params: Params::new() }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (at, (key, value)) in self.params.iter().enumerate() {
            write!(f, "{}{key}: {value}", if at == 0 { " { " } else { ", " })?;
        }
        f.write_str(if self.params.is_empty() { "" } else { " }" })
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.params.is_empty() {
            return serializer.serialize_str(&self.name);
        }
        let params = self.params.iter().map(|(name, value)| (&**name, value));
        serializer.collect_map([("name", &Value::from(&*self.name))].into_iter().chain(params))
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            // In a variable, a text that is not TOML is taken as a name.
            Value::String(name) if name.starts_with(['{', '[']) => Err(D::Error::custom(format!(
                "{name} is not a name: mind the quotes inside, {{ name = \"…\", … }}"
            ))),
            Value::String(name) if !name.is_empty() => Ok(Self::new(name)),
            Value::Object(mut params) => match params.remove("name") {
                Some(Value::String(name)) if !name.is_empty() => Ok(Self { name, params }),
                Some(other) => {
                    Err(D::Error::custom(format!("{other} is not a name: write one in quotes")))
                }
                None => Err(D::Error::custom("the name is missing: write { name = \"…\", … }")),
            },
            other => Err(D::Error::custom(format!(
                "{other} chooses nothing: write a name in quotes, or {{ name = \"…\", … }}"
            ))),
        }
    }
}

/// A list of extensions in their order; one alone needs no brackets.
pub(crate) mod list {
    use std::fmt;

    use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
    use serde::de::{Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer};

    use super::Selector;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Selector>, D::Error> {
        from.deserialize_any(List)
    }

    /// Element by element, so that a mistake is told with its place.
    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<Selector>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name in quotes, { name = \"…\", … }, or a list of these")
        }

        fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
            Ok(vec![Selector::deserialize(name.into_deserializer())?])
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            Ok(vec![Selector::deserialize(MapAccessDeserializer::new(map))?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }

    pub(crate) fn optional<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Vec<Selector>>, D::Error> {
        deserialize(from).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_alone_takes_the_defaults() {
        let selector: Selector = serde_json::from_value(json!("failover")).unwrap();
        assert_eq!(selector, Selector::new("failover"));
        assert_eq!(selector.to_string(), "failover");
    }

    #[test]
    fn a_table_has_a_name_and_parameters() {
        let value = json!({ "name": "forking", "forks": 2 });
        let selector: Selector = serde_json::from_value(value).unwrap();
        assert_eq!(selector.name, "forking");
        assert_eq!(selector.params["forks"], 2);
        assert_eq!(selector.to_string(), "forking { forks: 2 }");
    }

    #[test]
    fn what_chooses_nothing_says_how_to_write_it() {
        for (value, message) in [
            (json!({ "forks": 2 }), "the name is missing: write { name = \"…\", … }"),
            (json!({ "name": 3 }), "3 is not a name: write one in quotes"),
            (
                json!("{name=x}"),
                "{name=x} is not a name: mind the quotes inside, { name = \"…\", … }",
            ),
            (json!(7), "7 chooses nothing: write a name in quotes, or { name = \"…\", … }"),
            (json!(""), "\"\" chooses nothing: write a name in quotes, or { name = \"…\", … }"),
        ] {
            let error = serde_json::from_value::<Selector>(value).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
