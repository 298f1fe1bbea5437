//! How deep messages nest: as deep in every codec, read and written, known and unknown.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use rpc_core::Codec;
use rpc_core::codec::{CodecError, Limits, MAX_DEPTH};
use rpc_core::message::{Message, Returned, read_with_serde, write_with_serde};
use rpc_macros::message;

use support::{codec, codecs, decode};

#[message(crate = rpc_core)]
#[derive(Debug)]
struct Node {
    next: Option<Box<Self>>,
    children: Vec<Self>,
    named: BTreeMap<String, Self>,
}

#[message(crate = rpc_core)]
#[derive(Debug)]
#[allow(clippy::use_self, reason = "the fields of a variant know no `Self`")]
enum ValueKind {
    Plain,
    Not(Box<Self>),
    Both { left: Box<ValueKind>, right: Option<Box<ValueKind>> },
}

impl Drop for Node {
    /// Without recursion, which is what overflows the stack in the tests of great depths.
    fn drop(&mut self) {
        let mut left: Vec<Self> = Vec::new();
        let take = |node: &mut Self, left: &mut Vec<Self>| {
            left.extend(node.next.take().map(|next| *next));
            left.append(&mut node.children);
            left.extend(std::mem::take(&mut node.named).into_values());
        };
        take(self, &mut left);
        while let Some(mut node) = left.pop() {
            take(&mut node, &mut left);
        }
    }
}

/// Messages in each other, `depth` of them.
type Nest = fn(usize) -> Node;

/// The ways in which a message holds another.
const NESTS: [Nest; 3] = [
    |depth| fold(depth, |node, inner| node.next = Some(Box::new(inner))),
    |depth| fold(depth, |node, inner| node.children = vec![inner]),
    |depth| fold(depth, |node, inner| node.named = [("x".to_owned(), inner)].into()),
];

fn fold(depth: usize, hold: fn(&mut Node, Node)) -> Node {
    (1..depth).fold(Node::default(), |inner, _| {
        let mut node = Node::default();
        hold(&mut node, inner);
        node
    })
}

/// A codec as programs bring their own.
#[derive(Debug)]
struct Own;

impl Codec for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn content_subtype(&self) -> &'static str {
        "own"
    }

    fn dubbo_id(&self) -> u8 {
        20
    }

    fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
        let mut json = serde_json::Serializer::pretty(buf.writer());
        write_with_serde(message, &mut json).map_err(|error| CodecError::new("own", error))
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> Result<(), CodecError> {
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        json.disable_recursion_limit();
        read_with_serde(&mut json, message, limits).map_err(|error| CodecError::new("own", error))
    }
}

fn all() -> impl Iterator<Item = Arc<dyn Codec>> {
    codecs().into_iter().chain([Arc::new(Own) as Arc<dyn Codec>])
}

fn written(codec: &dyn Codec, message: &dyn Message) -> Result<Bytes, String> {
    let mut buf = BytesMut::new();
    codec.encode(message, &mut buf).map_err(|error| error.to_string())?;
    Ok(buf.freeze())
}

fn is_too_deep<T: std::fmt::Debug>(result: Result<T, impl ToString>) {
    let error = result.expect_err("the limit holds").to_string();
    assert!(error.contains("deeper than the limit of 64"), "{error}");
}

#[test]
fn messages_nest_to_the_limit_and_no_deeper_in_every_codec() {
    for (codec, nest) in all().flat_map(|codec| NESTS.map(|nest| (codec.clone(), nest))) {
        for depth in [1, MAX_DEPTH - 1, MAX_DEPTH] {
            let bytes = written(&*codec, &nest(depth)).unwrap();
            decode::<Node>(&*codec, bytes).unwrap();
        }
        for depth in [MAX_DEPTH + 1, 3_000, 100_000] {
            is_too_deep(written(&*codec, &nest(depth)));
        }
    }
}

#[test]
fn what_surrounds_a_message_counts() {
    for codec in all() {
        let list = |depth| Returned(vec![NESTS[0](depth)]);
        let bytes = written(&*codec, &list(MAX_DEPTH - 1)).unwrap();
        decode::<Returned<Vec<Node>>>(&*codec, bytes).unwrap();
        is_too_deep(written(&*codec, &list(MAX_DEPTH)));
        // A message that is the whole result is the body itself.
        let bytes = written(&*codec, &Returned(NESTS[0](MAX_DEPTH))).unwrap();
        decode::<Returned<Node>>(&*codec, bytes).unwrap();
    }
}

/// Enums in each other; a variant without data and one with fields are messages in a message.
fn kinds(depth: usize, hold: fn(ValueKind) -> ValueKind) -> ValueKind {
    (0..depth).fold(ValueKind::Plain, |kind, _| hold(kind))
}

#[test]
fn a_variant_that_can_be_written_can_be_read() {
    let not: fn(ValueKind) -> ValueKind = |kind| ValueKind::Not(Box::new(kind));
    let both: fn(ValueKind) -> ValueKind =
        |kind| ValueKind::Both { left: Box::new(kind), right: None };
    for codec in all() {
        for (hold, most) in [(not, MAX_DEPTH - 2), (both, MAX_DEPTH / 2 - 1)] {
            let bytes = written(&*codec, &kinds(most, hold)).unwrap();
            decode::<ValueKind>(&*codec, bytes).unwrap();
            is_too_deep(written(&*codec, &kinds(most + 1, hold)));
        }
    }
}

