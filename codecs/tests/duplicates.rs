//! Keys that stand twice: one reader takes the first, another the last, so neither is taken.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use rpc_macros::message;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use support::{Choice, codec, decode};

/// JSON that keeps keys that occur twice, so that a text can be written as msgpack.
enum Pairs {
    Null,
    Number(u64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Pairs, E> {
        Ok(Pairs::Null)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Pairs, E> {
        Ok(Pairs::Number(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Pairs, E> {
        Ok(Pairs::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Pairs, E> {
        Ok(Pairs::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Pairs, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element()? {
            list.push(element);
        }
        Ok(Pairs::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs::Map(pairs))
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Map(pairs) => {
                serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
            }
        }
    }
}

fn msgpack(json: &str) -> Vec<u8> {
    rmp_serde::to_vec(&serde_json::from_str::<Pairs>(json).unwrap()).unwrap()
}

#[message(crate = rpc_core)]
#[derive(Debug)]
struct Node {
    next: Option<Box<Self>>,
    children: Vec<Self>,
}

#[message(crate = rpc_core)]
#[derive(Debug)]
struct Order {
    article_id: u64,
    node: Node,
    names: HashMap<String, u8>,
    numbers: BTreeMap<u32, String>,
    choice: Choice,
}

/// The object of these entries is refused in JSON and in msgpack, by the name `key`.
#[track_caller]
fn refused_by(entries: &str, key: &str) {
    let text = format!("{{{entries}}}");
    let names = format!("`{key}` occurs twice");
    let error = decode::<Order>(&*codec("json"), text.clone().into()).unwrap_err().to_string();
    assert!(error.contains(&names), "{text}: {error}");
    let error = decode::<Order>(&*codec("msgpack"), msgpack(&text).into()).unwrap_err().to_string();
    assert!(error.contains(&names), "{text}: {error}");
}

#[test]
fn a_key_that_stands_twice_is_an_error_that_names_it() {
    refused_by(r#""articleId":1,"articleId":1"#, "articleId");
    refused_by(r#""articleId":1,"names":{},"articleId":2"#, "articleId");
    // Absent, null and the other spelling are the same field.
    refused_by(r#""articleId":1,"articleId":null"#, "articleId");
    refused_by(r#""articleId":1,"article_id":2"#, "article_id");
    // Inside of messages, lists and variants.
    refused_by(r#""node":{"next":{"children":[],"children":[]}}"#, "children");
    refused_by(r#""node":{"children":[{},{"next":null,"next":null}]}"#, "next");
    refused_by(r#""choice":{"text":"a","text":"a"}"#, "text");
    refused_by(r#""choice":{"point":{"x":1.5,"x":1.5}}"#, "x");
    // In maps, by what the key is.
    refused_by(r#""names":{"a":1,"b":2,"a":3}"#, "a");
    refused_by(r#""numbers":{"7":"","7":""}"#, "7");
    refused_by(r#""numbers":{"7":"","7.0":""}"#, "7");
    let long = "k".repeat(1000);
    refused_by(&format!(r#""names":{{"{long}":1,"{long}":1}}"#), &format!("{}…", "k".repeat(64)));
}

#[test]
fn keys_may_stand_twice_where_nobody_reads_them_and_in_different_objects() {
    for text in [
        r#"{"new":1,"new":2,"articleId":1}"#,
        r#"{"new":{"a":1,"a":2}}"#,
        r#"{"node":{"children":[{"next":{}},{"next":{}}]}}"#,
    ] {
        decode::<Order>(&*codec("json"), text.into()).unwrap();
        decode::<Order>(&*codec("msgpack"), msgpack(text).into()).unwrap();
    }
}
