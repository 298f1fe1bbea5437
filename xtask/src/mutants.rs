//! Mutation tests of the files that decide: each step of them is broken, one at a time, and some test
//! has to fail.
//!
//! Takes hours, so it is no step of `ci`. The programs of tests that a group names are all that is
//! built and run for its files; what cannot be seen by any test is left out in `.cargo/mutants.toml`,
//! with the reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Failure, cargo, root, run, target};

/// Share of the mutants, in percent, that have to be caught.
const LEAST: usize = 95;

/// Files whose mutants the same tests of one package have to catch.
struct Group {
    name: &'static str,
    package: &'static str,
    files: &'static [&'static str],
    /// Programs of tests besides the package's own.
    tests: &'static [&'static str],
}

const GROUPS: [Group; 11] = [
    Group {
        name: "core",
        package: "dubhe-rpc-core",
        files: &[
            "rpc-core/src/status/retry.rs",
            "rpc-core/src/discovery/hold.rs",
            "rpc-core/src/decode_limits.rs",
            "rpc-core/src/server/limits/*.rs",
        ],
        tests: &[],
    },
    Group {
        name: "gate",
        package: "dubhe-rpc-core",
        files: &["rpc-core/src/server/gate/*.rs"],
        tests: &[],
    },
    of_cluster("budget", &["cluster/src/budget.rs"], &[]),
    of_cluster(
        "ejection",
        &["cluster/src/endpoint/ejection/*.rs"],
        &["ejection", "forking", "nested"],
    ),
    of_cluster(
        "failover",
        &[
            "cluster/src/policy/failover.rs",
            "cluster/src/policy/hedge.rs",
            "cluster/src/policy/history.rs",
        ],
        &["failover", "failover_ends", "hedge", "overload", "told"],
    ),
    of_cluster(
        "policies",
        &["cluster/src/policy/mod.rs", "cluster/src/policy/log_throttle.rs"],
        &["policy_contract", "told"],
    ),
    of_cluster(
        "available",
        &["cluster/src/policy/available.rs"],
        &["available", "overload", "told"],
    ),
    of_cluster(
        "broadcast",
        &["cluster/src/policy/broadcast.rs"],
        &["broadcast", "policy_contract", "told"],
    ),
    of_cluster(
        "failback",
        &["cluster/src/policy/failback.rs"],
        &["failback", "policy_contract", "told"],
    ),
    of_cluster(
        "quick",
        &["cluster/src/policy/failfast.rs", "cluster/src/policy/failsafe.rs"],
        &["failfast", "failsafe", "policy_contract", "told"],
    ),
    of_cluster(
        "forking",
        &["cluster/src/policy/forking.rs"],
        &["forking", "overload", "policy_contract", "told"],
    ),
];

const fn of_cluster(
    name: &'static str,
    files: &'static [&'static str],
    tests: &'static [&'static str],
) -> Group {
    Group { name, package: "dubhe-cluster", files, tests }
}

/// What became of the mutants of a file.
#[derive(Default)]
struct Tally {
    caught: usize,
    missed: usize,
    /// Those that do not compile.
    unviable: usize,
}

/// Tries all files, or those whose path contains one of the words.
pub(crate) fn check(words: &[String]) -> Result<(), Failure> {
    if !cargo(["mutants", "--version"]).output().is_ok_and(|answer| answer.status.success()) {
        return Err(Failure::new(
            "cargo-mutants is not installed: run `cargo install --locked cargo-mutants`",
        ));
    }
    let is_meant = |file: &str| words.is_empty() || words.iter().any(|word| file.contains(&**word));
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut missed = Vec::new();
    for group in &GROUPS {
        let files: Vec<&str> = group.files.iter().copied().filter(|file| is_meant(file)).collect();
        if !files.is_empty() {
            let gone = files.iter().find(|file| !file.contains('*') && !root().join(file).exists());
            if let Some(file) = gone {
                return Err(Failure::new(format!("{file} is gone: mend `GROUPS` in xtask")));
            }
            let output = target().join("mutants").join(group.name);
            try_all(group, &files, &output)?;
            let before = tried(&tallies);
            missed.extend(count(&output.join("mutants.out"), &mut tallies)?);
            // As when the tests fail before anything is broken.
            if tried(&tallies) == before {
                let name = group.name;
                return Err(Failure::new(format!("no mutant of `{name}` was tried: see above")));
            }
        }
    }
    if tallies.is_empty() {
        let known = GROUPS.iter().flat_map(|group| group.files).copied().collect::<Vec<_>>();
        let known = known.join(", ");
        return Err(Failure::new(format!("no file has this in its path; there are {known}")));
    }
    judge(&tallies, &missed)
}