/// The bytes of a chain of `depth` messages in protobuf, msgpack and JSON, from the inside out.
fn chains(depth: usize) -> [(&'static str, Bytes); 3] {
    let mut protobuf: Vec<u8> = Vec::new();
    for _ in 1..depth {
        let mut outer = vec![0x0a];
        let mut len = protobuf.len();
        while len >= 0x80 {
            outer.push(len as u8 | 0x80);
            len >>= 7;
        }
        outer.push(len as u8);
        // Written backwards, so that a deep chain is not copied at each level.
        protobuf.extend(outer.into_iter().rev());
    }
    protobuf.reverse();
    let msgpack = [b"\x81\xa4next".repeat(depth - 1), vec![0x80]].concat();
    let json = [r#"{"next":"#.repeat(depth - 1), "{}".to_owned(), "}".repeat(depth - 1)].concat();
    [("protobuf", protobuf.into()), ("msgpack", msgpack.into()), ("json", json.into())]
}

#[test]
fn bytes_that_nest_deeper_are_refused_at_the_limit() {
    for depth in [1, MAX_DEPTH - 1, MAX_DEPTH] {
        for (name, bytes) in chains(depth) {
            decode::<Node>(&*codec(name), bytes).unwrap();
        }
    }
    for depth in [MAX_DEPTH + 1, 3_000, 100_000] {
        for (name, bytes) in chains(depth) {
            is_too_deep(decode::<Node>(&*codec(name), bytes));
        }
    }
    // What came before leaves no trace.
    for (name, bytes) in chains(MAX_DEPTH) {
        decode::<Node>(&*codec(name), bytes).unwrap();
    }
}

/// An unknown field of a message in which `depth` groups, maps or lists are nested.
fn unknown(depth: usize) -> [(&'static str, Bytes); 7] {
    let groups = [vec![0x7b; depth], vec![0x7c; depth]].concat();
    let lists = [b"\x81\xa1x".to_vec(), vec![0x91; depth], vec![0xc0]].concat();
    let maps = [b"\x81\xa1x".to_vec(), b"\x81\xa1x".repeat(depth), vec![0xc0]].concat();
    let mixed = [b"\x81\xa1x".to_vec(), b"\x91\x81\xa1x".repeat(depth), vec![0xc0]].concat();
    let json = |open: &str, close: &str| {
        Bytes::from([r#"{"x":"#, &open.repeat(depth), "1", &close.repeat(depth), "}"].concat())
    };
    [
        ("protobuf", groups.into()),
        ("msgpack", lists.into()),
        ("msgpack", maps.into()),
        ("msgpack", mixed.into()),
        ("json", json("[", "]")),
        ("json", json(r#"{"x":"#, "}")),
        ("json", json(r#"[{"x":"#, "}]")),
    ]
}

#[test]
fn unknown_fields_nest_as_deep_as_known_ones() {
    // The message around them is the first level.
    for depth in [1, MAX_DEPTH - 2, MAX_DEPTH - 1] {
        for (name, bytes) in unknown(depth) {
            decode::<Node>(&*codec(name), bytes).unwrap();
        }
    }
    for depth in [MAX_DEPTH + 1, 3_000, 100_000] {
        for (name, bytes) in unknown(depth) {
            is_too_deep(decode::<Node>(&*codec(name), bytes));
        }
    }
}

#[test]
fn an_unknown_field_without_end_is_an_error() {
    for (name, bytes) in unknown(100_000) {
        is_too_deep(decode::<Node>(&*codec(name), bytes.slice(..bytes.len() / 2)));
    }
}

#[test]
fn lists_of_an_unknown_message_are_no_levels() {
    let depth = MAX_DEPTH - 1;
    let json = [r#"{"x":"#, &r#"{"list":["#.repeat(depth), &"]}".repeat(depth), "}"].concat();
    decode::<Node>(&*codec("json"), json.into()).unwrap();
}

#[test]
fn an_element_too_many_of_an_argument_list_nests_no_deeper() {
    let deep = |depth: usize| format!("[[1],{}{}]", "[".repeat(depth), "]".repeat(depth));
    decode::<Arguments>(&*codec("json"), deep(MAX_DEPTH).into()).unwrap();
    is_too_deep(decode::<Arguments>(&*codec("json"), deep(100_000).into()));
}

/// Reads from positions, as the arguments of a method do.
type Arguments = Returned<Vec<u32>>;

#[test]
fn deep_values_are_refused_by_serde_alone_as_well() {
    serde_json::to_string(&NESTS[0](MAX_DEPTH)).unwrap();
    is_too_deep(serde_json::to_string(&NESTS[0](100_000)));
}

#[test]
fn a_value_that_is_too_deep_has_no_length_and_no_text() {
    let deep = NESTS[0](100_000);
    assert_eq!(deep.proto_len(), 0);
    let mut text = String::new();
    assert!(!deep.argument_text(0, &mut text) && text.is_empty());
    let mut buf = BytesMut::new();
    deep.encode_proto(&mut buf).unwrap_err();
    assert!(buf.is_empty());
}
