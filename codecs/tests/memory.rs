//! What reading a body makes of it: no more memory than its limit, however little a value takes on
//! the wire.

mod support;

use std::collections::{BTreeMap, HashMap};

use allocation_counter::measure;
use bytes::{BufMut, Bytes, BytesMut};
use rpc_core::codec::{CodecError, Limits};
use rpc_core::message::{Field, Message, Returned};
use rpc_macros::message;

use support::{codec, codecs};

/// As the orders of a shop are: 300 bytes and more, of which none need be sent.
#[message(crate = rpc_core)]
#[derive(Debug)]
struct Order {
    id: u64,
    customer: String,
    street: String,
    city: String,
    note: Option<String>,
    tags: Vec<String>,
    items: Vec<u64>,
    prices: HashMap<u64, f64>,
    total: f64,
}

/// One that is little itself and holds much.
#[message(crate = rpc_core)]
#[derive(Debug)]
struct Boxed {
    holds: Box<Order>,
}

#[message(crate = rpc_core)]
#[derive(Debug)]
enum Choice {
    Nothing,
    Order(Box<Order>),
    Named { order: Box<Order> },
}

/// A linked list, each of which is on the heap.
#[message(crate = rpc_core)]
#[derive(Debug)]
struct Optional {
    order: Option<Box<Order>>,
}

const LIMIT: usize = 1 << 20;
const MANY: usize = 200_000;

fn read<M: Message + Default>(name: &str, bytes: Bytes) -> Result<M, CodecError> {
    let mut message = M::default();
    let mut limits = Limits::new(LIMIT);
    let read = codec(name).decode(bytes, &mut message, &mut limits);
    assert_eq!(read.is_err(), limits.is_exceeded(), "{read:?}");
    read.map(|()| message)
}

/// Reads what asks for more than the limit, and looks at what it took.
fn is_refused<T: Field>(name: &str, bytes: &Bytes) {
    let mut error = None;
    let taken = measure(|| error = read::<Returned<T>>(name, bytes.clone()).err());
    let error = error.expect("the limit holds").to_string();
    assert!(error.contains("more memory than the limit"), "{error}");
    // A list that grows is copied, and maps are counted by their entries.
    let most = 2 * LIMIT as u64;
    assert!(taken.bytes_max <= most, "{name}: {} bytes for {}", taken.bytes_max, bytes.len());
}

