//! `Duration` and `SystemTime`: protobuf's own types, texts in JSON and msgpack, and their range.

mod support;

use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use rpc_core::message::{Message, Returned, read_with_serde, write_with_serde};

use support::types::{Event, Times, after, before, times};
use support::{codec, codecs, convert, decode, encode};

#[test]
fn times_survive_every_codec() {
    for codec in codecs() {
        for message in [times(), Times::default()] {
            assert_eq!(convert::<Times>(&*codec, &message), message, "{codec:?}");
        }
        let read: Returned<Duration> = convert(&*codec, &Returned(Duration::from_nanos(7)));
        assert_eq!(read.0, Duration::from_nanos(7));
    }
    assert_eq!(Times::default().since, SystemTime::UNIX_EPOCH);
}

#[test]
fn times_survive_a_codec_of_serdes() {
    let text = write_with_serde(&times(), serde_json::value::Serializer).unwrap();
    let mut read = Times::default();
    read_with_serde(text, &mut read, &mut rpc_core::codec::Limits::default()).unwrap();
    assert_eq!(read, times());
}

#[test]
fn json_writes_times_as_protobufs_mapping_does_and_reads_more() {
    let json = codec("json");
    let event = Event::At(after(951_782_400, 0));
    assert_eq!(encode(&*json, &event), r#"{"at":"2000-02-29T00:00:00Z"}"#);
    assert_eq!(encode(&*json, &Returned(Duration::from_millis(1_500))), r#"{"value":"1.500s"}"#);
    let read = |text: &str| {
        let text = format!(r#"{{"wait":{text}}}"#);
        decode::<Times>(&*json, text.into()).map(|times| times.wait).map_err(|e| e.to_string())
    };
    assert_eq!(read(r#""1.5s""#), Ok(Duration::from_millis(1_500)));
    assert_eq!(read("null"), Ok(Duration::ZERO));
    let of = r#"{"since":"2000-02-29T01:00:00.5+01:00"}"#;
    let times: Times = decode(&*json, of.into()).unwrap();
    assert_eq!(times.since, after(951_782_400, 500_000_000));
}

#[test]
fn what_is_no_time_is_refused_with_its_place() {
    for (text, problem) in [
        (r#"{"wait":"1"}"#, "wait: a duration such as \"1.5s\", with at most nine digits"),
        (r#"{"wait":"0.0000000001s"}"#, "with at most nine digits behind the point, was expected"),
        (r#"{"wait":"-1s"}"#, "wait: a negative duration does not fit in Rust's `Duration`"),
        (r#"{"wait":"315576000001s"}"#, "wait: a duration is out of protobuf's range"),
        (r#"{"wait":1}"#, "wait: "),
        (r#"{"points":["2000-01-01T00:00:00Z","soon"]}"#, "points[1]: a timestamp such as"),
        (r#"{"byName":{"k":"0000-01-01T00:00:00Z"}}"#, "byName[\"k\"]: a timestamp is out of"),
    ] {
        let error = decode::<Times>(&*codec("json"), text.into()).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn protobufs_parts_that_do_not_fit_are_refused() {
    let of = |tag: u8, parts: &[u8]| {
        let mut bytes = BytesMut::from(&[tag << 3 | 2, parts.len() as u8][..]);
        bytes.extend_from_slice(parts);
        let read = decode::<Times>(&*codec("protobuf"), bytes.freeze());
        read.map_err(|error| error.to_string())
    };
    let minus_one = [0xff; 9].into_iter().chain([1]);
    let seconds: Vec<u8> = [0x08].into_iter().chain(minus_one.clone()).collect();
    let nanos: Vec<u8> = [0x10].into_iter().chain(minus_one).collect();
    let nanos_too_many = [0x10, 0x80, 0x94, 0xeb, 0xdc, 0x03];
    for (tag, parts, problem) in [
        (1, &seconds[..], "wait: a negative duration"),
        (1, &nanos, "wait: a negative duration"),
        (1, &nanos_too_many, "wait: a duration is out of protobuf's range"),
        (2, &nanos, "since: a timestamp is out of protobuf's range"),
        (2, &nanos_too_many, "since: a timestamp is out of protobuf's range"),
        (1, &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40], "out of protobuf's"),
        (1, &[0x0a, 0], "wait: "),
    ] {
        let error = of(tag, parts).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
    assert_eq!(of(2, &seconds).unwrap().since, before(1, 0));
    // What another version adds is skipped, and halves that come apart are put together.
    assert_eq!(of(1, &[0x08, 1, 0x18, 5, 0x10, 2]).unwrap().wait, Duration::new(1, 2));
}

#[test]
fn a_time_past_protobufs_range_is_not_written() {
    let wrong = |message: &dyn Message| {
        for codec in codecs() {
            let mut buf = BytesMut::from(&b"head"[..]);
            let error = codec.encode(message, &mut buf).unwrap_err().to_string();
            assert!(error.contains("is out of protobuf's range"), "{codec:?}: {error}");
        }
        assert_eq!(message.proto_len(), 0);
    };
    let (forever, late) = (Duration::MAX, after(253_402_300_800, 0));
    wrong(&Times { wait: Duration::new(315_576_000_000, 1), ..Times::default() });
    wrong(&Times { waits: vec![Duration::ZERO, forever], ..Times::default() });
    wrong(&Times { by_name: [("k".to_owned(), late)].into(), ..Times::default() });
    wrong(&Times { maybe_since: Some(before(62_135_596_801, 0)), ..Times::default() });
    wrong(&Times { event: Event::At(late), ..Times::default() });
    wrong(&Times { event: Event::Lasting { span: forever }, ..Times::default() });
    wrong(&Returned(forever));
    wrong(&Returned(vec![late]));
}
