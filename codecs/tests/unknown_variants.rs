//! A variant of another version is told, or taken by the variant that is there for it; in no codec
//! does it become another one.

#![allow(
    clippy::unwrap_used,
    clippy::use_self,
    unreachable_pub,
    reason = "the whole file is a test"
)]

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use rpc_core::message::{BusinessError, Message, Returned};
use rpc_core::{Codec, Status};
use rpc_macros::{error, message};

use support::{codec, codecs, convert, decode, encode};

mod new {
    use super::*;

    #[message(crate = rpc_core)]
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum State {
        Unknown,
        Open,
        Shipped = 7,
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, Clone, PartialEq)]
    pub enum Payment {
        Unpaid,
        Cash(u64),
        Card { number: String },
        Crypto,
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, Clone, PartialEq)]
    pub struct Order {
        pub state: State,
        pub payment: Payment,
        pub states: Vec<State>,
        pub by_name: BTreeMap<String, Payment>,
        pub last: Option<State>,
        pub behind: u32,
    }

    #[error(crate = rpc_core)]
    #[derive(Debug)]
    pub enum Refusal {
        Closed,
        Late {
            by: State,
        },
        OnFire,
        #[rpc(status)]
        Status(Status),
    }
}

/// Without a variant for what is unknown.
mod strict {
    use super::*;

    #[message(crate = rpc_core)]
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum State {
        Unknown,
        Open,
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, Clone, PartialEq)]
    pub enum Payment {
        Unpaid,
        Cash(u64),
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, Clone, PartialEq)]
    pub struct Order {
        pub state: State,
        pub payment: Payment,
        pub states: Vec<State>,
        pub by_name: BTreeMap<String, Payment>,
        pub last: Option<State>,
        pub behind: u32,
    }

    #[error(crate = rpc_core)]
    #[derive(Debug)]
    pub enum Refusal {
        Closed,
        Late {
            by: State,
        },
        #[rpc(status)]
        Status(Status),
    }
}

/// With one.
mod open {
    use super::*;

    #[message(crate = rpc_core)]
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum State {
        Unknown,
        Open,
        #[rpc(other)]
        Other,
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, Clone, PartialEq)]
    pub enum Payment {
        Unpaid,
        Cash(u64),
        #[rpc(other, tag = 99)]
        Other,
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, Clone, PartialEq)]
    pub struct Order {
        pub state: State,
        pub payment: Payment,
        pub states: Vec<State>,
        pub by_name: BTreeMap<String, Payment>,
        pub last: Option<State>,
        pub behind: u32,
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum Numbered {
        Unknown,
        #[rpc(other)]
        Other(i32),
        Open,
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, Clone, PartialEq)]
    pub enum Named {
        Unknown,
        Open,
        #[rpc(other)]
        Other(String),
    }
}

fn refused<M: Message + Default + std::fmt::Debug>(
    codec: &dyn Codec,
    message: &impl Message,
) -> String {
    decode::<M>(codec, encode(codec, message)).unwrap_err().to_string()
}

#[test]
fn without_a_variant_for_it_an_unknown_one_is_told_with_field_value_and_cause() {
    use new::{Order, Payment, State};
    let default = Order::default;
    for codec in codecs() {
        // Protobuf has numbers, and no key of a map before its value.
        let is_protobuf = codec.name() == "protobuf";
        let (shipped, crypto, key) = match is_protobuf {
            true => ("7", "4", ""),
            false => ("SHIPPED", "crypto", "[\"a\"]"),
        };
        let states = vec![State::Open, State::Shipped];
        let by_name = BTreeMap::from([("a".to_owned(), Payment::Crypto)]);
        for (order, field, value, of) in [
            (Order { state: State::Shipped, ..default() }, "state", shipped, "State"),
            (Order { states, ..default() }, "states[1]", shipped, "State"),
            (Order { last: Some(State::Shipped), ..default() }, "last", shipped, "State"),
            (Order { payment: Payment::Crypto, ..default() }, "payment", crypto, "Payment"),
            (Order { by_name, ..default() }, &format!("byName{key}"), crypto, "Payment"),
        ] {
            let message = refused::<strict::Order>(&*codec, &order);
            let expected = format!(
                "{}: {field}: {of} has no variant `{value}` here, the peers have different \
                 versions: update this one, or mark a variant of {of} with `#[rpc(other)]`",
                codec.name()
            );
            assert_eq!(message, expected);
        }
        let alone = refused::<Returned<strict::State>>(&*codec, &Returned(State::Shipped));
        assert!(alone.contains(": value: State has no variant `"), "{alone}");
        let whole = refused::<strict::Payment>(&*codec, &Payment::Card { number: "4".into() });
        assert!(whole.contains("Payment has no variant"), "{whole}");
    }
}

