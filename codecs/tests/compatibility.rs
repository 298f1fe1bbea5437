//! Old peers and new peers understand each other, in every codec and in both directions.

#![allow(
    clippy::unwrap_used,
    clippy::use_self,
    unreachable_pub,
    reason = "the whole file is a test"
)]

mod support;

use bytes::Bytes;
use rpc_core::message::Returned;
use rpc_macros::arguments;

use support::{codec, codecs, convert, decode};

mod old {
    use rpc_macros::message;

    #[message(crate = rpc_core)]
    #[derive(Debug, PartialEq)]
    pub enum State {
        Unknown,
        Open,
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, PartialEq)]
    pub enum Payment {
        Unpaid,
        Cash(u64),
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, PartialEq)]
    pub struct Order {
        pub id: u64,
        pub note: String,
        pub state: State,
        pub states: Vec<State>,
        pub payment: Payment,
        pub count: i32,
    }
}

mod new {
    use rpc_macros::message;

    #[message(crate = rpc_core)]
    #[derive(Debug, PartialEq)]
    pub enum State {
        Unknown,
        Open,
        Shipped,
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, PartialEq)]
    pub enum Payment {
        Unpaid,
        Cash(u64),
        Card { number: String },
    }

    #[message(crate = rpc_core)]
    #[derive(Debug, PartialEq)]
    pub struct Line {
        pub article: String,
    }

    /// `note` is gone; `lines`, `discount` and `itself` are new.
    #[message(crate = rpc_core, reserved(2))]
    #[derive(Debug, PartialEq)]
    pub struct Order {
        pub id: u64,
        pub state: State,
        pub states: Vec<State>,
        pub payment: Payment,
        pub count: i32,
        pub lines: Vec<Line>,
        pub discount: Option<f64>,
        pub itself: Option<Box<Order>>,
    }
}

#[arguments(crate = rpc_core)]
struct OldPlace {
    order: old::Order,
    urgent: bool,
}

#[arguments(crate = rpc_core)]
struct NewPlace {
    order: new::Order,
    urgent: bool,
    lines: Vec<new::Line>,
}

fn old_order() -> old::Order {
    old::Order {
        id: 1 << 60,
        note: "ring twice".into(),
        state: old::State::Open,
        states: vec![old::State::Open],
        payment: old::Payment::Cash(3),
        count: -4,
    }
}

fn new_order() -> new::Order {
    new::Order {
        id: 1 << 60,
        state: new::State::Shipped,
        states: vec![new::State::Shipped, new::State::Open],
        payment: new::Payment::Card { number: "42".into() },
        count: -4,
        lines: vec![new::Line { article: "x".into() }],
        discount: Some(0.5),
        itself: Some(Box::new(new::Order::default())),
    }
}

#[test]
fn a_new_peer_reads_an_old_message_with_defaults_in_the_new_fields() {
    for codec in codecs() {
        let read: new::Order = convert(&*codec, &old_order());
        let expected = new::Order {
            id: 1 << 60,
            state: new::State::Open,
            states: vec![new::State::Open],
            payment: new::Payment::Cash(3),
            count: -4,
            ..new::Order::default()
        };
        assert_eq!(read, expected, "{codec:?}");
    }
}

#[test]
fn an_old_peer_skips_fields_that_it_does_not_know() {
    for codec in codecs() {
        let order = new::Order {
            state: new::State::Open,
            states: vec![new::State::Open],
            payment: new::Payment::Cash(3),
            ..new_order()
        };
        let read: old::Order = convert(&*codec, &order);
        let expected = old::Order {
            id: 1 << 60,
            note: String::new(),
            state: old::State::Open,
            states: vec![old::State::Open],
            payment: old::Payment::Cash(3),
            count: -4,
        };
        assert_eq!(read, expected, "{codec:?}");
    }
}

#[test]
fn argument_lists_grow_at_the_end() {
    for codec in codecs() {
        let call = OldPlace { order: old_order(), urgent: true };
        let read: NewPlace = convert(&*codec, &call);
        assert_eq!((read.order.count, read.urgent, read.lines.len()), (-4, true, 0), "{codec:?}");

        let lines = vec![new::Line::default()];
        let order = new::Order { count: -4, ..new::Order::default() };
        let call = NewPlace { order, urgent: true, lines };
        let read: OldPlace = convert(&*codec, &call);
        assert_eq!((read.order.count, read.urgent), (-4, true), "{codec:?}");
    }
}

#[arguments(crate = rpc_core)]
struct One {
    count: u32,
}

#[arguments(crate = rpc_core)]
struct OneMore {
    count: u32,
    and: Option<String>,
}

#[arguments(crate = rpc_core)]
struct Nothing {}

#[test]
fn a_single_argument_may_get_company() {
    for codec in codecs() {
        assert_eq!(convert::<OneMore>(&*codec, &One { count: 3 }).count, 3);
        let more = OneMore { count: 3, and: Some("x".into()) };
        assert_eq!(convert::<One>(&*codec, &more).count, 3);
        assert_eq!(convert::<One>(&*codec, &Nothing {}).count, 0);
        convert::<Nothing>(&*codec, &more);
    }
}

#[test]
fn a_result_may_appear_where_there_was_none() {
    for codec in codecs() {
        let nothing: Returned<()> = convert(&*codec, &Returned(5u32));
        assert_eq!(nothing, Returned(()));
        assert_eq!(convert::<Returned<u32>>(&*codec, &Returned(())).0, 0);
    }
}

fn json(text: &'static str) -> old::Order {
    decode(&*codec("json"), Bytes::from_static(text.as_bytes())).unwrap()
}

#[test]
fn json_is_read_in_both_spellings_and_kinds() {
    let read =
        json(r#"{"id":"12","count":"-3","state":1,"states":["OPEN","Open",1.0],"extra":[{}]}"#);
    assert_eq!((read.id, read.count, &read.state), (12, -3, &old::State::Open));
    assert_eq!(read.states, [old::State::Open, old::State::Open, old::State::Open]);
    let read =
        json(r#"{"id":12.0,"count":1e2,"note":null,"state":null,"states":null,"payment":null}"#);
    assert_eq!((read.id, read.count), (12, 100));
    assert_eq!(json(r#"{"payment":{"card":null}}"#), old::Order::default());
}

#[test]
fn msgpack_is_read_as_a_map_by_names_or_an_array_by_positions() {
    let bytes = Bytes::from_static(b"\x93\x0c\xa4ring\x01");
    let read: old::Order = decode(&*codec("msgpack"), bytes).unwrap();
    assert_eq!((read.id, read.note.as_str(), read.state), (12, "ring", old::State::Open));
    let bytes = Bytes::from_static(b"\x92\xcc\x09\xc0");
    let read: OneMore = decode(&*codec("msgpack"), bytes).unwrap();
    assert_eq!((read.count, read.and), (9, None));
}

#[test]
fn protobuf_reads_repeated_numbers_packed_or_not() {
    let protobuf = codec("protobuf");
    for bytes in [&b"\x0a\x02\x01\x02"[..], b"\x08\x01\x08\x02", b"\x08\x01\x0a\x01\x02"] {
        let read: Returned<Vec<i32>> = decode(&*protobuf, Bytes::from_static(bytes)).unwrap();
        assert_eq!(read.0, [1, 2]);
    }
}
