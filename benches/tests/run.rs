//! The bench as a person starts it: every peer carries a short load without a failed call, and no
//! process outlives the one that started it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const BENCH: &str = env!("CARGO_BIN_EXE_dubhe-bench");

#[test]
fn every_peer_answers_every_call_of_a_short_run() {
    let short = [
        "run",
        "--free",
        "--sizes",
        "64,1024",
        "--callers",
        "1,64",
        "--runs",
        "1",
    ];
    let output = Command::new(BENCH)
        .args(short)
        .args(["--seconds", "0.1"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        text.lines().last(),
        Some("bench: 0 of 5 goals met"),
        "{text}"
    );
}

#[test]
fn a_server_ends_when_its_runner_is_gone() {
    let mut server = Command::new(BENCH)
        .args(["server", "--peer", "volo"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("127.0.0.1:"));

    drop(server.stdin.take());
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(server.wait()));
    end.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
}

#[test]
fn an_unknown_peer_is_named_with_those_there_are() {
    let output = Command::new(BENCH)
        .args(["run", "--peers", "corba"])
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        message.contains("unknown peer `corba`, available: "),
        "{message}"
    );
}
