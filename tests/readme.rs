//! What the README and the pages under `docs/` say is so: the first call is an example that runs
//! and answers `curl`, the tests they name exist, their links lead somewhere.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

#[path = "support/example.rs"]
mod example;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a program may take to notice a signal.
const PATIENCE: Duration = Duration::from_secs(30);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(root().join(path));
    text.unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

/// The pages of the root and every one under `docs/`, with the folder that their links start from.
fn pages() -> Vec<(PathBuf, String)> {
    let own = ["README.md", "CONTRIBUTING.md", "SECURITY.md"];
    let mut paths = own.map(|page| root().join(page)).to_vec();
    for folder in ["docs", "docs/adr", "docs/guide", "examples"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let found = entries.map(|entry| entry.unwrap().path());
        paths.extend(found.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn the_first_call_of_the_readme_is_the_example() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("```rust\n").expect("the README has a block of Rust");
    let (block, _) = rest.split_once("```").unwrap();
    let example = read("examples/first_call.rs");
    let is_head =
        |line: &&str| line.is_empty() || line.starts_with("//!") || line.starts_with("#!");
    let body = example.lines().skip_while(is_head);
    let body: Vec<&str> = body.collect();
    assert_eq!(block.lines().collect::<Vec<_>>(), body, "README.md and examples/first_call.rs");
}

#[test]
fn the_programs_of_the_tutorial_are_its_examples() {
    let page = read("docs/guide/tutorial.md");
    let blocks = page.split("```rust,ignore\n").skip(1);
    let blocks: Vec<&str> = blocks.map(|rest| rest.split("```").next().unwrap()).collect();
    let names = ["api", "provider", "consumer"];
    assert_eq!(blocks.len(), names.len(), "the tutorial has a block for each example");
    for (block, name) in blocks.iter().zip(names) {
        let example = read(&format!("examples/tutorial/{name}.rs"));
        assert!(
            example.ends_with(&format!("\n\n{block}")),
            "{name}.rs does not end with:\n{block}"
        );
    }
}

/// A running example; killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `curl -d BODY` sends and gets.
fn post_form(port: u16, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n\
         Content-Length: {length}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_first_call_greets_and_answers_curl() {
    let readme = read("README.md");
    let ([port], cache) = (servers::free_ports(), tempfile::tempdir().unwrap());
    let mut command = example::command(&example::build(&["first-call"]).join("first-call"));
    command
        .env("DUBHE_REGISTRY__ADDRESS", format!("dev://readme-{}", std::process::id()))
        .env("DUBHE_REGISTRY__CACHE_DIR", cache.path())
        .env("DUBHE_PROVIDER__PORT", port.to_string())
        .stdout(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let mut greeting = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
    assert_eq!(greeting, "hi alice\n");

    let answer = post_form(port, "/Greeter/hello", r#"["bob"]"#);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(body, r#"{"value":"hi bob"}"#);
    for said in [greeting.trim_end(), body, r#"curl -d '["bob"]' http://127.0.0.1:20880/"#] {
        assert!(readme.contains(said), "the README does not say `{said}`");
    }
}

/// Whether this process has a handler for SIGINT by now; true where the system does not tell.
fn catches_interrupts(id: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{id}/status")) else { return true };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    // Signal number 1 is the lowest bit, this is number 2.
    u64::from_str_radix(mask.trim(), 16).unwrap() & 2 != 0
}

#[test]
fn the_first_call_ends_on_ctrl_c_without_a_warning() {
    let cache = tempfile::tempdir().unwrap();
    let mut command = example::command(&example::build(&["first-call"]).join("first-call"));
    command
        .env("DUBHE_REGISTRY__ADDRESS", format!("dev://readme-end-{}", std::process::id()))
        .env("DUBHE_REGISTRY__CACHE_DIR", cache.path())
        .env("DUBHE_PROVIDER__PORT", "0")
        .env("DUBHE_PROVIDER__NOTICE", "100ms")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let mut greeting = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
    let (log, lines) = mpsc::channel();
    let stderr = BufReader::new(running.0.stderr.take().unwrap());
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|l| log.send(l)));
    let (begun, mut said) = (Instant::now(), String::new());
    while !said.contains("shutting down") {
        assert!(begun.elapsed() < PATIENCE, "it does not notice Ctrl-C: {said}");
        // Before it listens, a signal would end it without a word.
        if catches_interrupts(running.0.id()) {
            let interrupt = format!("kill -INT {}", running.0.id());
            assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
        }
        match lines.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => said += &(line + "\n"),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("it ended without a word: {said}"),
        }
    }
    lines.iter().for_each(|line| said += &(line + "\n"));
    assert!(running.0.wait().unwrap().success(), "{said}");
    assert!(said.contains("drained") && !said.contains("WARN"), "{said}");
}

#[test]
fn every_test_that_a_page_names_exists() {
    let (mut named, mut missing) = (0, Vec::new());
    for (page, text) in pages() {
        for quoted in text.split('`').skip(1).step_by(2) {
            let Some((path, test)) = quoted.split_once(".rs::") else { continue };
            named += 1;
            let source = fs::read_to_string(root().join(format!("{path}.rs"))).unwrap_or_default();
            if !source.contains(&format!("fn {test}(")) {
                missing.push(format!("{}: {quoted}", page.display()));
            }
        }
    }
    assert!(named > 10, "the pages name {named} tests, which are too few to be all");
    assert!(missing.is_empty(), "no such test:\n  {}", missing.join("\n  "));
}

#[test]
fn every_check_of_chaos_has_its_place_in_a_page_and_every_one_named_exists() {
    let files = fs::read_dir(root().join("tests/chaos/src/checks")).unwrap();
    let files = files.map(|file| file.unwrap().path()).filter(|path| path.is_file());
    let sources: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    let quoted = sources.split("Check {\n    name: \"").skip(1);
    let known: BTreeSet<&str> = quoted.filter_map(|rest| rest.split('"').next()).collect();
    let page = read("docs/reliability.md");
    let words = page.split('`').skip(1).step_by(2);
    let named = words.filter_map(|word| word.strip_prefix("chaos "));
    let named: BTreeSet<&str> = named.filter(|name| *name != "registry").collect();
    assert!(known.len() > 10, "{known:?}");
    assert_eq!(named, known);

    let registries = read("tests/chaos/src/checks/registry/mod.rs");
    let quoted = registries.split("name: \"").skip(1);
    let of_registries: Vec<&str> = quoted.filter_map(|rest| rest.split('"').next()).collect();
    assert!(of_registries.len() > 10, "{of_registries:?}");
    for name in of_registries {
        assert!(page.contains(&format!("| `{name}` | ")), "`{name}` has no row");
    }
}

#[test]
fn the_workflow_runs_what_a_person_runs_before_a_change() {
    let workflow = read(".github/workflows/ci.yml");
    assert!(workflow.lines().any(|line| line.trim() == "- run: .ci/run"), "{workflow}");
    assert!(read(".ci/run").contains("cargo xtask ci"));
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let mut broken = Vec::new();
    for (page, text) in pages() {
        let written_out = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        // `[name]: target` at the end of a page.
        let defined = text.lines().filter(|line| line.starts_with('['));
        let defined = defined.filter_map(|line| Some(line.split_once("]: ")?.1));
        for link in written_out.chain(defined) {
            let target = link.split('#').next().unwrap_or_default();
            let is_file = !link.contains("://") && !target.is_empty();
            if is_file && !page.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links to nowhere:\n  {}", broken.join("\n  "));
}
