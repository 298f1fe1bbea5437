//! What every codec owes: a message that was written reads as the same value.

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rpc_core::message::Returned;
use rpc_macros::arguments;

use support::{
    Choice, Everything, Leaf, Outcome, codec, codecs, convert, decode, encode, everything,
};

#[test]
fn the_built_in_codecs_have_names_subtypes_and_ids_of_their_own() {
    let of = |name| {
        let codec = codec(name);
        (codec.content_subtype(), codec.dubbo_id())
    };
    assert_eq!(of("protobuf"), ("proto", 13));
    assert_eq!(of("msgpack"), ("msgpack", 14));
    assert_eq!(of("json"), ("json", 15));
}

#[test]
fn a_message_of_every_type_survives_every_codec() {
    for codec in codecs() {
        for message in [everything(), Everything::default()] {
            assert_eq!(convert::<Everything>(&*codec, &message), message, "{codec:?}");
        }
    }
}

#[test]
fn encoding_appends_to_what_is_there() {
    for codec in codecs() {
        let mut buf = bytes::BytesMut::from(&b"head"[..]);
        codec.encode(&everything(), &mut buf).unwrap();
        assert_eq!(&buf[..4], b"head");
        let read: Everything = decode(&*codec, buf.split_off(4).freeze()).unwrap();
        assert_eq!(read, everything());
    }
}

#[test]
fn floats_that_are_no_numbers_survive_every_codec() {
    for codec in codecs() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324] {
            let read: Returned<f64> = convert(&*codec, &Returned(value));
            let same = read.0.to_bits() == value.to_bits() || value.is_nan() && read.0.is_nan();
            assert!(same, "{value} became {} in {codec:?}", read.0);
        }
        let read: Returned<Vec<f32>> =
            convert(&*codec, &Returned(vec![f32::NAN, f32::MIN_POSITIVE]));
        assert!(read.0[0].is_nan() && read.0[1] == f32::MIN_POSITIVE);
    }
}

#[test]
fn results_that_are_no_messages_are_wrapped_and_messages_are_not() {
    let leaf = Leaf { id: 5, display_name: "x".into() };
    for codec in codecs() {
        assert_eq!(convert::<Returned<Leaf>>(&*codec, &leaf).0, leaf);
        assert_eq!(convert::<Leaf>(&*codec, &Returned(leaf.clone())), leaf);
        let list = Returned(vec![leaf.clone()]);
        assert_eq!(convert::<Returned<Vec<Leaf>>>(&*codec, &list), list);
        for option in [Returned(Some(0u32)), Returned(None)] {
            assert_eq!(convert::<Returned<Option<u32>>>(&*codec, &option), option);
        }
        assert_eq!(convert::<Returned<()>>(&*codec, &Returned(())).0, ());
        let map = Returned(BTreeMap::from([(3u8, Outcome::AllGood)]));
        assert_eq!(convert::<Returned<BTreeMap<u8, Outcome>>>(&*codec, &map), map);
        let choice = Returned(Choice::Number(0));
        assert_eq!(convert::<Returned<Choice>>(&*codec, &choice), choice);
    }
    assert_eq!(encode(&*codec("json"), &Returned(5u64)), r#"{"value":"5"}"#);
    assert_eq!(encode(&*codec("json"), &Returned(())), "{}");
    assert_eq!(encode(&*codec("protobuf"), &Returned(())), "");
}

#[arguments(crate = rpc_core)]
struct Many {
    user_id: u64,
    names: Vec<String>,
    choice: Choice,
    data: Bytes,
}

#[test]
fn argument_lists_survive_every_codec() {
    for codec in codecs() {
        let list = Many {
            user_id: 1 << 60,
            names: vec!["a".into()],
            choice: Choice::Nothing,
            data: Bytes::from_static(b"\xff"),
        };
        let read: Many = convert(&*codec, &list);
        assert_eq!(read.user_id, list.user_id);
        assert_eq!(read.names, list.names);
        assert_eq!(read.choice, list.choice);
        assert_eq!(read.data, list.data);
    }
}

fn leaves() -> impl Strategy<Value = Leaf> {
    (any::<u64>(), ".*").prop_map(|(id, display_name)| Leaf { id, display_name })
}

fn choices() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Nothing),
        any::<i64>().prop_map(Choice::Number),
        leaves().prop_map(Choice::Inner),
        (
            -1e300..1e300f64,
            proptest::option::of(-1.0..1.0f64),
            proptest::collection::vec(".*", 0..3)
        )
            .prop_map(|(x, y, labels)| Choice::Point { x, y, labels }),
    ]
}

fn messages() -> impl Strategy<Value = Everything> {
    let numbers = (any::<(bool, i8, i16, i32, i64)>(), any::<(u8, u16, u32, u64)>());
    let lists = (
        proptest::collection::vec(any::<u8>(), 0..50),
        proptest::collection::vec(any::<i64>(), 0..5),
        proptest::collection::vec(choices(), 0..4),
        proptest::collection::btree_map(".*", leaves(), 0..4),
    );
    (numbers, lists, choices(), ".*", -1e30..1e30f32).prop_map(
        |((a, b), (raw, big_numbers, choices, by_name), choice, text, single)| Everything {
            flag: a.0,
            tiny: a.1,
            small: a.2,
            medium: a.3,
            large: a.4,
            tiny_unsigned: b.0,
            small_unsigned: b.1,
            medium_unsigned: b.2,
            large_unsigned: b.3,
            raw,
            big_numbers,
            choices,
            by_name,
            choice,
            text,
            single,
            ..Everything::default()
        },
    )
}

#[test]
fn any_message_survives_every_codec() {
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, seed);
    let codecs = codecs();
    let outcome = runner.run(&messages(), |message| {
        for codec in &codecs {
            prop_assert_eq!(&convert::<Everything>(&**codec, &message), &message);
        }
        Ok(())
    });
    outcome.unwrap();
}
