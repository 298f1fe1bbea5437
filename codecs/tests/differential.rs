//! Stock Python protobuf and msgpack beside our codecs, on messages at random: each reads what the
//! other writes, and of damaged bytes both take the same ones for messages.
//!
//! `DUBHE_CASES` says how many messages; `cargo xtask differential` runs many, with the Python that
//! it makes. Without a Python that has the packages it says so and passes, except where `CI` is set.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use bytes::Bytes;
use proptest::test_runner::{RngAlgorithm, TestRng};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rpc_core::descriptor::{MethodDescriptor, ServiceDescriptor};
use rpc_core::message::{Describe, Returned};
use rpc_macros::{arguments, message};

use support::{Choice, Everything, Leaf, Outcome, codec, decode, encode, python};

/// What protobuf and Rust have in common, so that every body is valid for both or for neither: no
/// integers below 32 bits, no enums, whose unknown numbers are an error here, and no maps, of which
/// Python writes an entry with unknown fields at another place.
#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
struct Common {
    id: u64,
    delta: i64,
    count: u32,
    step: i32,
    flag: bool,
    single: f32,
    double: f64,
    text: String,
    raw: Vec<u8>,
    maybe: Option<String>,
    maybe_number: Option<u64>,
    numbers: Vec<u64>,
    steps: Vec<i32>,
    doubles: Vec<f64>,
    flags: Vec<bool>,
    texts: Vec<String>,
    raws: Vec<Bytes>,
    children: Vec<Self>,
    itself: Option<Box<Self>>,
}

#[arguments(crate = rpc_core)]
struct DifferentialEchoArguments {
    message: Everything,
}

#[arguments(crate = rpc_core)]
struct DifferentialCommonArguments {
    message: Common,
}

fn service() -> ServiceDescriptor {
    static METHODS: [MethodDescriptor; 2] = [
        MethodDescriptor::new(
            "echo",
            DifferentialEchoArguments::message_type,
            Returned::<Everything>::message_type,
        ),
        MethodDescriptor::new(
            "common",
            DifferentialCommonArguments::message_type,
            Returned::<Common>::message_type,
        ),
    ];
    ServiceDescriptor::new("dubhe.test.Differential", &METHODS)
}

/// Values at random, the awkward ones more often than their share.
struct Dice(TestRng);

impl Dice {
    fn one_in(&mut self, most: u32) -> bool {
        self.0.random_range(0..most) == 0
    }

    /// 64 bits, of which any number may be used.
    fn bits(&mut self) -> u64 {
        self.0.next_u64() >> self.0.random_range(0..64_u32)
    }

    fn signed(&mut self) -> i64 {
        let bits = self.bits() as i64;
        if self.one_in(2) { bits.wrapping_neg() } else { bits }
    }

    fn double(&mut self) -> f64 {
        match self.0.random_range(0..6) {
            0 => *[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 5e-324, f64::MAX]
                .choose(&mut self.0)
                .unwrap(),
            1 => self.signed() as f64,
            _ => {
                let any = f64::from_bits(self.0.next_u64());
                if any.is_nan() { 1.5 } else { any }
            }
        }
    }

