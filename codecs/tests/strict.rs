//! What codecs read and what they refuse, where formats leave a choice: one rule for all types.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use rpc_core::message::{Message, Returned};
use rpc_macros::{arguments, message};

use support::{codec, decode};

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Open,
    Shipped,
    #[rpc(other)]
    Newer(i32),
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
enum Named {
    Known,
    #[rpc(other)]
    Newer(String),
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, PartialEq)]
enum Closed {
    Known,
    Too,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
struct Line {
    price: u32,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
struct Order {
    flag: bool,
    numbers: Vec<u64>,
    signed: Vec<i32>,
    floats: Vec<f64>,
    flags: Vec<bool>,
    texts: Vec<String>,
    lines: Vec<Line>,
    by_name: BTreeMap<String, u32>,
    by_number: BTreeMap<i32, Line>,
    by_flag: BTreeMap<bool, u32>,
    state: State,
    closed: Closed,
    raw: Vec<u8>,
    shared: Bytes,
    double: f64,
}

/// The body of an order with one field, in msgpack; `value` is a value of msgpack.
fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let mut body = vec![0x81, 0xa0 | u8::try_from(name.len()).unwrap()];
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(value);
    body
}

fn read<M: Message + Default>(format: &str, body: &[u8]) -> Result<M, String> {
    decode(&*codec(format), Bytes::copy_from_slice(body)).map_err(|error| error.to_string())
}

fn json(body: &str) -> Result<Order, String> {
    read("json", body.as_bytes())
}

fn msgpack(name: &str, value: &[u8]) -> Result<Order, String> {
    read("msgpack", &field(name, value))
}

/// Refused, at this place and with this text.
fn refused<T: std::fmt::Debug>(read: Result<T, String>, text: &str) {
    let error = read.unwrap_err();
    assert!(error.contains(text), "{error:?} does not say {text:?}");
}

#[test]
fn null_is_no_element_and_no_value_of_a_map() {
    for (body, place) in [
        (r#"{"numbers":[1,null]}"#, "numbers"),
        (r#"{"signed":[null]}"#, "signed"),
        (r#"{"floats":[1.5,2,null,3]}"#, "floats"),
        (r#"{"flags":[true,null]}"#, "flags"),
        (r#"{"texts":["a", null]}"#, "texts"),
        (r#"{"lines":[{}, null]}"#, "lines"),
        (r#"{"byName":{"a":null}}"#, "byName"),
        (r#"{"byNumber":{"1": null}}"#, "byNumber"),
    ] {
        refused(json(body), place);
        refused(json(body), "null");
    }
    for (name, value) in [
        ("numbers", &b"\x92\x01\xc0"[..]),
        ("signed", b"\x91\xc0"),
        ("floats", b"\x94\xca\x3f\x80\x00\x00\x02\xc0\x03"),
        ("flags", b"\x92\xc3\xc0"),
        ("texts", b"\x92\xa1a\xc0"),
        ("lines", b"\x92\x80\xc0"),
        ("byName", b"\x81\xa1a\xc0"),
        ("byNumber", b"\x81\x01\xc0"),
    ] {
        refused(msgpack(name, value), name);
        refused(msgpack(name, value), "null");
    }
    // A whole list or map of it is an empty one, as any field is its default.
    let order = json(r#"{"numbers":null,"lines":null,"byName":null,"flag":null}"#).unwrap();
    assert_eq!(order, Order::default());
    assert_eq!(msgpack("lines", b"\xc0").unwrap(), Order::default());
}

#[test]
fn serde_s_form_of_a_message_refuses_them_too() {
    for body in [r#"{"numbers":[1,null]}"#, r#"{"lines":[{}, null]}"#, r#"{"byName":{"a":null}}"#] {
        refused(serde_json::from_str::<Order>(body).map_err(|error| error.to_string()), "null");
    }
}

#[arguments(crate = rpc_core)]
struct Sole {
    line: Line,
}

#[arguments(crate = rpc_core)]
struct Two {
    line: Line,
    count: u32,
}

#[test]
fn an_argument_that_is_null_is_left_out() {
    for (format, body) in [("json", &b"[null]"[..]), ("msgpack", b"\x91\xc0")] {
        assert_eq!(read::<Sole>(format, body).unwrap().line.price, 0);
    }
    for (format, body) in [("json", &b"[null,3]"[..]), ("msgpack", b"\x92\xc0\x03")] {
        let two: Two = read(format, body).unwrap();
        assert_eq!((two.line.price, two.count), (0, 3));
    }
}

#[test]
fn what_follows_a_message_is_refused() {
    refused(json("{} x"), "something follows the message");
    refused(read::<Order>("msgpack", b"\x80\x01\x02"), "2 bytes follow the message");
    assert_eq!(json(" {} \n").unwrap(), Order::default());
}

#[test]
fn a_text_is_no_bytes_and_bytes_are_no_text() {
    for name in ["raw", "shared"] {
        refused(msgpack(name, b"\xa1a"), "bytes was expected");
        refused(msgpack(name, b"\x91\x01"), "bytes was expected");
        let order = msgpack(name, b"\xc4\x01\x2a").unwrap();
        assert_eq!(order.raw.len() + order.shared.len(), 1);
    }
    refused(msgpack("texts", b"\x91\xc4\x01a"), "a text was expected");
}

#[test]
fn base64_is_read_in_both_alphabets_padded_or_not() {
    // The last is from protobuf's conformance suite: bits that no byte needs may be set.
    for (text, bytes) in [
        ("-_8=", &[0xfb, 0xff][..]),
        ("+/8=", &[0xfb, 0xff]),
        ("-_8", &[0xfb, 0xff]),
        ("+/8", &[0xfb, 0xff]),
        ("", &[]),
        ("-_", &[0xfb]),
    ] {
        let order = json(&format!(r#"{{"raw":"{text}","shared":"{text}"}}"#)).unwrap();
        assert_eq!((&*order.raw, &*order.shared), (bytes, bytes), "{text}");
    }
    for text in ["a", "a b=", "+_8=\u{e9}", "===="] {
        refused(json(&format!(r#"{{"raw":"{text}"}}"#)), "base64 was expected");
    }
}

#[test]
fn keys_of_maps_are_values_of_their_type_or_the_text_of_one() {
    let order = json(r#"{"byNumber":{"-7":{}},"byFlag":{"true":1}}"#).unwrap();
    assert!(order.by_number.contains_key(&-7) && order.by_flag[&true] == 1);
    for value in [&b"\x81\xf9\x80"[..], b"\x81\xa2-7\x80"] {
        assert!(msgpack("byNumber", value).unwrap().by_number.contains_key(&-7));
    }
    for value in [&b"\x81\xc3\x01"[..], b"\x81\xa4true\x01"] {
        assert_eq!(msgpack("byFlag", value).unwrap().by_flag[&true], 1);
    }
    for (name, value) in [
        ("byName", &b"\x81\x01\x01"[..]),
        ("byName", b"\x81\xc0\x01"),
        ("byName", b"\x81\xc4\x01a\x01"),
        ("byNumber", b"\x81\xc0\x80"),
        ("byNumber", b"\x81\xc3\x80"),
        ("byNumber", b"\x81\xa1x\x80"),
        ("byNumber", b"\x81\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x80"),
        ("byFlag", b"\x81\x01\x01"),
        ("byFlag", b"\x81\xc0\x01"),
        ("byFlag", b"\x81\xa1t\x01"),
    ] {
        refused(msgpack(name, value), name);
    }
    for body in [
        r#"{"byNumber":{"x":{}}}"#,
        r#"{"byNumber":{"":{}}}"#,
        r#"{"byNumber":{"99999999999":{}}}"#,
        r#"{"byFlag":{"1":1}}"#,
        r#"{"byName":{null:1}}"#,
        r#"{"byName":{1:1}}"#,
    ] {
        refused(json(body), "by");
    }
}

#[test]
fn the_key_of_a_field_is_a_name_and_a_number_is_an_unknown_one() {
    assert_eq!(read::<Order>("msgpack", b"\x81\x05\x01").unwrap(), Order::default());
    for key in [&b"\xc0"[..], b"\xc3", b"\xc4\x01a", b"\xca\x3f\x80\x00\x00", b"\x90", b"\x80"] {
        let body = [b"\x81", key, b"\x01"].concat();
        refused(read::<Order>("msgpack", &body), "the name of a field was expected");
    }
}

#[test]
fn a_text_is_no_bool_but_in_keys() {
    refused(json(r#"{"flag":"true"}"#), "true or false was expected");
    refused(json(r#"{"flag":1}"#), "true or false was expected");
    refused(msgpack("flag", b"\xa4true"), "true or false was expected");
    refused(msgpack("flag", b"\x01"), "true or false was expected");
}

#[test]
fn integers_are_exact_however_they_are_written() {
    let order = json(r#"{"numbers":[1e16,"1e16",18446744073709551615,9007199254740993.0]}"#);
    let expected = [10_u64.pow(16), 10_u64.pow(16), u64::MAX, 9_007_199_254_740_993];
    assert_eq!(order.unwrap().numbers, expected);
    for body in [r#"{"numbers":[1.5]}"#, r#"{"numbers":[1e20]}"#, r#"{"numbers":[-1]}"#] {
        refused(json(body), "numbers");
    }
    // 2^53 as a float of msgpack: the integer that was meant may be another.
    refused(msgpack("numbers", b"\x91\xcb\x43\x40\x00\x00\x00\x00\x00\x00"), "a whole number");
    let order = msgpack("numbers", b"\x91\xcb\x40\x08\x00\x00\x00\x00\x00\x00").unwrap();
    assert_eq!(order.numbers, [3]);
}

#[test]
fn the_number_of_a_variant_never_becomes_another() {
    let state = |number: i64| json(&format!(r#"{{"state":{number}}}"#)).unwrap().state;
    assert_eq!(state(1), State::Shipped);
    assert_eq!(state(8), State::Newer(8));
    assert_eq!(state(i64::from(i32::MAX)), State::Newer(i32::MAX));
    // No number of 32 bits says it: what is kept is that of nobody.
    assert_eq!(state(i64::from(i32::MAX) + 1), State::Newer(i32::MIN));
    for number in ["4294967296", "18446744073709551615", "99999999999999999999"] {
        let body = format!(r#"{{"value":{number}}}"#);
        let named: Returned<Named> = read("json", body.as_bytes()).unwrap();
        assert_eq!(named.0, Named::Newer(number.to_owned()));
        refused(json(&format!(r#"{{"closed":{number}}}"#)), &format!("`{number}`"));
    }
    refused(json(r#"{"state":1e30}"#), "the name or number of a variant was expected");
    refused(json(r#"{"state":1.5}"#), "the name or number of a variant was expected");
    let most = b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff";
    refused(msgpack("closed", most), "`18446744073709551615`");
}

#[test]
fn another_wire_type_is_told_with_its_field_its_message_and_a_cause() {
    // Field 1 is a bool, field 6 a text, field 7 a message, field 1 of that a number.
    for (body, field, message) in [
        (&b"\x0a\x01a"[..], "flag", "Order"),
        (b"\x30\x01", "texts", "Order"),
        (b"\x3d\x00\x00\x00\x00", "lines", "Order"),
        (b"\x3a\x02\x0a\x00", "lines[0].price", "Line"),
    ] {
        let error = read::<Order>("protobuf", body).unwrap_err();
        assert!(error.contains(&format!("{field}: ")), "{error}");
        assert!(error.contains(&format!("different versions of {message}, ")), "{error}");
    }
}

#[test]
fn floats_of_32_bits_are_read_as_64_by_value_in_msgpack_and_by_digits_in_json() {
    let narrow = 0.1_f32;
    let mut value = vec![0xca];
    value.extend_from_slice(&narrow.to_be_bytes());
    assert_eq!(msgpack("double", &value).unwrap().double, f64::from(narrow));
    assert_eq!(json(&format!(r#"{{"double":{narrow}}}"#)).unwrap().double, 0.1_f64);
    // In protobuf they are different wire types.
    let body = [&[(15 << 3) | 5][..], &narrow.to_le_bytes()].concat();
    refused(read::<Order>("protobuf", &body), "double");
}
