//! The messages, as programs declare them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher};

use bytes::Bytes;
use rpc_macros::message;

/// Without a seed, so that the order of a map is the same in every run.
pub(crate) type Hasher = BuildHasherDefault<DefaultHasher>;

/// A message of 20 fields.
#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fields {
    id: u64,
    customer_id: u64,
    created_at: i64,
    balance: i64,
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
    discount: Option<u32>,
    coupon: Option<String>,
    place: Place,
    tags: Vec<String>,
    stock: BTreeMap<String, u32>,
    state: State,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    latitude: f64,
    longitude: f64,
    city: String,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    Unknown,
    Open,
    InDelivery,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Several {
    items: Vec<Fields>,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbers {
    values: Vec<u64>,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Map {
    entries: HashMap<String, String, Hasher>,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Data {
    data: Bytes,
}

pub(crate) fn fields() -> Fields {
    Fields {
        id: 1 << 52,
        customer_id: 4711,
        created_at: 1_764_000_000_000,
        balance: -12_345,
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
    Numbers { values: spread().collect() }
}

/// 100,000 numbers of all widths.
pub(crate) fn spread() -> impl Iterator<Item = u64> {
    (0..100_000_u64).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (at % 60))
}

pub(crate) fn map() -> Map {
    Map { entries: entries().collect() }
}

pub(crate) fn entries() -> impl Iterator<Item = (String, String)> {
    (0..1_000).map(|at| (format!("key-{at}"), format!("the value of {at}")))
}

pub(crate) fn bytes() -> Data {
    Data { data: block().into() }
}

/// 1 MiB that no text is.
pub(crate) fn block() -> Vec<u8> {
    (0..1_u32 << 20).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect()
}
