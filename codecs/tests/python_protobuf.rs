//! Stock Python protobuf reads what we write and writes what we read, from the `.proto` that the
//! descriptor prints.
//!
//! Needs `pip install grpcio-tools==1.85.1 protobuf msgpack` for the interpreter in `DUBHE_PYTHON`, else
//! `python3`. Without them it says so and passes, except where `CI` is set.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::fmt::Debug;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use rpc_core::descriptor::{MethodDescriptor, ServiceDescriptor};
use rpc_core::message::{Describe, Message, Returned};
use rpc_macros::arguments;

use support::types::{
    Foreign, Keys, Nested, Newtypes, Times, Variants, foreign, keys, nested, newtypes, times,
    variants,
};
use support::{Choice, Everything, Leaf, Outcome, codec, decode, encode, everything, python};

#[arguments(crate = rpc_core)]
struct CheckedEchoArguments {
    message: Everything,
}

#[arguments(crate = rpc_core)]
struct CheckedFindArguments {
    user_id: u64,
    outcomes: Vec<Outcome>,
}

#[arguments(crate = rpc_core)]
struct CheckedListArguments {}

fn service() -> ServiceDescriptor {
    static METHODS: [MethodDescriptor; 3] = [
        MethodDescriptor::new(
            "echo",
            CheckedEchoArguments::message_type,
            Returned::<Everything>::message_type,
        ),
        MethodDescriptor::new(
            "find",
            CheckedFindArguments::message_type,
            Returned::<Option<Leaf>>::message_type,
        ),
        MethodDescriptor::new(
            "list",
            CheckedListArguments::message_type,
            Returned::<Vec<Choice>>::message_type,
        ),
    ];
    ServiceDescriptor::new("dubhe.test.Checked", &METHODS).doc("Echoes everything.")
}

#[test]
fn stock_python_protobuf_reads_and_writes_our_messages() {
    let Some(python) = python() else { return };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("python_protobuf");
    fs::create_dir_all(&folder).unwrap();
    let (protobuf, json) = (codec("protobuf"), codec("json"));
    fs::write(folder.join("service.proto"), service().to_proto()).unwrap();
    fs::write(folder.join("everything.pb"), encode(&*protobuf, &everything())).unwrap();
    fs::write(folder.join("everything.json"), encode(&*json, &everything())).unwrap();

    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/check.py");
    let output = Command::new(python).arg(script).arg(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", service().to_proto());

    for (file, codec) in [
        ("python.pb", &protobuf),
        ("python.json", &json),
        ("python_names.json", &json),
        ("python_full.json", &json),
    ] {
        let bytes = fs::read(folder.join(file)).unwrap();
        let read: Everything = decode(&**codec, bytes.into()).unwrap();
        assert_eq!(read, everything(), "{file}");
    }
}

fn types() -> ServiceDescriptor {
    static METHODS: [MethodDescriptor; 6] = [
        MethodDescriptor::new("times", Returned::<Times>::message_type, Times::message_type),
        MethodDescriptor::new("nested", Nested::message_type, Nested::message_type),
        MethodDescriptor::new("keys", Keys::message_type, Keys::message_type),
        MethodDescriptor::new("foreign", Foreign::message_type, Foreign::message_type),
        MethodDescriptor::new("newtypes", Newtypes::message_type, Newtypes::message_type),
        MethodDescriptor::new("variants", Variants::message_type, Variants::message_type),
    ];
    ServiceDescriptor::new("dubhe.test.Types", &METHODS)
}

/// Writes a message in both forms, has Python read and write them, and reads what that wrote.
fn exchange<M: Message + Default + PartialEq + Debug>(python: &str, name: &str, message: &M) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("python_{name}"));
    fs::create_dir_all(&folder).unwrap();
    let (protobuf, json) = (codec("protobuf"), codec("json"));
    fs::write(folder.join("types.proto"), types().to_proto()).unwrap();
    fs::write(folder.join("ours.pb"), encode(&*protobuf, message)).unwrap();
    fs::write(folder.join("ours.json"), encode(&*json, message)).unwrap();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/exchange.py");
    let output = Command::new(python).arg(script).arg(&folder).arg(name).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", types().to_proto());
    for (file, codec) in [("python.pb", &protobuf), ("python.json", &json)] {
        if let Ok(bytes) = fs::read(folder.join(file)) {
            let read: M = decode(&**codec, bytes.into()).unwrap();
            assert_eq!(read, *message, "{name}: {file}");
        }
    }
}

#[test]
fn stock_python_protobuf_knows_our_times_as_its_own() {
    let Some(python) = python() else { return };
    exchange(&python, "Times", &times());
}

#[test]
fn stock_python_protobuf_reads_and_writes_what_is_nested() {
    let Some(python) = python() else { return };
    exchange(&python, "Nested", &nested());
    exchange(&python, "Keys", &keys());
    exchange(&python, "Foreign", &foreign());
    exchange(&python, "Newtypes", &newtypes());
    exchange(&python, "Variants", &variants());
}

#[test]
fn the_proto_has_the_text_it_always_had() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/service.proto");
    if !path.exists() && env::var("DUBHE_GOLDEN").is_ok_and(|value| value == "write") {
        fs::write(&path, service().to_proto()).unwrap();
    }
    assert_eq!(service().to_proto(), fs::read_to_string(path).unwrap());
}
