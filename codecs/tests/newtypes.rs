//! Newtypes, which are what they hold in every form, and enums as keys of maps.

mod support;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use rpc_core::message::{Describe, Returned};
use rpc_macros::message;

use support::types::{Color, Keys, Name, Newtypes, Plain, Root, Same, Sku, Tags, keys, newtypes};
use support::{Leaf, codec, codecs, convert, decode, encode};

#[test]
fn newtypes_are_written_and_read_as_what_they_hold() {
    for codec in codecs() {
        let bytes = encode(&*codec, &newtypes());
        assert_eq!(decode::<Newtypes>(&*codec, bytes.clone()).unwrap(), newtypes(), "{codec:?}");
        let plain: Plain = decode(&*codec, bytes.clone()).unwrap();
        assert_eq!(encode(&*codec, &plain), bytes, "{codec:?}");
        assert_eq!(convert::<Newtypes>(&*codec, &Newtypes::default()), Newtypes::default());
    }
}

#[test]
fn a_newtype_is_a_body_as_what_it_holds_is() {
    let leaf = Leaf { id: 1, display_name: "a".into() };
    for codec in codecs() {
        let root = Returned(Root(leaf.clone()));
        assert_eq!(encode(&*codec, &root), encode(&*codec, &Returned(leaf.clone())));
        assert_eq!(convert::<Returned<Same<Root>>>(&*codec, &leaf).0, Same(Root(leaf.clone())));
        assert_eq!(convert::<Returned<Sku>>(&*codec, &Returned(7_u64)).0, Sku(7));
        let tags = Returned(Tags(vec![Name("x".into())]));
        assert_eq!(encode(&*codec, &tags), encode(&*codec, &Returned(vec!["x".to_owned()])));
    }
    assert_eq!(Returned::<Root>::message_type(), Leaf::message_type());
}

#[test]
fn a_newtype_has_the_type_of_what_it_holds() {
    let shapes = |message: rpc_core::descriptor::MessageType| {
        message.fields.iter().map(|field| (field.shape)()).collect::<Vec<_>>()
    };
    let (own, plain) = (shapes(Newtypes::message_type()), shapes(Plain::message_type()));
    // The last holds numbers that are narrower.
    assert_eq!(own[..own.len() - 1], plain[..own.len() - 1]);
}

#[test]
fn newtypes_have_serdes_form_as_in_codecs() {
    let tags = Tags(vec![Name("a".into())]);
    let text = serde_json::to_string(&tags).unwrap();
    assert_eq!(text, r#"["a"]"#);
    assert_eq!(serde_json::from_str::<Tags>(&text).unwrap(), tags);
    let error = serde_json::from_str::<Sku>("\"x\"").unwrap_err().to_string();
    assert!(error.contains('x'), "{error}");
}

#[test]
fn what_does_not_fit_a_newtype_is_told_with_its_place() {
    for (json, problem) in [
        (r#"{"bySku":{"x":[]}}"#, "bySku: "),
        (r#"{"bySku":{"1":["y"]}}"#, "bySku[\"1\"][0]: "),
        (r#"{"bySku":{"1":[],"1.0":[]}}"#, "bySku: `1` occurs twice"),
        (r#"{"small":[256]}"#, "small[0]: 256 does not fit in u8"),
        (r#"{"tagLists":[["a"],[7]]}"#, "tagLists[1][0]: "),
    ] {
        let error = decode::<Newtypes>(&*codec("json"), json.into()).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn variants_are_keys_by_name_and_by_number_in_protobuf() {
    for codec in codecs() {
        assert_eq!(convert::<Keys>(&*codec, &keys()), keys(), "{codec:?}");
    }
    let json = r#"{"amounts":{"RED":1,"DARK_GREEN":2},"lists":{"DARK_GREEN":["RED"]}}"#;
    assert_eq!(encode(&*codec("json"), &keys()), json);
    // Keys 1 (absent) and 2 of `amounts`: an entry is a message of two fields.
    let amounts = &encode(&*codec("protobuf"), &keys())[..10];
    assert_eq!(amounts, [0x0a, 2, 0x10, 1, 0x0a, 4, 0x08, 5, 0x10, 2]);
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Level {
    Low,
    High,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Open {
    Low,
    #[rpc(other)]
    Number(i32),
}

#[test]
fn keys_of_another_version_are_taken_or_told() {
    type Of<K> = Returned<BTreeMap<K, u32>>;
    let read = |json: &str| decode::<Of<Level>>(&*codec("json"), json.to_owned().into());
    let high = Returned([(Level::High, 3)].into());
    for spelling in ["HIGH", "High", "1"] {
        assert_eq!(read(&format!(r#"{{"value":{{"{spelling}":3}}}}"#)).unwrap(), high);
    }
    for (key, problem) in
        [("MIDDLE", "Level has no variant `MIDDLE`"), ("7", "Level has no variant `7`")]
    {
        let error = read(&format!(r#"{{"value":{{"{key}":3}}}}"#)).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    let twice = read(r#"{"value":{"HIGH":3,"High":4}}"#).unwrap_err().to_string();
    assert!(twice.contains("`HIGH` occurs twice"), "{twice}");
    let bytes = Bytes::from_static(&[0x0a, 4, 0x08, 7, 0x10, 3]);
    let error = decode::<Of<Level>>(&*codec("protobuf"), bytes.clone()).unwrap_err().to_string();
    assert!(error.contains("Level has no variant `7`"), "{error}");
    let seven = Returned([(Open::Number(7), 3)].into());
    assert_eq!(decode::<Of<Open>>(&*codec("protobuf"), bytes).unwrap(), seven);
    for codec in codecs() {
        assert_eq!(convert::<Of<Open>>(&*codec, &seven), seven, "{codec:?}");
    }
    let kept: Returned<HashMap<Color, bool>> =
        Returned([(Color::Other("BLUE".into()), true)].into());
    for name in ["json", "msgpack"] {
        assert_eq!(convert::<Returned<HashMap<Color, bool>>>(&*codec(name), &kept), kept);
    }
}

#[message(crate = rpc_core, own_default)]
#[derive(Debug, PartialEq)]
struct Port {
    port: u16,
    host: String,
}

impl Default for Port {
    fn default() -> Self {
        Self { port: 80, host: "localhost".to_owned() }
    }
}

#[message(crate = rpc_core)]
#[derive(Debug, Default, PartialEq)]
struct Server {
    listen: Port,
    others: Vec<Port>,
}

#[test]
fn a_default_of_ones_own_is_not_what_is_absent() {
    assert_eq!(Server::default().listen.port, 80);
    for codec in codecs() {
        // Protobuf leaves zero out: read as 80 it would be another port.
        let server = Server {
            listen: Port { port: 0, host: String::new() },
            others: vec![Port { port: 0, host: "a".into() }, Port::default()],
        };
        assert_eq!(convert::<Returned<Server>>(&*codec, &server).0, server, "{codec:?}");
        let empty: Returned<Server> = decode(&*codec, encode(&*codec, &Returned(()))).unwrap();
        assert_eq!(empty.0.listen, Port { port: 0, host: String::new() });
    }
    assert_eq!(serde_json::from_str::<Port>("{}").unwrap(), Port { port: 0, host: String::new() });
}
