//! Bytes at random, and bytes that were right before: no codec panics, and none takes more memory
//! than its limit.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::BTreeMap;

use allocation_counter::measure;
use bytes::Bytes;
use proptest::test_runner::{RngAlgorithm, TestRng};
use rand::{Rng, RngExt};
use rpc_core::Codec;
use rpc_core::codec::Limits;
use rpc_core::message::{Message, Returned};
use rpc_macros::message;

use support::{Everything, codecs, encode, everything};

/// What a body may take here; what is read from bytes as they come stays far below.
const LIMIT: usize = 64 << 10;

#[message(crate = rpc_core)]
#[derive(Debug)]
struct Tree {
    name: String,
    left: Option<Box<Self>>,
    children: Vec<Self>,
    by_name: BTreeMap<String, Self>,
    numbers: Vec<u64>,
}

fn tree(depth: usize) -> Tree {
    if depth == 0 {
        return Tree::default();
    }
    Tree {
        name: "é\n".repeat(depth),
        left: Some(Box::new(tree(depth - 1))),
        children: vec![tree(depth - 1), Tree::default()],
        by_name: BTreeMap::from([("k".to_owned(), tree(depth - 1))]),
        numbers: vec![1, u64::MAX],
    }
}

/// Reads the bytes as a message; however that goes, the limit holds.
fn read<M: Message + Default>(codec: &dyn Codec, bytes: &Bytes) {
    let taken = measure(|| {
        let (mut message, mut limits) = (M::default(), Limits::new(LIMIT));
        let _ = codec.decode(bytes.clone(), &mut message, &mut limits);
    });
    // A list that grows is copied, texts are counted once they are there, and an error has words.
    let most = 3 * LIMIT + 4 * bytes.len();
    assert!(taken.bytes_max < most as u64, "{codec:?}: {} for {bytes:?}", taken.bytes_max);
}

fn read_all(codec: &dyn Codec, bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    read::<Everything>(codec, &bytes);
    read::<Tree>(codec, &bytes);
    read::<Returned<Vec<Tree>>>(codec, &bytes);
    read::<Returned<BTreeMap<u32, String>>>(codec, &bytes);
    read::<Returned<Vec<u64>>>(codec, &bytes);
    read::<Returned<()>>(codec, &bytes);
}

#[test]
fn bytes_at_random_are_an_error_or_a_message() {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
    for codec in codecs() {
        for _ in 0..3_000 {
            let mut bytes = vec![0; random.random_range(0..80)];
            random.fill_bytes(&mut bytes);
            read_all(&*codec, bytes);
        }
    }
}

#[test]
fn characters_of_json_at_random_are_an_error_or_a_message() {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[4; 32]);
    let codec = support::codec("json");
    let characters = br#"{}[],:"\u0123456789.eE+-truefalsnl value"#;
    for _ in 0..10_000 {
        let len = random.random_range(0..40);
        let one = |_| characters[random.random_range(0..characters.len())];
        read_all(&*codec, (0..len).map(one).collect());
    }
}

#[test]
fn a_message_that_was_changed_is_an_error_or_a_message() {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    for codec in codecs() {
        let right = [
            encode(&*codec, &everything()),
            encode(&*codec, &tree(3)),
            encode(&*codec, &Returned(vec![tree(2), tree(1)])),
        ];
        for _ in 0..1_500 {
            let mut bytes = right[random.random_range(0..right.len())].to_vec();
            for _ in 0..random.random_range(1..6) {
                change(&mut bytes, &mut random);
            }
            read_all(&*codec, bytes);
        }
    }
}

/// Changes, removes, repeats or moves a few bytes.
fn change(bytes: &mut Vec<u8>, random: &mut impl Rng) {
    let at = random.random_range(0..=bytes.len());
    let len = random.random_range(0..=(bytes.len() - at).min(12));
    match random.random_range(0..5) {
        0 => bytes[at..at + len].iter_mut().for_each(|byte| *byte = random.random()),
        1 => drop(bytes.drain(at..at + len)),
        2 => {
            let again = bytes[at..at + len].to_vec();
            let to = random.random_range(0..=bytes.len());
            bytes.splice(to..to, again);
        }
        3 => bytes.truncate(at),
        _ => bytes.splice(at..at + len, [0xdd, 0xff, 0xff, 0xff, 0xff]).for_each(drop),
    }
}
