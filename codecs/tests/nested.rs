//! Lists, maps, options, arrays and tuples in each other: natural in JSON and msgpack, in messages of
//! their own in protobuf.

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use rpc_core::codec::MAX_DEPTH;
use rpc_core::message::{Describe, Returned, read_with_serde, write_with_serde};
use rpc_macros::message;

use support::types::{NESTED, Nested, OneOfMany, VARIANTS, Variants, nested, variants};
use support::{Leaf, codec, codecs, convert, decode, encode};

#[test]
fn what_is_nested_survives_every_codec() {
    for codec in codecs() {
        for message in [nested(), Nested::default()] {
            assert_eq!(convert::<Nested>(&*codec, &message), message, "{codec:?}");
        }
        let lists = Returned(vec![vec![1_u32], vec![]]);
        assert_eq!(convert::<Returned<Vec<Vec<u32>>>>(&*codec, &lists), lists);
        let pair = Returned(("x".to_owned(), 5_u8));
        assert_eq!(convert::<Returned<(String, u8)>>(&*codec, &pair), pair);
        let none: Returned<BTreeMap<String, Option<Vec<bool>>>> =
            Returned([("a".to_owned(), None), ("b".to_owned(), Some(vec![]))].into());
        assert_eq!(convert::<Returned<BTreeMap<_, _>>>(&*codec, &none), none);
    }
}

#[test]
fn what_is_nested_survives_a_codec_of_serdes() {
    let text = write_with_serde(&nested(), serde_json::value::Serializer).unwrap();
    let mut read = Nested::default();
    read_with_serde(text, &mut read, &mut rpc_core::codec::Limits::default()).unwrap();
    assert_eq!(read, nested());
}

