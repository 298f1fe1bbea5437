//! Bytes that must not change: a message of every type, as each codec has written it since the
//! first release. A failing comparison is a broken wire, not a test to update.
//!
//! `DUBHE_GOLDEN=write` writes files that are missing; it never overwrites one.

#![allow(clippy::unwrap_used, clippy::use_self, reason = "the whole file is a test")]

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use rpc_core::message::{Message, Returned};
use rpc_macros::arguments;

use support::types::{Foreign, Keys, Nested, Times, foreign, keys, nested, times};
use support::{Everything, Leaf, codecs, decode, encode, everything};

#[arguments(crate = rpc_core)]
struct Arguments {
    user_id: u64,
    leaf: Leaf,
    tags: Vec<String>,
}

fn golden(name: &str, codec: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(format!("{name}.{codec}"))
}

/// Compares what each codec writes with what it wrote, and hands out those bytes by codec.
fn compare(name: &str, message: &impl Message) -> HashMap<&'static str, Bytes> {
    let check = |codec: &std::sync::Arc<dyn rpc_core::Codec>| {
        let (path, bytes) = (golden(name, codec.name()), encode(&**codec, message));
        if !path.exists() && std::env::var("DUBHE_GOLDEN").is_ok_and(|value| value == "write") {
            fs::write(&path, &bytes).unwrap();
        }
        let stored = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(bytes, stored, "{} writes {name} in other bytes", codec.name());
        (codec.name(), Bytes::from(stored))
    };
    codecs().iter().map(check).collect()
}

#[test]
fn a_message_of_every_type_has_the_bytes_it_always_had() {
    for (codec, bytes) in compare("everything", &everything()) {
        let read: Everything = decode(&*support::codec(codec), bytes).unwrap();
        assert_eq!(read, everything());
    }
}

#[test]
fn arguments_and_results_have_the_bytes_they_always_had() {
    let leaf = Leaf { id: 7, display_name: "x".into() };
    let tags = vec!["a".to_owned()];
    compare("arguments", &Arguments { user_id: 5, leaf: leaf.clone(), tags });
    compare("returned_list", &Returned(vec![leaf.clone()]));
    compare("returned_message", &Returned(leaf));
    compare("returned_nothing", &Returned(()));
}

#[test]
fn what_is_nested_has_the_bytes_it_always_had() {
    for (codec, bytes) in compare("nested", &nested()) {
        let read: Nested = decode(&*support::codec(codec), bytes).unwrap();
        assert_eq!(read, nested());
    }
    for (codec, bytes) in compare("keys", &keys()) {
        let read: Keys = decode(&*support::codec(codec), bytes).unwrap();
        assert_eq!(read, keys());
    }
}

#[test]
fn types_of_other_crates_have_the_bytes_they_always_had() {
    for (codec, bytes) in compare("foreign", &foreign()) {
        let read: Foreign = decode(&*support::codec(codec), bytes).unwrap();
        assert_eq!(read, foreign());
    }
}

#[test]
fn times_have_the_bytes_they_always_had() {
    for (codec, bytes) in compare("times", &times()) {
        let read: Times = decode(&*support::codec(codec), bytes).unwrap();
        assert_eq!(read, times());
    }
}