    fn single(&mut self) -> f32 {
        let any = f32::from_bits(self.0.next_u64() as u32);
        if any.is_nan() { 0.1 } else { any }
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 14] = [
            'a', 'Z', '0', ' ', '"', '\\', '/', '\n', '\u{0}', '\u{7f}', 'é', '漢', '🦀',
            '\u{2028}',
        ];
        let length = if self.one_in(20) { 300 } else { self.0.random_range(0..8) };
        (0..length).map(|_| *LETTERS.choose(&mut self.0).unwrap()).collect()
    }

    fn raw(&mut self) -> Vec<u8> {
        let length = if self.one_in(20) { 300 } else { self.0.random_range(0..8) };
        let mut raw = vec![0; length];
        self.0.fill_bytes(&mut raw);
        raw
    }

    fn several<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = match self.0.random_range(0..12) {
            0 => 40,
            few => few / 3,
        };
        (0..length).map(|_| one(self)).collect()
    }

    fn maybe<T>(&mut self, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(2).then(|| one(self))
    }

    fn leaf(&mut self) -> Leaf {
        Leaf { id: self.bits(), display_name: self.text() }
    }

    fn outcome(&mut self) -> Outcome {
        *[Outcome::Unknown, Outcome::AllGood, Outcome::WentWrong].choose(&mut self.0).unwrap()
    }

    fn choice(&mut self) -> Choice {
        match self.0.random_range(0..5) {
            0 => Choice::Nothing,
            1 => Choice::Number(self.signed()),
            2 => Choice::Text(self.text()),
            3 => Choice::Inner(self.leaf()),
            _ => Choice::Point {
                x: self.double(),
                y: self.maybe(Self::double),
                labels: self.several(Self::text),
            },
        }
    }

    fn everything(&mut self, depth: usize) -> Everything {
        let inner = depth != 0 && self.one_in(2);
        Everything {
            flag: self.one_in(2),
            tiny: self.signed() as i8,
            small: self.signed() as i16,
            medium: self.signed() as i32,
            large: self.signed(),
            tiny_unsigned: self.bits() as u8,
            small_unsigned: self.bits() as u16,
            medium_unsigned: self.bits() as u32,
            large_unsigned: self.bits(),
            single: self.single(),
            double: self.double(),
            text: self.text(),
            raw: self.raw(),
            shared_raw: self.raw().into(),
            nothing: (),
            leaf: self.leaf(),
            outcome: self.outcome(),
            choice: self.choice(),
            maybe_number: self.maybe(Self::bits),
            maybe_tiny: self.maybe(|dice| dice.bits() as u8),
            maybe_text: self.maybe(Self::text),
            maybe_leaf: self.maybe(Self::leaf),
            maybe_choice: self.maybe(Self::choice),
            numbers: self.several(|dice| dice.signed() as i32),
            big_numbers: self.several(Self::signed),
            doubles: self.several(Self::double),
            flags: self.several(|dice| dice.one_in(2)),
            texts: self.several(Self::text),
            raws: self.several(Self::raw),
            leaves: self.several(Self::leaf),
            outcomes: self.several(Self::outcome),
            choices: self.several(Self::choice),
            by_name: self.several(|dice| (dice.text(), dice.leaf())).into_iter().collect(),
            by_number: self.several(|dice| (dice.signed(), dice.single())).into_iter().collect(),
            by_flag: self.several(|dice| (dice.one_in(2), dice.outcome())).into_iter().collect(),
            hashed: self
                .several(|dice| (dice.bits() as u32, dice.text()))
                .into_iter()
                .collect::<HashMap<_, _>>(),
            itself: inner.then(|| Box::new(self.everything(depth - 1))),
            r#type: self.bits() as u32,
        }
    }

    fn common(&mut self, depth: usize) -> Common {
        let is_inner = depth != 0 && self.one_in(2);
        Common {
            id: self.bits(),
            delta: self.signed(),
            count: self.bits() as u32,
            step: self.signed() as i32,
            flag: self.one_in(2),
            single: self.single(),
            double: self.double(),
            text: self.text(),
            raw: self.raw(),
            maybe: self.maybe(Self::text),
            maybe_number: self.maybe(Self::bits),
            numbers: self.several(Self::bits),
            steps: self.several(|dice| dice.signed() as i32),
            doubles: self.several(Self::double),
            flags: self.several(|dice| dice.one_in(2)),
            texts: self.several(Self::text),
            raws: self.several(|dice| dice.raw().into()),
            children: if is_inner { vec![self.common(depth - 1)] } else { Vec::new() },
            itself: is_inner.then(|| Box::new(self.common(depth - 1))),
        }
    }

    /// A body that was right before: a few bytes of it are others, missing or doubled.
    fn damaged(&mut self, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        for _ in 0..self.0.random_range(1..4) {
            let at = self.0.random_range(0..body.len().max(1));
            match self.0.random_range(0..5) {
                _ if body.is_empty() => {}
                0 => body.truncate(at),
                1 => body[at] ^= 1 << self.0.random_range(0..8),
                2 => body[at] = self.0.next_u32() as u8,
                3 => _ = body.remove(at),
                _ => {
                    let end = (at + self.0.random_range(1..20)).min(body.len());
                    let part = body[at..end].to_vec();
                    let place = self.0.random_range(0..=body.len());
                    body.splice(place..place, part);
                }
            }
        }
        body
    }
}

/// Bodies in one file, each behind its length.
fn put(path: &Path, bodies: &[Bytes]) {
    let mut file = Vec::new();
    for body in bodies {
        file.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
        file.extend_from_slice(body);
    }
    fs::write(path, file).unwrap();
}