#[test]
fn a_variant_that_is_there_for_it_takes_an_unknown_one_wherever_it_stands() {
    use new::{Payment, State};
    let order = new::Order {
        state: State::Shipped,
        payment: Payment::Card { number: "42".into() },
        states: vec![State::Shipped, State::Open],
        by_name: BTreeMap::from([("a".into(), Payment::Crypto), ("b".into(), Payment::Cash(1))]),
        last: Some(State::Shipped),
        behind: 5,
    };
    let expected = open::Order {
        state: open::State::Other,
        payment: open::Payment::Other,
        states: vec![open::State::Other, open::State::Open],
        by_name: BTreeMap::from([
            ("a".into(), open::Payment::Other),
            ("b".into(), open::Payment::Cash(1)),
        ]),
        last: Some(open::State::Other),
        behind: 5,
    };
    for codec in codecs() {
        assert_eq!(convert::<open::Order>(&*codec, &order), expected, "{codec:?}");
        // What was taken is a variant like any other.
        assert_eq!(convert::<open::Order>(&*codec, &expected), expected, "{codec:?}");
    }
    let text = serde_json::to_string(&order).unwrap();
    assert_eq!(serde_json::from_str::<open::Order>(&text).unwrap(), expected);
    assert!(serde_json::from_str::<strict::Order>(&text).is_err());
}

#[test]
fn absent_and_null_stay_the_default() {
    for codec in codecs() {
        let read: strict::Order = convert(&*codec, &Returned(()));
        assert_eq!(read, strict::Order::default(), "{codec:?}");
        let read: open::Order = convert(&*codec, &Returned(()));
        assert_eq!(read, open::Order::default(), "{codec:?}");
    }
    let json = codec("json");
    let text = br#"{"state":null,"payment":{"crypto":null},"states":null,"last":null}"#;
    let read: strict::Order = decode(&*json, Bytes::from_static(text)).unwrap();
    assert_eq!(read, strict::Order::default());
}

#[test]
fn of_several_variants_the_last_one_counts_unknown_or_not() {
    let json = codec("json");
    let read =
        |text: &'static str| decode::<open::Payment>(&*json, Bytes::from_static(text.as_bytes()));
    assert_eq!(read(r#"{"cash":"1","crypto":{}}"#).unwrap(), open::Payment::Other);
    assert_eq!(read(r#"{"crypto":{},"cash":"1"}"#).unwrap(), open::Payment::Cash(1));
    let protobuf = codec("protobuf");
    let read =
        |bytes: &'static [u8]| decode::<open::Payment>(&*protobuf, Bytes::from_static(bytes));
    assert_eq!(read(b"\x10\x01\x22\x00").unwrap(), open::Payment::Other);
    assert_eq!(read(b"\x22\x00\x10\x01").unwrap(), open::Payment::Cash(1));
}

#[test]
fn a_kept_number_or_name_goes_on_as_it_came() {
    use open::{Named, Numbered};
    let shipped = Returned(new::State::Shipped);
    for codec in codecs() {
        let is_protobuf = codec.name() == "protobuf";
        let named: Returned<Named> = convert(&*codec, &shipped);
        let expected = if is_protobuf { "7" } else { "SHIPPED" };
        assert_eq!(named.0, Named::Other(expected.to_owned()), "{codec:?}");
        assert_eq!(encode(&*codec, &named), encode(&*codec, &shipped), "{codec:?}");
        assert_eq!(convert::<Returned<Named>>(&*codec, &named), named, "{codec:?}");

        let numbered: Returned<Numbered> = convert(&*codec, &shipped);
        let expected = if is_protobuf { 7 } else { i32::MIN };
        assert_eq!(numbered.0, Numbered::Other(expected), "{codec:?}");
        assert_eq!(convert::<Returned<Numbered>>(&*codec, &numbered), numbered, "{codec:?}");

        // A number by which formats with names read a variant, too.
        let seven = Returned(Numbered::Other(7));
        assert_eq!(convert::<Returned<new::State>>(&*codec, &seven), shipped, "{codec:?}");
        let seven = Returned(Named::Other("7".to_owned()));
        assert_eq!(convert::<Returned<new::State>>(&*codec, &seven), shipped, "{codec:?}");
    }
    let text = serde_json::to_string(&Named::Other("SHIPPED".to_owned())).unwrap();
    assert_eq!(text, "\"SHIPPED\"");
    assert_eq!(serde_json::from_str::<new::State>(&text).unwrap(), new::State::Shipped);
    assert_eq!(serde_json::to_string(&Numbered::Other(9)).unwrap(), "9");
}

#[test]
fn a_name_without_a_number_stays_unknown_in_protobuf() {
    let protobuf = codec("protobuf");
    let named = Returned(open::Named::Other("SHIPPED".to_owned()));
    let read: Returned<open::State> = convert(&*protobuf, &named);
    assert_eq!(read.0, open::State::Other);
    let message = refused::<Returned<strict::State>>(&*protobuf, &named);
    assert!(message.contains("value: State has no variant `-2147483648` here"), "{message}");
}

#[test]
fn an_unknown_error_arrives_as_the_status_it_came_in() {
    use new::{Refusal, State};
    for codec in codecs() {
        for (refusal, text) in [
            (Refusal::OnFire, "on fire"),
            (Refusal::Late { by: State::Shipped }, "late"),
            (Refusal::Late { by: State::Open }, ""),
            (Refusal::Closed, ""),
        ] {
            let status = refusal.into_status();
            let details = status.details().unwrap();
            let bytes = details.body.encoded(&*codec).unwrap();
            let body = rpc_core::Body::from_bytes(codec.clone(), bytes);
            let arrived = Status::aborted(status.message().to_owned())
                .with_details(rpc_core::status::Details { body, ..details.clone() });
            match strict::Refusal::from_status(arrived) {
                strict::Refusal::Status(status) => assert_eq!(status.message(), text, "{codec:?}"),
                known => assert_eq!(text, "", "{codec:?}: {known:?}"),
            }
        }
    }
}
