//! Bytes from a peer that is broken or means harm: an error, never a panic or a large allocation.

mod support;

use bytes::Bytes;
use rpc_core::message::Returned;

use support::{Choice, Everything, codec, codecs, decode, encode, everything};

#[test]
fn a_message_cut_at_any_byte_is_an_error_or_a_shorter_message() {
    for codec in codecs() {
        let bytes = encode(&*codec, &everything());
        for end in 0..bytes.len() {
            let read = decode::<Everything>(&*codec, bytes.slice(..end));
            // Protobuf has no end marker: cut between two fields it is a message without the rest.
            let may_end = codec.name() == "protobuf";
            assert!(may_end || read.is_err(), "{codec:?} accepts the first {end} bytes");
        }
    }
}

#[test]
fn a_message_with_any_byte_changed_never_panics() {
    for codec in codecs() {
        let bytes = encode(&*codec, &everything());
        for at in 0..bytes.len() {
            for flip in [0x01, 0x07, 0x80, 0xff] {
                let mut broken = bytes.to_vec();
                broken[at] ^= flip;
                let _ = decode::<Everything>(&*codec, broken.into());
            }
        }
    }
}

#[test]
fn lengths_that_are_not_there_are_an_error() {
    let protobuf: [&[u8]; 4] = [
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\xfa\x7f\xff\xff\xff\xff\x0f",
        b"\x0a\x05\x08",
    ];
    for bytes in protobuf {
        decode::<Returned<String>>(&*codec("protobuf"), Bytes::from_static(bytes)).unwrap_err();
        decode::<Returned<Vec<f64>>>(&*codec("protobuf"), Bytes::from_static(bytes)).unwrap_err();
    }
    let value = |rest: &[u8]| Bytes::from([b"\x81\xa5value".as_slice(), rest].concat());
    for length in [
        &b"\xdd\xff\xff\xff\xff"[..],
        b"\xdb\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
    ] {
        let msgpack = codec("msgpack");
        decode::<Returned<Vec<u64>>>(&*msgpack, value(length)).unwrap_err();
        decode::<Returned<String>>(&*msgpack, value(length)).unwrap_err();
        decode::<Returned<Vec<u8>>>(&*msgpack, value(length)).unwrap_err();
        decode::<Returned<std::collections::HashMap<String, u8>>>(&*msgpack, value(length))
            .unwrap_err();
        decode::<Returned<()>>(&*msgpack, value(length)).unwrap_err();
    }
}

#[test]
fn numbers_that_do_not_fit_are_an_error_that_names_the_type() {
    let over = |codec: &dyn rpc_core::Codec| {
        let bytes = encode(codec, &Returned(300u32));
        decode::<Returned<u8>>(codec, bytes).unwrap_err().to_string()
    };
    for codec in codecs() {
        let error = over(&*codec);
        assert!(error.contains("300") && error.contains("u8"), "{error}");
        let bytes = encode(&*codec, &Returned(i32::from(i16::MIN) - 1));
        decode::<Returned<i16>>(&*codec, bytes).unwrap_err();
    }
    for text in [
        r#"{"value":1.5}"#,
        r#"{"value":"x"}"#,
        r#"{"value":true}"#,
        r#"{"value":18446744073709551616}"#,
        r#"{"value":[1]}"#,
    ] {
        decode::<Returned<u64>>(&*codec("json"), text.into()).unwrap_err();
    }
    for text in [r#"{"value":1e39}"#, r#"{"value":"1e39"}"#, r#"{"value":"nan"}"#] {
        decode::<Returned<f32>>(&*codec("json"), text.into()).unwrap_err();
    }
}

#[test]
fn base64_is_read_in_both_alphabets_and_nothing_else() {
    for text in ["+/8=", "+/8", "-_8=", "-_8"] {
        let text = format!(r#"{{"value":"{text}"}}"#);
        let read: Returned<Vec<u8>> = decode(&*codec("json"), text.into()).unwrap();
        assert_eq!(read.0, [0xfb, 0xff]);
    }
    for text in [r#"{"value":"*"}"#, r#"{"value":"A"}"#, r#"{"value":5}"#] {
        decode::<Returned<Bytes>>(&*codec("json"), text.into()).unwrap_err();
    }
}

#[test]
fn what_follows_a_json_message_is_an_error() {
    decode::<Returned<u8>>(&*codec("json"), r#"{"value":5} x"#.into()).unwrap_err();
    decode::<Returned<u8>>(&*codec("json"), r#"{"value":5} "#.into()).unwrap();
    decode::<Returned<Choice>>(&*codec("json"), "[]".into()).unwrap_err();
}
