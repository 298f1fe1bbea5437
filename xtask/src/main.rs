//! The repository's own commands: `cargo xtask <command>`.
//!
//! Plain Rust without dependencies, so that the first command of a newcomer compiles in a second.
//! What is checked stands in the commands; the rules of the house that no tool knows are in
//! `tests/tidy.rs`.

mod callgrind;
mod ci;
mod codecs;
mod cost;
mod debian;
mod examples;
mod features;
mod figures;
mod fleet;
mod growth;
mod maven;
mod msrv;
mod mutants;
mod nacos;
mod previous;
mod process;
mod python;
mod servers;
mod tasks;
mod valgrind;

use std::process::ExitCode;

use self::process::Failure;

/// A command: its name, what it does, and how.
type Task = (&'static str, &'static str, fn(&[String]) -> Result<(), Failure>);

const TASKS: [Task; 22] = [
    ("fmt", "format everything; --check only looks", tasks::fmt),
    ("lint", "clippy on every target, warnings are errors", tasks::lint),
    ("test", "every test, with its set-up; takes cargo test's arguments", tasks::test),
    ("tidy", "the rules of the house alone (part of test)", tasks::tidy),
    ("doc", "the documentation, warnings are errors; takes --open", tasks::doc),
    ("features", "each feature of each crate by itself", features::check),
    ("msrv", "compile with the oldest Rust that is promised", msrv::check),
    ("deny", "licences, advisories and sources of dependencies", tasks::deny),
    ("package", "put every crate together as for a registry, without building it", tasks::package),
    ("examples", "run every example, or those named", examples::run),
    (
        "previous",
        "talk to the peer of the commit before, both ways; takes a commit",
        previous::check,
    ),
    ("benches", "whether the harness of `bench` compiles", tasks::check_benches),
    ("charts", "draw the charts in docs/charts", tasks::charts),
    (
        "bench",
        "measure against other RPC crates; `bench cluster`: the layer alone; `bench codecs [--write]`: \
         codecs against plain crates; `bench messages`: what a message adds to a program",
        tasks::bench,
    ),
    (
        "cost",
        "instructions and allocations of a call against docs/cost.md; --write, --profile",
        cost::check,
    ),
    (
        "chaos",
        "break fleets on purpose: cluster [--quick] [CHECK...]; break registries: registry [--quick] \
         [--registry KIND]... [CHECK...]; --list names the checks",
        tasks::chaos,
    ),
    (
        "mutants",
        "break each step of the files that decide and see a test fail; takes parts of paths",
        mutants::check,
    ),
    (
        "differential",
        "messages and damaged bytes at random, beside stock protobuf and msgpack; takes how many",
        tasks::differential,
    ),
    ("nacos", "the tests of `nacos://` on real servers, which Maven puts together", nacos::test),
    (
        "fleet",
        "Java and Go peers on both sides of real registries: [REGISTRY...] [--quick]",
        fleet::check,
    ),
    ("python", "make the Python that tests use and print its path", python::print),
    ("ci", "everything that must pass, in sequence", ci::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprintln!("{}", usage());
        return ExitCode::from(2);
    };
    let Some((_, _, task)) = TASKS.iter().find(|(known, _, _)| known == name) else {
        eprintln!("unknown command `{name}`\n{}", usage());
        return ExitCode::from(2);
    };
    match task(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask {name}: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let lines = TASKS.map(|(name, what, _)| format!("  {name:<10} {what}"));
    format!("usage: cargo xtask <command> [arguments]\n\n{}", lines.join("\n"))
}
