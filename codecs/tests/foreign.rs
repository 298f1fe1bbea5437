//! Types of other crates, each by a feature: UUIDs, chrono's times, any JSON value.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use rpc_core::codec::{Limits, MAX_DEPTH};
use rpc_core::message::{Returned, read_with_serde, write_with_serde};
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use support::types::{Foreign, foreign};
use support::{codec, codecs, convert, decode, encode};

const ID: Uuid = uuid!("67e55044-10b1-426f-9247-bb680e5fe0c8");

#[test]
fn types_of_other_crates_survive_every_codec() {
    for codec in codecs() {
        for message in [foreign(), Foreign::default()] {
            assert_eq!(convert::<Foreign>(&*codec, &message), message, "{codec:?}");
        }
    }
    let text = write_with_serde(&foreign(), serde_json::value::Serializer).unwrap();
    let mut read = Foreign::default();
    read_with_serde(text, &mut read, &mut Limits::default()).unwrap();
    assert_eq!(read, foreign());
}

#[test]
fn a_uuid_is_its_text_and_may_be_a_key() {
    for codec in codecs() {
        let text = Returned(ID.to_string());
        assert_eq!(convert::<Returned<Uuid>>(&*codec, &text).0, ID);
        assert_eq!(encode(&*codec, &Returned(ID)), encode(&*codec, &text));
        assert_eq!(convert::<Returned<Uuid>>(&*codec, &Returned(String::new())).0, Uuid::nil());
        let map = Returned(BTreeMap::from([(ID, 1_u8)]));
        assert_eq!(convert::<Returned<BTreeMap<Uuid, u8>>>(&*codec, &map), map);
        let bytes = encode(&*codec, &Returned("67e55044".to_owned()));
        let error = decode::<Returned<Uuid>>(&*codec, bytes).unwrap_err().to_string();
        assert!(error.contains("value: a UUID such as"), "{error}");
    }
}

#[test]
fn times_of_chrono_are_those_of_std_and_spans_may_be_negative() {
    let (span, minus) = (Duration::from_millis(1_500), TimeDelta::milliseconds(-1_500));
    for codec in codecs() {
        let read: Returned<TimeDelta> = convert(&*codec, &Returned(span));
        assert_eq!(read.0, TimeDelta::milliseconds(1_500));
        let point: Returned<DateTime<Utc>> = convert(&*codec, &Returned(SystemTime::UNIX_EPOCH));
        assert_eq!(point.0, DateTime::UNIX_EPOCH);
        assert_eq!(convert::<Returned<TimeDelta>>(&*codec, &Returned(minus)).0, minus);
        let bytes = encode(&*codec, &Returned(minus));
        let error = decode::<Returned<Duration>>(&*codec, bytes).unwrap_err().to_string();
        assert!(error.contains("value: a negative duration does not fit"), "{error}");
        let mut buf = bytes::BytesMut::new();
        let error = codec.encode(&Returned(TimeDelta::MAX), &mut buf).unwrap_err().to_string();
        assert!(error.contains("is out of protobuf's range"), "{error}");
    }
    assert_eq!(encode(&*codec("json"), &Returned(minus)), r#"{"value":"-1.500s"}"#);
}

#[test]
fn a_json_value_is_itself_and_its_whole_numbers_are_exact_or_refused() {
    let json = codec("json");
    let value = json!({ "a": [1, -2, 0.5, 5_000_000_000_u64, "x", true, null], "b": {} });
    let read: Returned<Value> =
        decode(&*json, json!({ "value": value }).to_string().into()).unwrap();
    assert_eq!(read.0, value);
    for codec in codecs() {
        for value in [json!(1_u64 << 53), json!(-(1_i64 << 53)), json!(1e300), json!(null)] {
            assert_eq!(convert::<Returned<Value>>(&*codec, &Returned(value.clone())).0, value);
        }
        // A float that is whole comes back as the integer that it is.
        assert_eq!(convert::<Returned<Value>>(&*codec, &Returned(json!(3.0))).0, json!(3));
        for value in [json!(u64::MAX), json!([{ "a": (1_i64 << 53) + 1 }]), json!(i64::MIN)] {
            let mut buf = bytes::BytesMut::new();
            let error = codec.encode(&Returned(value), &mut buf).unwrap_err().to_string();
            assert!(error.contains("is not exact as a number of a JSON value"), "{error}");
        }
    }
    let twice = decode::<Returned<Value>>(&*json, r#"{"value":{"a":1,"a":2}}"#.into());
    let error = twice.unwrap_err().to_string();
    assert!(error.contains("value: `a` occurs twice"), "{error}");
}

#[test]
fn a_json_value_nests_as_deep_in_every_codec_and_pays_for_its_memory() {
    let nested = |depth: usize| {
        (0..depth).fold(Value::Null, |inner, level| match level % 2 {
            0 => json!([inner]),
            _ => json!({ "a": inner }),
        })
    };
    // The result is a message, its value one, and each list or object two.
    let most = MAX_DEPTH / 2 - 1;
    for codec in codecs() {
        let value = Returned(nested(most));
        assert_eq!(convert::<Returned<Value>>(&*codec, &value), value);
        let mut buf = bytes::BytesMut::new();
        let error = codec.encode(&Returned(nested(most + 1)), &mut buf).unwrap_err().to_string();
        assert!(error.contains("nested deeper"), "{error}");
        let bytes = encode(&*codec, &Returned(Value::Array(vec![Value::Null; 100_000])));
        let (mut read, limits) = (Returned(Value::Null), &mut Limits::new(1 << 20));
        let error = codec.decode(bytes, &mut read, limits).unwrap_err().to_string();
        assert!(error.contains("more memory than the limit"), "{error}");
    }
    let deep = format!(r#"{{"value":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let error = decode::<Returned<Value>>(&*codec("json"), deep.into()).unwrap_err().to_string();
    assert!(error.contains("nested deeper"), "{error}");
}
