//! Messages and shorthands that the tests of the codecs share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "only tests call it")]

pub mod types;

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::process::Command;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rpc_core::Codec;
use rpc_core::codec::{CodecError, Limits};
use rpc_core::message::Message;
use rpc_macros::message;

/// How it went.
#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    Unknown,
    AllGood,
    WentWrong = 7,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    Nothing,
    Number(i64),
    Text(String),
    Point { x: f64, y: Option<f64>, labels: Vec<String> },
    Inner(Leaf),
}

/// A message inside others.
#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    pub id: u64,
    pub display_name: String,
}

/// A message with a field of every type.
#[message(crate = rpc_core, reserved(2, 3))]
#[derive(Debug, Clone, PartialEq)]
pub struct Everything {
    pub flag: bool,
    pub tiny: i8,
    pub small: i16,
    pub medium: i32,
    pub large: i64,
    pub tiny_unsigned: u8,
    pub small_unsigned: u16,
    pub medium_unsigned: u32,
    pub large_unsigned: u64,
    pub single: f32,
    pub double: f64,
    pub text: String,
    pub raw: Vec<u8>,
    pub shared_raw: Bytes,
    pub nothing: (),
    pub leaf: Leaf,
    pub outcome: Outcome,
    pub choice: Choice,
    pub maybe_number: Option<u64>,
    pub maybe_tiny: Option<u8>,
    pub maybe_text: Option<String>,
    pub maybe_leaf: Option<Leaf>,
    pub maybe_choice: Option<Choice>,
    pub numbers: Vec<i32>,
    pub big_numbers: Vec<i64>,
    pub doubles: Vec<f64>,
    pub flags: Vec<bool>,
    pub texts: Vec<String>,
    pub raws: Vec<Vec<u8>>,
    pub leaves: Vec<Leaf>,
    pub outcomes: Vec<Outcome>,
    pub choices: Vec<Choice>,
    pub by_name: BTreeMap<String, Leaf>,
    pub by_number: BTreeMap<i64, f32>,
    pub by_flag: BTreeMap<bool, Outcome>,
    pub hashed: HashMap<u32, String>,
    #[rpc(tag = 100, name = "back")]
    pub itself: Option<Box<Self>>,
    pub r#type: u32,
}

/// A value in every field, none of them the default.
pub fn everything() -> Everything {
    let leaf = Leaf { id: u64::MAX, display_name: "Ada Löw".to_owned() };
    let point = Choice::Point { x: -0.0, y: Some(0.0), labels: vec!["a".into(), String::new()] };
    Everything {
        flag: true,
        tiny: i8::MIN,
        small: -300,
        medium: i32::MIN,
        large: i64::MIN,
        tiny_unsigned: u8::MAX,
        small_unsigned: u16::MAX,
        medium_unsigned: u32::MAX,
        large_unsigned: u64::MAX,
        single: 0.1,
        double: -1.5e300,
        text: "\"\u{0}\u{7f}é漢🦀".to_owned(),
        raw: vec![0, 1, 254, 255],
        shared_raw: Bytes::from_static(&[251, 255]),
        nothing: (),
        leaf: leaf.clone(),
        outcome: Outcome::WentWrong,
        choice: point.clone(),
        maybe_number: Some(0),
        maybe_tiny: Some(9),
        maybe_text: Some(String::new()),
        maybe_leaf: Some(Leaf::default()),
        maybe_choice: Some(Choice::Text(String::new())),
        numbers: vec![0, -1, 127, 128, i32::MAX],
        big_numbers: vec![i64::MAX, 0],
        doubles: vec![f64::INFINITY, f64::NEG_INFINITY, 1.0],
        flags: vec![true, false],
        texts: vec![String::new(), "x".into()],
        raws: vec![vec![], vec![1]],
        leaves: vec![Leaf::default(), leaf.clone()],
        outcomes: vec![Outcome::AllGood, Outcome::Unknown],
        choices: vec![Choice::Nothing, Choice::Number(0), Choice::Inner(leaf.clone()), point],
        by_name: BTreeMap::from([(String::new(), Leaf::default()), ("k".into(), leaf)]),
        by_number: BTreeMap::from([(-1, 0.5), (0, 0.0)]),
        by_flag: BTreeMap::from([(false, Outcome::AllGood), (true, Outcome::Unknown)]),
        hashed: HashMap::from([(7, "seven".into())]),
        itself: Some(Box::new(Everything { text: "inner".into(), ..Everything::default() })),
        r#type: 3,
    }
}

/// Every built-in codec.
pub fn codecs() -> Vec<Arc<dyn Codec>> {
    let builtin = dubhe_codecs::builtin();
    let build = |name| builtin.build(name, rpc_core::Params::new()).unwrap();
    builtin.names().map(build).collect()
}

pub fn codec(name: &str) -> Arc<dyn Codec> {
    dubhe_codecs::builtin().build(name, rpc_core::Params::new()).unwrap()
}

pub fn encode(codec: &dyn Codec, message: &impl Message) -> Bytes {
    let mut buf = BytesMut::new();
    codec.encode(message, &mut buf).unwrap();
    buf.freeze()
}

pub fn decode<M: Message + Default>(codec: &dyn Codec, bytes: Bytes) -> Result<M, CodecError> {
    let mut message = M::default();
    codec.decode(bytes, &mut message, &mut Limits::default())?;
    Ok(message)
}

/// Written as one message and read as another.
pub fn convert<M: Message + Default>(codec: &dyn Codec, message: &impl Message) -> M {
    let bytes = encode(codec, message);
    decode(codec, bytes.clone()).unwrap_or_else(|error| panic!("{error}: {bytes:?}"))
}

/// A Python that has protoc and stock protobuf; without one it says so, and fails where `CI` is set.
pub fn python() -> Option<String> {
    let python = env::var("DUBHE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = ["-c", "import grpc_tools.protoc, google.protobuf.json_format, msgpack"];
    let found = Command::new(&python).args(probe).output();
    let reason = match found {
        Ok(output) if output.status.success() => return Some(python),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let missing = format!(
        "{python} lacks the packages this test needs; run `{python} -m pip install \
         grpcio-tools==1.85.1 protobuf msgpack`, or name another interpreter in DUBHE_PYTHON: {reason}"
    );
    assert!(env::var_os("CI").is_none(), "{missing}");
    eprintln!("SKIPPED: {missing}");
    None
}
