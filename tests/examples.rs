//! What the examples answer to people who start them otherwise than their first lines say.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

#[path = "support/example.rs"]
mod example;

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

/// All but `first-call` and those of the tutorial, which are the programs of pages to the letter.
const EXAMPLES: [&str; 8] = [
    "balancers",
    "codecs",
    "errors",
    "greeter-consumer",
    "greeter-provider",
    "layers",
    "policies",
    "quickstart",
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn arguments_that_an_example_does_not_know_end_it_with_its_usage() {
    let folder = example::build(&EXAMPLES);
    for name in EXAMPLES {
        let mut command = example::command(&folder.join(name));
        let output = command.arg("--no-such-thing").output().unwrap();
        let Output { status, stdout, stderr } = output;
        assert_eq!(status.code(), Some(2), "{name}: {}", text(&stderr));
        assert!(stdout.is_empty() && text(&stderr).contains("usage: "), "{name}");
    }
}

#[test]
fn a_level_that_does_not_exist_is_an_error_of_an_example() {
    let folder = example::build(&["codecs"]);
    let mut command = example::command(&folder.join("codecs"));
    let Output { status, stdout, stderr } = command.env("DUBHE_LOG", "inof").output().unwrap();
    assert_eq!(status.code(), Some(2), "{}", text(&stderr));
    assert!(stdout.is_empty() && text(&stderr).contains("write off, error, warn"));
}

#[test]
fn a_setting_that_is_wrong_ends_the_quickstart_with_the_error_of_the_configuration() {
    let folder = example::build(&["quickstart"]);
    let mut command = example::command(&folder.join("quickstart"));
    let output = command.env("DUBHE_CONSUMER_TIMEOUT", "abc").output().unwrap();
    let Output { status, stdout, stderr } = output;
    assert_eq!((status.code(), &*text(&stdout)), (Some(2), ""));
    let expected = "environment variable `DUBHE_CONSUMER_TIMEOUT`";
    assert!(text(&stderr).contains(expected), "{}", text(&stderr));
    assert!(text(&stderr).contains("`DUBHE_CONSUMER__TIMEOUT`"), "{}", text(&stderr));
}

#[test]
fn an_example_whose_reader_leaves_ends_without_a_panic() {
    let folder = example::build(&["policies", "quickstart"]);
    for name in ["policies", "quickstart"] {
        let mut command = example::command(&folder.join(name));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut first = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut first).unwrap();
        drop(reader);
        let output = child.wait_with_output().unwrap();
        assert!(!first.is_empty(), "{name} said nothing");
        assert!(!text(&output.stderr).contains("panicked"), "{name}: {}", text(&output.stderr));
    }
}

#[test]
fn a_registry_that_cannot_be_is_told_by_the_argument_of_the_quickstart() {
    let folder = example::build(&["quickstart"]);
    for (address, told) in [
        ("zk://127.0.0.1:1", "did you mean `zookeeper`?"),
        ("dev://, dev://x y", "it contains blanks or control characters"),
    ] {
        let mut command = example::command(&folder.join("quickstart"));
        let Output { status, stdout, stderr } =
            command.args(["--registry", address]).output().unwrap();
        assert_eq!((status.code(), &*text(&stdout)), (Some(2), ""), "{}", text(&stderr));
        let told_of = text(&stderr);
        assert!(told_of.contains("--registry") && told_of.contains(told), "{told_of}");
        assert!(!told_of.contains("DUBHE_"), "{told_of}");
    }
}
