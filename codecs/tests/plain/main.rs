//! The same bytes and the same values as the plain crates on an equal struct: what we write they
//! read, what they write we read, and what they refuse we refuse.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod order;
#[path = "../support/mod.rs"]
mod support;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rpc_core::codec::Limits;
use rpc_core::message::{Message, Returned, read_with_serde, write_with_serde};
use serde::de::IgnoredAny;

use order::{Order, PlainOrder, orders, plain};
use support::{codec, decode, encode};

fn run<S: Strategy>(strategy: S, cases: u32, test: impl Fn(S::Value)) {
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new_with_rng(config, seed).run(&strategy, |value| {
        test(value);
        Ok(())
    });
    outcome.unwrap();
}

/// A message in a format of serde's, by the adapter.
fn adapted(order: &Order) -> (Vec<u8>, Vec<u8>) {
    let (mut msgpack, mut json) = (Vec::new(), Vec::new());
    write_with_serde(order, &mut rmp_serde::Serializer::new(&mut msgpack)).unwrap();
    write_with_serde(order, &mut serde_json::Serializer::new(&mut json)).unwrap();
    (msgpack, json)
}

#[test]
fn any_message_has_the_bytes_of_the_plain_crates() {
    run(orders(), 80, |order| {
        let plain = plain(&order);
        let (msgpack, json) =
            (rmp_serde::to_vec_named(&plain).unwrap(), serde_json::to_vec(&plain).unwrap());
        assert_eq!(encode(&*codec("msgpack"), &order), msgpack);
        assert_eq!(encode(&*codec("json"), &order), json);
        assert_eq!(adapted(&order), (msgpack, json));
    });
}

#[test]
fn what_one_writes_the_other_reads() {
    run(orders(), 80, |order| {
        let expected = plain(&order);
        let msgpack = encode(&*codec("msgpack"), &order);
        assert_eq!(rmp_serde::from_slice::<PlainOrder>(&msgpack).unwrap(), expected);
        let json = encode(&*codec("json"), &order);
        assert_eq!(serde_json::from_slice::<PlainOrder>(&json).unwrap(), expected);

        let by_position = rmp_serde::to_vec(&expected).unwrap();
        let by_name = rmp_serde::to_vec_named(&expected).unwrap();
        for bytes in [by_name, by_position] {
            // Positions of absent fields are not there, so only whole ones are the same.
            if order.note.is_some() && order.discount.is_some() || bytes[0] != 0xdc {
                assert_eq!(decode::<Order>(&*codec("msgpack"), bytes.into()).unwrap(), order);
            }
        }
        for json in [serde_json::to_vec(&expected), serde_json::to_vec_pretty(&expected)] {
            let read: Order = decode(&*codec("json"), json.unwrap().into()).unwrap();
            assert_eq!(read, order);
        }
    });
}

#[test]
fn the_adapter_reads_what_the_codecs_read() {
    run(orders(), 40, |order| {
        let (msgpack, json) = adapted(&order);
        let mut read = Order::default();
        let mut format = rmp_serde::Deserializer::new(&*msgpack);
        read_with_serde(&mut format, &mut read, &mut Limits::default()).unwrap();
        assert_eq!(read, order);
        let mut read = Order::default();
        let mut format = serde_json::Deserializer::from_slice(&json);
        read_with_serde(&mut format, &mut read, &mut Limits::default()).unwrap();
        assert_eq!(read, order);
        assert_eq!(serde_json::from_slice::<Order>(&json).unwrap(), order);
        assert_eq!(serde_json::to_vec(&order).unwrap(), json);
    });
}

fn json<M: Message + Default>(text: &str) -> Option<M> {
    decode(&*codec("json"), Bytes::copy_from_slice(text.as_bytes())).ok()
}

#[test]
fn strings_are_read_as_serde_json_reads_them() {
    // Well-formed and not: escapes of all kinds, halves of characters, control characters.
    let piece = prop_oneof![
        ".{0,9}",
        r#"\\["\\/bfnrtuxU0]"#,
        r"\\u[0-9a-fA-F]{3,4}",
        r"\\u[dD][89abAB][0-9a-f]{2}\\u[dD][c-fC-F][0-9a-f]{2}",
        "[\u{0}-\u{1f}]",
    ];
    run(vec(piece, 0..6), 1500, |pieces| {
        let text = format!("\"{}\"", pieces.concat());
        let plain = serde_json::from_str::<String>(&text).ok();
        let ours = json::<Returned<String>>(&format!("{{\"value\":{text}}}"));
        assert_eq!(ours.map(|Returned(value)| value), plain, "{text}");
    });
}

#[test]
fn numbers_are_read_as_serde_json_reads_them() {
    let texts = prop_oneof![
        r"-?[0-9]{1,22}",
        r"-?[0-9]{0,20}(\.[0-9]{0,20})?([eE][-+]?[0-9]{0,3})?",
        "(1844674407370955161[0-9]|-?922337203685477580[0-9])",
        any::<f64>()
            .prop_filter("JSON has no others", |value| value.is_finite())
            .prop_map(|value| format!("{value:e}")),
    ];
    run(texts, 2000, |text| {
        let body = format!("{{\"value\":{text}}}");
        let float = json::<Returned<f64>>(&body).map(|Returned(value)| value.to_bits());
        assert_eq!(float, serde_json::from_str::<f64>(&text).ok().map(f64::to_bits), "{text}");
        // We read `1.0` and `1e3` as whole numbers besides.
        let is_plain = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
        if is_plain {
            let whole = json::<Returned<u64>>(&body).map(|Returned(value)| value);
            // Of `-0` serde_json makes a float.
            if text != "-0" {
                assert_eq!(whole, serde_json::from_str::<u64>(&text).ok(), "{text}");
                let signed = json::<Returned<i64>>(&body).map(|Returned(value)| value);
                assert_eq!(signed, serde_json::from_str::<i64>(&text).ok(), "{text}");
            }
            let quoted = json::<Returned<u64>>(&format!("{{\"value\":\"{text}\"}}"));
            assert_eq!(quoted.map(|Returned(value)| value), whole, "{text}");
        }
    });
}

#[test]
fn what_is_unknown_is_passed_over_if_it_is_json_and_only_then() {
    let bits = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\"a\""),
        Just("\"\\n\""),
        Just("1"),
        Just("-0.5e3"),
        Just("01"),
        Just("true"),
        Just("nul"),
        Just("null"),
        Just(" "),
        Just("\"a\":1"),
        Just("[1,2]"),
        Just("{\"b\":[]}"),
    ];
    run(vec(bits, 1..12), 6_000, |bits| {
        let text = format!("{{\"x\":{}}}", bits.concat());
        let ours = json::<Returned<()>>(&text).is_some();
        let plain = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        assert_eq!(ours, plain, "{text}");
    });
}
