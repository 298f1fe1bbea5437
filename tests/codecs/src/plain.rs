//! The same for serde, with attributes for the same bytes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::messages::{Hasher, block, entries, spread};

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fields {
    id: Wide<u64>,
    customer_id: Wide<u64>,
    created_at: Wide<i64>,
    balance: Wide<i64>,
    count: u32,
    flags: u32,
    offset: i32,
    delta: i32,
    urgent: bool,
    ratio: f32,
    total: f64,
    name: String,
    street_and_number: String,
    note: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discount: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coupon: Option<String>,
    place: Place,
    tags: Vec<String>,
    stock: BTreeMap<String, u32>,
    state: State,
}

#[derive(Clone, Serialize, Deserialize)]
struct Place {
    latitude: f64,
    longitude: f64,
    city: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum State {
    Unknown,
    Open,
    InDelivery,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Several {
    items: Vec<Fields>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Numbers {
    values: Vec<Wide<u64>>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Map {
    entries: HashMap<String, String, Hasher>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Data {
    data: Raw,
}

/// A number of 64 bits: in quotes in JSON.
#[derive(Clone, Copy)]
struct Wide<T>(T);

macro_rules! wide {
    ($($ty:ident by $serialize:ident, $deserialize:ident, $visit:ident;)*) => {$(
        impl Serialize for Wide<$ty> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(&self.0)
                } else {
                    serializer.$serialize(self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for Wide<$ty> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Number;

                impl Visitor<'_> for Number {
                    type Value = Wide<$ty>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a number")
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<Wide<$ty>, E> {
                        text.parse().map(Wide).map_err(E::custom)
                    }
                }

                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Number)
                } else {
                    $ty::deserialize(deserializer).map(Wide)
                }
            }
        }
    )*};
}

wide! {
    u64 by serialize_u64, deserialize_u64, visit_u64;
    i64 by serialize_i64, deserialize_i64, visit_i64;
}

/// Bytes: base64 in JSON.
struct Raw(Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&STANDARD.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Binary;

        impl Visitor<'_> for Binary {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Raw, E> {
                Ok(Raw(bytes.to_vec()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Raw, E> {
                STANDARD.decode(text).map(Raw).map_err(E::custom)
            }
        }

        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Binary)
        } else {
            deserializer.deserialize_bytes(Binary)
        }
    }
}

pub(crate) fn fields() -> Fields {
    Fields {
        id: Wide(1 << 52),
        customer_id: Wide(4711),
        created_at: Wide(1_764_000_000_000),
        balance: Wide(-12_345),
        count: 7,
        flags: 0xffff_0000,
        offset: -1,
        delta: 70_000,
        urgent: true,
        ratio: 0.75,
        total: 1234.56,
        name: "Ada Lovelace".to_owned(),
        street_and_number: "St. James's Square 12, London".to_owned(),
        note: "ring twice".to_owned(),
        discount: Some(15),
        coupon: Some("WINTER".to_owned()),
        place: Place { latitude: 51.5072, longitude: -0.1276, city: "London".to_owned() },
        tags: ["new", "gift", "fragile"].map(str::to_owned).to_vec(),
        stock: BTreeMap::from([("mug".to_owned(), 3), ("plate".to_owned(), 12)]),
        state: State::InDelivery,
    }
}

pub(crate) fn several() -> Several {
    Several { items: vec![fields(); 1_000] }
}

pub(crate) fn numbers() -> Numbers {
    Numbers { values: spread().map(Wide).collect() }
}

pub(crate) fn map() -> Map {
    Map { entries: entries().collect() }
}

pub(crate) fn bytes() -> Data {
    Data { data: Raw(block()) }
}