/// A list of `MANY` elements in each codec, of these bytes each.
fn lists(protobuf: &[u8], msgpack: &[u8], json: &str) -> [(&'static str, Bytes); 3] {
    let mut elements = BytesMut::new();
    for _ in 0..MANY {
        elements.put_u8(0x0a);
        elements.put_u8(protobuf.len() as u8);
        elements.put_slice(protobuf);
    }
    let mut packed = BytesMut::from(&b"\x81\xa5value\xdd"[..]);
    packed.put_u32(MANY as u32);
    (0..MANY).for_each(|_| packed.put_slice(msgpack));
    let text = format!(r#"{{"value":[{}]}}"#, vec![json; MANY].join(","));
    [("protobuf", elements.freeze()), ("msgpack", packed.freeze()), ("json", text.into())]
}

#[test]
fn a_list_of_empty_messages_takes_no_more_than_the_limit() {
    for (name, bytes) in lists(b"", b"\x80", "{}") {
        is_refused::<Vec<Order>>(name, &bytes);
        is_refused::<Vec<Boxed>>(name, &bytes);
    }
}

#[test]
fn a_list_of_options_and_enums_takes_no_more_than_the_limit() {
    for (name, bytes) in lists(b"\x0a\0", b"\x81\xa5order\x80", r#"{"order":{}}"#) {
        is_refused::<Vec<Optional>>(name, &bytes);
    }
    for (name, bytes) in lists(b"\x12\0", b"\x81\xa5order\x80", r#"{"order":{}}"#) {
        is_refused::<Vec<Choice>>(name, &bytes);
    }
    for (name, bytes) in lists(b"\x1a\0", b"\x81\xa5named\x80", r#"{"named":{}}"#) {
        is_refused::<Vec<Choice>>(name, &bytes);
    }
}

#[test]
fn a_list_of_numbers_and_of_empty_strings_takes_no_more_than_the_limit() {
    let mut packed = BytesMut::from(&b"\x0a\xc0\x9a\x0c"[..]);
    packed.put_bytes(0, MANY);
    is_refused::<Vec<u64>>("protobuf", &packed.freeze());
    for (name, bytes) in lists(b"", b"\xa0", r#""""#) {
        is_refused::<Vec<String>>(name, &bytes);
        // No text is bytes in msgpack.
        if name != "msgpack" {
            is_refused::<Vec<Bytes>>(name, &bytes);
        }
    }
    let [_, msgpack, json] = lists(b"", b"\0", "0");
    is_refused::<Vec<u64>>("msgpack", &msgpack.1);
    is_refused::<Vec<u64>>("json", &json.1);
}

/// A map of `MANY` empty orders by number.
fn maps() -> [(&'static str, Bytes); 3] {
    let (mut protobuf, mut msgpack) = (BytesMut::new(), BytesMut::from(&b"\x81\xa5value\xdf"[..]));
    msgpack.put_u32(MANY as u32);
    let mut json = Vec::new();
    for key in 0..MANY as u32 {
        protobuf.put_slice(&[0x0a, 4, 0x08]);
        protobuf.put_slice(&[key as u8 | 0x80, (key >> 7) as u8 | 0x80, (key >> 14) as u8]);
        msgpack.put_u8(0xce);
        msgpack.put_u32(key);
        msgpack.put_u8(0x80);
        json.push(format!(r#""{key}":{{}}"#));
    }
    let json = format!(r#"{{"value":{{{}}}}}"#, json.join(","));
    [("protobuf", protobuf.freeze()), ("msgpack", msgpack.freeze()), ("json", json.into())]
}

#[test]
fn a_map_of_empty_messages_takes_no_more_than_the_limit() {
    for (name, bytes) in maps() {
        is_refused::<HashMap<u32, Order>>(name, &bytes);
        is_refused::<BTreeMap<u32, Order>>(name, &bytes);
        is_refused::<BTreeMap<u32, Boxed>>(name, &bytes);
    }
}

#[test]
fn texts_and_copied_bytes_count_and_slices_do_not() {
    for codec in codecs() {
        let mut buf = BytesMut::new();
        codec.encode(&Returned("x".repeat(LIMIT + 1)), &mut buf).unwrap();
        read::<Returned<String>>(codec.name(), buf.freeze()).unwrap_err();
        let mut buf = BytesMut::new();
        codec.encode(&Returned(vec![7_u8; LIMIT + 1]), &mut buf).unwrap();
        let bytes = buf.freeze();
        read::<Returned<Vec<u8>>>(codec.name(), bytes.clone()).unwrap_err();
        let slice = read::<Returned<Bytes>>(codec.name(), bytes);
        // JSON has bytes in base64, which leaves nothing to slice.
        assert_eq!(slice.is_ok(), codec.name() != "json");
    }
}

#[test]
fn what_is_unknown_costs_nothing() {
    for (name, bytes) in lists(&[b'x'; 100], &[b"\xd9\x64".as_slice(), &[b'x'; 100]].concat(), "{}")
    {
        assert!(bytes.len() > LIMIT || name == "json");
        let taken = measure(|| _ = read::<Returned<()>>(name, bytes.clone()).unwrap());
        assert!(taken.bytes_max < 4096, "{name}: {}", taken.bytes_max);
    }
}

#[test]
fn what_fits_is_read_to_the_last_byte_of_the_limit() {
    let fits = LIMIT / size_of::<u64>();
    for codec in codecs() {
        let read = |len: usize| {
            let mut buf = BytesMut::new();
            codec.encode(&Returned(vec![1_u64; len]), &mut buf).unwrap();
            read::<Returned<Vec<u64>>>(codec.name(), buf.freeze())
        };
        assert_eq!(read(fits).unwrap().0.len(), fits, "{codec:?}");
        read(fits + 1).unwrap_err();
    }
}

#[test]
fn a_count_that_is_claimed_makes_no_room() {
    for claim in [&b"\x81\xa5value\xdd\xff\xff\xff\xff"[..], b"\x81\xa5value\xdf\xff\xff\xff\xff"] {
        let bytes = Bytes::from_static(claim);
        let taken = measure(|| {
            let mut message = Returned(Vec::<Order>::new());
            let mut limits = Limits::default();
            codec("msgpack").decode(bytes.clone(), &mut message, &mut limits).unwrap_err();
        });
        assert!(taken.bytes_max < 4096, "{}", taken.bytes_max);
    }
}
