//! An order as a message and for serde, with attributes for the same form, and orders at random.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use rpc_macros::message;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    sku: String,
    amount: u32,
    unit_price: f64,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    Open,
    InDelivery,
    Closed,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Payment {
    Unpaid,
    Cash(i64),
    Card { number: String, month: Option<u8> },
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    id: u64,
    balance: i64,
    count: i32,
    tiny: i8,
    small: u16,
    urgent: bool,
    weight: f32,
    total: f64,
    customer: String,
    pub(crate) note: Option<String>,
    pub(crate) discount: Option<i64>,
    signature: Vec<u8>,
    shared: Bytes,
    lines: Vec<Line>,
    tags: Vec<String>,
    numbers: Vec<u64>,
    differences: Vec<i32>,
    weights: Vec<f64>,
    stock: BTreeMap<String, u32>,
    by_number: BTreeMap<i32, String>,
    state: State,
    payment: Payment,
    a_name_that_is_longer_than_sixteen_bytes: u32,
}

/// The same for serde, with attributes for the same form.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlainLine {
    sku: String,
    amount: u32,
    unit_price: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum PlainState {
    #[default]
    Open,
    InDelivery,
    Closed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PlainPayment {
    Unpaid {},
    Cash(Wide<i64>),
    Card {
        number: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        month: Option<u8>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlainOrder {
    id: Wide<u64>,
    balance: Wide<i64>,
    count: i32,
    tiny: i8,
    small: u16,
    urgent: bool,
    weight: f32,
    total: f64,
    customer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discount: Option<Wide<i64>>,
    signature: Raw,
    shared: Raw,
    lines: Vec<PlainLine>,
    tags: Vec<String>,
    numbers: Vec<Wide<u64>>,
    differences: Vec<i32>,
    weights: Vec<f64>,
    stock: BTreeMap<String, u32>,
    by_number: BTreeMap<i32, String>,
    state: PlainState,
    payment: PlainPayment,
    a_name_that_is_longer_than_sixteen_bytes: u32,
}

/// A number of 64 bits: in quotes in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Wide<T>(T);

impl<T: Serialize + fmt::Display> Serialize for Wide<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&self.0)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de, T: Deserialize<'de> + std::str::FromStr> Deserialize<'de> for Wide<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return T::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| D::Error::custom("no number"))
    }
}

/// Bytes: base64 in JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Raw(Vec<u8>);

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

        deserializer.deserialize_any(Binary)
    }
}

pub(crate) fn plain(order: &Order) -> PlainOrder {
    let order = order.clone();
    let line =
        |line: Line| PlainLine { sku: line.sku, amount: line.amount, unit_price: line.unit_price };
    PlainOrder {
        id: Wide(order.id),
        balance: Wide(order.balance),
        count: order.count,
        tiny: order.tiny,
        small: order.small,
        urgent: order.urgent,
        weight: order.weight,
        total: order.total,
        customer: order.customer,
        note: order.note,
        discount: order.discount.map(Wide),
        signature: Raw(order.signature),
        shared: Raw(order.shared.into()),
        lines: order.lines.into_iter().map(line).collect(),
        tags: order.tags,
        numbers: order.numbers.into_iter().map(Wide).collect(),
        differences: order.differences,
        weights: order.weights,
        stock: order.stock,
        by_number: order.by_number,
        state: match order.state {
            State::Open => PlainState::Open,
            State::InDelivery => PlainState::InDelivery,
            State::Closed => PlainState::Closed,
        },
        payment: match order.payment {
            Payment::Unpaid => PlainPayment::Unpaid {},
            Payment::Cash(amount) => PlainPayment::Cash(Wide(amount)),
            Payment::Card { number, month } => PlainPayment::Card { number, month },
        },
        a_name_that_is_longer_than_sixteen_bytes: order.a_name_that_is_longer_than_sixteen_bytes,
    }
}

/// Texts with everything that JSON escapes.
pub(crate) fn texts() -> impl Strategy<Value = String> {
    prop_oneof![".*", "[\u{0}-\u{7f}]{0,40}", "[\"\\\\/\u{8}\u{c}\n\r\té漢🦀]{0,12}"]
}

pub(crate) fn orders() -> impl Strategy<Value = Order> {
    let lines = (texts(), any::<u32>(), -1e12..1e12_f64)
        .prop_map(|(sku, amount, unit_price)| Line { sku, amount, unit_price });
    let payments = prop_oneof![
        Just(Payment::Unpaid),
        any::<i64>().prop_map(Payment::Cash),
        (texts(), option::of(any::<u8>()))
            .prop_map(|(number, month)| Payment::Card { number, month }),
    ];
    let states = prop_oneof![Just(State::Open), Just(State::InDelivery), Just(State::Closed)];
    let numbers = any::<(u64, i64, i32, i8, u16, bool, u32)>();
    let finite = prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL;
    let floats = (prop::num::f32::NORMAL, finite);
    let several = (
        texts(),
        option::of(texts()),
        option::of(any::<i64>()),
        vec(any::<u8>(), 0..40),
        vec(any::<u8>(), 0..40),
    );
    let lists = (
        vec(lines, 0..20),
        vec(texts(), 0..20),
        vec(any::<u64>(), 0..80),
        vec(any::<i32>(), 0..80),
        vec(-1e300..1e300_f64, 0..40),
    );
    let maps = (btree_map(texts(), any::<u32>(), 0..20), btree_map(any::<i32>(), texts(), 0..20));
    (numbers, floats, several, lists, maps, states, payments).prop_map(
        |(a, (weight, total), b, c, (stock, by_number), state, payment)| Order {
            id: a.0,
            balance: a.1,
            count: a.2,
            tiny: a.3,
            small: a.4,
            urgent: a.5,
            weight,
            total,
            customer: b.0,
            note: b.1,
            discount: b.2,
            signature: b.3,
            shared: b.4.into(),
            lines: c.0,
            tags: c.1,
            numbers: c.2,
            differences: c.3,
            weights: c.4,
            stock,
            by_number,
            state,
            payment,
            a_name_that_is_longer_than_sixteen_bytes: a.6,
        },
    )
}
