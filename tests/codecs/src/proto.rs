//! The same for prost.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use prost::{Enumeration, Message};

use crate::messages::{block, entries, spread};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Fields {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    customer_id: u64,
    #[prost(int64, tag = "3")]
    created_at: i64,
    #[prost(int64, tag = "4")]
    balance: i64,
    #[prost(uint32, tag = "5")]
    count: u32,
    #[prost(uint32, tag = "6")]
    flags: u32,
    #[prost(int32, tag = "7")]
    offset: i32,
    #[prost(int32, tag = "8")]
    delta: i32,
    #[prost(bool, tag = "9")]
    urgent: bool,
    #[prost(float, tag = "10")]
    ratio: f32,
    #[prost(double, tag = "11")]
    total: f64,
    #[prost(string, tag = "12")]
    name: String,
    #[prost(string, tag = "13")]
    street_and_number: String,
    #[prost(string, tag = "14")]
    note: String,
    #[prost(uint32, optional, tag = "15")]
    discount: Option<u32>,
    #[prost(string, optional, tag = "16")]
    coupon: Option<String>,
    #[prost(message, optional, tag = "17")]
    place: Option<Place>,
    #[prost(string, repeated, tag = "18")]
    tags: Vec<String>,
    #[prost(btree_map = "string, uint32", tag = "19")]
    stock: BTreeMap<String, u32>,
    #[prost(enumeration = "State", tag = "20")]
    state: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Place {
    #[prost(double, tag = "1")]
    latitude: f64,
    #[prost(double, tag = "2")]
    longitude: f64,
    #[prost(string, tag = "3")]
    city: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
enum State {
    Unknown = 0,
    Open = 1,
    InDelivery = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Several {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Fields>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Numbers {
    #[prost(uint64, repeated, tag = "1")]
    values: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Map {
    #[prost(map = "string, string", tag = "1")]
    entries: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Data {
    #[prost(bytes = "bytes", tag = "1")]
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
        place: Some(Place { latitude: 51.5072, longitude: -0.1276, city: "London".to_owned() }),
        tags: ["new", "gift", "fragile"].map(str::to_owned).to_vec(),
        stock: BTreeMap::from([("mug".to_owned(), 3), ("plate".to_owned(), 12)]),
        state: State::InDelivery.into(),
    }
}

pub(crate) fn several() -> Several {
    Several { items: vec![fields(); 1_000] }
}

pub(crate) fn numbers() -> Numbers {
    Numbers { values: spread().collect() }
}

pub(crate) fn map() -> Map {
    Map { entries: entries().collect() }
}

pub(crate) fn bytes() -> Data {
    Data { data: block().into() }
}