fn take(path: &Path) -> Vec<Bytes> {
    let (mut file, mut bodies) = (Bytes::from(fs::read(path).unwrap()), Vec::new());
    while !file.is_empty() {
        let length = file.split_to(4);
        let length = u32::from_le_bytes(length[..].try_into().unwrap());
        bodies.push(file.split_to(length as usize));
    }
    bodies
}

fn cases() -> usize {
    env::var("DUBHE_CASES").map_or(150, |cases| cases.parse().unwrap())
}

#[test]
fn stock_implementations_read_ours_write_ours_and_take_the_same_bytes() {
    let Some(python) = python() else { return };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("differential");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("service.proto"), service().to_proto()).unwrap();
    let seed = env::var("DUBHE_SEED").map_or(7, |seed| seed.parse().unwrap());
    let mut dice = Dice(TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));

    let messages: Vec<Everything> = (0..cases()).map(|_| dice.everything(2)).collect();
    for format in ["protobuf", "json", "msgpack"] {
        let codec = codec(format);
        let bodies: Vec<Bytes> = messages.iter().map(|message| encode(&*codec, message)).collect();
        put(&folder.join(format), &bodies);
    }
    let protobuf = codec("protobuf");
    let damaged: Vec<Bytes> = (0..10 * cases())
        .map(|_| {
            let depth = usize::from(dice.one_in(4));
            let body = encode(&*protobuf, &dice.common(depth));
            dice.damaged(&body).into()
        })
        .collect();
    put(&folder.join("damaged"), &damaged);

    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/differential.py");
    let output = Command::new(python).arg(script).arg(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seed {seed}: {said}");

    for format in ["protobuf", "json", "msgpack"] {
        let (codec, bodies) = (codec(format), take(&folder.join(format!("{format}.python"))));
        assert_eq!(bodies.len(), messages.len());
        for (number, (body, message)) in bodies.into_iter().zip(&messages).enumerate() {
            let read: Everything = decode(&*codec, body.clone()).unwrap_or_else(|error| {
                panic!("{format} {number}, seed {seed}: {error}: {body:?}")
            });
            assert_eq!(&read, message, "{format} {number}, seed {seed}");
        }
    }
    println!("{} messages in three forms", messages.len());
    compare_damaged(&folder, &damaged, seed);
}

/// Holds what was read of damaged bodies against what Python made of each, or nothing where it took
/// the bytes for none.
fn compare_damaged(folder: &Path, damaged: &[Bytes], seed: u8) {
    let protobuf = codec("protobuf");
    let (mut both, mut neither, mut stricter) = (0, 0, 0);
    for (body, python) in damaged.iter().zip(take(&folder.join("damaged.python"))) {
        let ours = decode::<Common>(&*protobuf, body.clone());
        let other = match (ours, python.split_first()) {
            (Ok(ours), Some((1, again))) => {
                both += 1;
                let theirs: Common = decode(&*protobuf, Bytes::copy_from_slice(again)).unwrap();
                difference(&ours, &theirs)
            }
            (Ok(_), _) => Some("taken here and refused there".to_owned()),
            (Err(_), Some((0, _))) => {
                neither += 1;
                None
            }
            (Err(error), _) if is_stricter(&error.to_string()) => {
                stricter += 1;
                None
            }
            (Err(error), _) => Some(format!("{error} here, but taken there")),
        };
        if let Some(other) = other {
            let file = folder.join("other");
            fs::write(&file, body).unwrap();
            panic!("seed {seed}: {other}; the bytes are in {}", file.display());
        }
    }
    println!("damaged bodies: {both} taken, {neither} refused, {stricter} refused here alone");
    assert!(both > damaged.len() / 10 && neither > damaged.len() / 10, "{both} {neither}");
}

/// Whether we are stricter than stock protobuf on purpose: that takes a field of another wire type for
/// one that it does not know, and cuts a varint of more than 64 bits.
fn is_stricter(error: &str) -> bool {
    ["the peers have different versions of", "invalid varint"]
        .iter()
        .any(|text| error.contains(text))
}

/// The first line in which two messages differ, as text: a NaN is not equal to itself.
fn difference(ours: &Common, theirs: &Common) -> Option<String> {
    let (ours, theirs) = (format!("{ours:#?}"), format!("{theirs:#?}"));
    let mut lines = ours.lines().zip(theirs.lines());
    let (ours, theirs) = lines.find(|(ours, theirs)| ours != theirs)?;
    Some(format!("{ours} here, {theirs} there"))
}