#[test]
fn json_has_lists_in_lists_and_null_for_none() {
    let json = codec("json");
    assert_eq!(String::from_utf8(encode(&*json, &nested()).to_vec()).unwrap(), NESTED);
    assert_eq!(decode::<Nested>(&*json, NESTED.into()).unwrap(), nested());
    // A field that is `null` is absent: an array or tuple of absent values. An element is not.
    let nulls = r#"{"lists":null,"array":null,"id":null,"pair":null,"maybePair":null}"#;
    assert_eq!(decode::<Nested>(&*json, nulls.into()).unwrap(), Nested::default());
    for (wrong, place) in [
        (r#"{"lists":[[1],null]}"#, "lists"),
        (r#"{"deep":[[null]]}"#, "deep[0]"),
        (r#"{"arrays":[["a",null]]}"#, "arrays[0]"),
        (r#"{"pair":[null,1]}"#, "pair"),
        (r#"{"pairs":[[null,null]]}"#, "pairs[0]"),
        (r#"{"mapsByName":{"a":null}}"#, "mapsByName"),
    ] {
        let error = decode::<Nested>(&*json, wrong.into()).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains("null"), "{error}");
    }
}

#[test]
fn a_variant_holds_a_list_or_map_in_every_codec() {
    for codec in codecs() {
        assert_eq!(convert::<Variants>(&*codec, &variants()), variants(), "{codec:?}");
        assert_eq!(convert::<OneOfMany>(&*codec, &OneOfMany::default()), OneOfMany::List(vec![]));
    }
    let json = codec("json");
    assert_eq!(String::from_utf8(encode(&*json, &variants()).to_vec()).unwrap(), VARIANTS);
    assert_eq!(decode::<Variants>(&*json, VARIANTS.into()).unwrap(), variants());
    let text = write_with_serde(&variants(), serde_json::value::Serializer).unwrap();
    let mut read = Variants::default();
    read_with_serde(text, &mut read, &mut rpc_core::codec::Limits::default()).unwrap();
    assert_eq!(read, variants());

    // A message of one field, as a list in a list has it.
    let protobuf = codec("protobuf");
    let bytes = encode(&*protobuf, &OneOfMany::List(vec![1, 300]));
    assert_eq!(&bytes[..], b"\x0a\x05\x0a\x03\x01\xac\x02");
    // The second occurrence is merged into the first, as protobuf has it of messages.
    let twice = [&bytes[..], &bytes[..]].concat();
    let merged = decode::<OneOfMany>(&*protobuf, twice.into()).unwrap();
    assert_eq!(merged, OneOfMany::List(vec![1, 300, 1, 300]));
    let error = decode::<Variants>(&*json, r#"{"of":[{"lists":[[1]]}]}"#.into()).unwrap_err();
    assert!(error.to_string().contains("of[0].lists[0][0]: "), "{error}");
}

#[test]
fn a_wrong_length_is_told_with_its_place() {
    let wrong = |codec_name: &str, bytes: Bytes, problem: &str| {
        let error = decode::<Nested>(&*codec(codec_name), bytes).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    };
    for (json, problem) in [
        (r#"{"array":[1,2]}"#, "array: an array of 3 was expected, not of 2"),
        (r#"{"array":[1,2,3,4]}"#, "array: an array of 3 was expected, not of more"),
        (r#"{"array":[]}"#, "array: an array of 3 was expected, not of 0"),
        (r#"{"arrays":[["a","b"],["c"]]}"#, "arrays[1]: an array of 2 was expected, not of 1"),
        (r#"{"id":"AAA="}"#, "id: 4 bytes were expected, not 2"),
        (r#"{"pair":["x"]}"#, "pair: an array of 2 was expected, not of 1"),
        (r#"{"pair":["x",1,2]}"#, "pair: an array of 2 was expected, not of more"),
        (r#"{"pair":["x","y"]}"#, "pair[1]: "),
        (r#"{"pairs":[[null,[{"id":true}]]]}"#, "pairs[0][1][0].id: "),
        (r#"{"deep":[[[null,5]]]}"#, "deep[0][0][1]: "),
        (r#"{"lists":[[1],["x"]]}"#, "lists[1]: a whole number was expected"),
    ] {
        wrong("json", json.into(), problem);
    }
    // Field 9 holds a message of one packed float, field 11 two bytes.
    let packed = [0x4a, 6, 0x0a, 4, 0, 0, 0, 0];
    wrong(
        "protobuf",
        Bytes::copy_from_slice(&packed),
        "array: an array of 3 was expected, not of 1",
    );
    wrong("protobuf", Bytes::from_static(&[0x5a, 2, 0, 0]), "id: 4 bytes were expected, not 2");
    // Elements of an array may come apart; what is not packed is read, too.
    let one = [0x0d, 0, 0, 0x80, 0x3f];
    let apart: Vec<u8> = [0x4a, 15].into_iter().chain(one.repeat(3)).collect();
    let read: Nested = decode(&*codec("protobuf"), apart.into()).unwrap();
    assert_eq!(read.array, [1.0; 3]);
}

/// Each level of it is a message, in protobuf two.
#[message(crate = rpc_core)]
#[derive(Debug, PartialEq)]
struct Tree {
    rows: Vec<Vec<Self>>,
}

fn tree(depth: usize) -> Tree {
    (1..depth).fold(Tree::default(), |inner, _| Tree { rows: vec![vec![inner]] })
}

#[test]
fn each_level_of_nesting_counts_as_deep_in_every_codec() {
    // The outermost message, and two levels for each inside of it.
    let most = tree(MAX_DEPTH.div_ceil(2));
    for codec in codecs() {
        assert_eq!(convert::<Tree>(&*codec, &most), most);
        let deep = tree(MAX_DEPTH.div_ceil(2) + 1);
        let mut buf = bytes::BytesMut::new();
        let error = codec.encode(&deep, &mut buf).unwrap_err().to_string();
        assert!(error.contains("nested deeper"), "{error}");
    }
    let (open, close) = (r#"{"rows":[["#.repeat(MAX_DEPTH), "]]}".repeat(MAX_DEPTH));
    let error = decode::<Tree>(&*codec("json"), format!("{open}{close}").into()).unwrap_err();
    assert!(error.to_string().contains("nested deeper"), "{error}");
}

#[test]
fn the_messages_of_protobuf_are_named_by_what_they_hold() {
    let nested = Nested::message_type();
    let names: Vec<String> =
        nested.fields.iter().map(|field| format!("{:?}", (field.shape)())).collect();
    for (index, name) in [
        (0, "Optional(Nested(\"Int32List\""),
        (1, "Optional(Nested(\"StringToUint64Map\""),
        (2, "Repeated(Nested(\"OptionalUint64\""),
        (4, "Repeated(Nested(\"OptionalLeafListList\""),
        (5, "Map(String, Nested(\"LeafList\""),
        (8, "Single(Nested(\"FloatArray3\""),
        (12, "Single(Tuple(\"Tuple_String_Uint32\""),
    ] {
        assert!(names[index].starts_with(name), "{}", names[index]);
    }
    assert_eq!(Leaf::message_type().fields.len(), 2);
}