fn tried(tallies: &BTreeMap<String, Tally>) -> usize {
    tallies.values().map(|tally| tally.caught + tally.missed + tally.unviable).sum()
}

fn try_all(group: &Group, files: &[&str], output: &Path) -> Result<(), Failure> {
    fs::create_dir_all(output)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", output.display())))?;
    // What an earlier run wrote down says nothing of this one; it need not be there.
    drop(fs::remove_dir_all(output.join("mutants.out")));
    let mut command = cargo(["mutants", "--package", group.package, "--test-package"]);
    command.args([group.package, "--no-shuffle", "--colors", "never", "--jobs", "1"]);
    // A mutant that waits for ever is caught, too.
    command.args(["--timeout", "120", "--build-timeout", "900"]);
    command.arg("--output").arg(output);
    command.args(files.iter().flat_map(|file| ["--file", file]));
    command.arg("--cargo-arg=--lib");
    command.args(group.tests.iter().map(|test| format!("--cargo-arg=--test={test}")));
    // Nobody debugs a mutant, and what is built for one is built for the next.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_TEST_DEBUG", "0");
    command.env("CARGO_TARGET_DIR", target().join("mutants").join("build"));
    // That some are missed is no failure of the program, and counted below.
    match run(&mut command) {
        Err(failure) if !output.join("mutants.out").join("missed.txt").exists() => Err(failure),
        _ => Ok(()),
    }
}

/// Adds what the program wrote down; returns those that were missed.
fn count(output: &Path, tallies: &mut BTreeMap<String, Tally>) -> Result<Vec<String>, Failure> {
    let lines = |name: &str| {
        let path: PathBuf = output.join(name);
        let text = fs::read_to_string(&path)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
        Ok(text.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    for (name, add) in [
        ("caught.txt", (|tally| tally.caught += 1) as fn(&mut Tally)),
        ("timeout.txt", |tally| tally.caught += 1),
        ("missed.txt", |tally| tally.missed += 1),
        ("unviable.txt", |tally| tally.unviable += 1),
    ] {
        for line in lines(name)? {
            let file = line.split(':').next().unwrap_or(&line).to_owned();
            add(tallies.entry(file).or_default());
        }
    }
    lines("missed.txt")
}

fn judge(tallies: &BTreeMap<String, Tally>, missed: &[String]) -> Result<(), Failure> {
    println!("| file | mutants | caught | missed | that do not compile |");
    println!("| --- | --- | --- | --- | --- |");
    let (mut all, mut caught) = (0, 0);
    for (file, tally) in tallies {
        let mutants = tally.caught + tally.missed;
        println!(
            "| {file} | {mutants} | {} | {} | {} |",
            tally.caught, tally.missed, tally.unviable
        );
        (all, caught) = (all + mutants, caught + tally.caught);
    }
    missed.iter().for_each(|line| println!("missed: {line}"));
    println!("{caught} of {all} mutants are caught");
    if caught * 100 < all * LEAST {
        return Err(Failure::new(format!(
            "fewer than {LEAST} % of the mutants are caught: write a test that fails with one that is \
             missed, or leave out of the code what no test can see"
        )));
    }
    Ok(())
}
