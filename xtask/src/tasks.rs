//! The commands that hand on to one program.

use crate::codecs;
use crate::growth;
use crate::nacos;
use crate::process::{Failure, cargo, run};
use crate::python;
use crate::servers;

type Done = Result<(), Failure>;

/// Programs that start servers by a crate that is never published, so they cannot be put together either.
const UNPUBLISHED: [&str; 3] = ["dubhe-chaos", "dubhe-fleet", "dubhe-scale"];

/// Nothing else is said for as long as that takes.
const FIRST_BUILD: &str =
    "building with optimisations, which takes a minute or more the first time; then it begins";

pub(crate) fn fmt(arguments: &[String]) -> Done {
    run(cargo(["fmt", "--all"]).args(arguments))
}

pub(crate) fn lint(arguments: &[String]) -> Done {
    let mut command = cargo(["clippy", "--workspace", "--all-targets", "--all-features"]);
    run(command.args(arguments).args(["--", "-D", "warnings"]))
}

pub(crate) fn test(arguments: &[String]) -> Done {
    let python = python::prepare()?;
    servers::prepare()?;
    let chosen = ["-p", "--package", "--manifest-path"];
    let is_chosen = arguments.iter().any(|word| chosen.contains(&&**word));
    let mut command = cargo(["test"]);
    command.args((!is_chosen).then_some("--workspace"));
    run(command.args(arguments).env(python::VARIABLE, python))
}

/// The differential tests of codecs, on many messages.
pub(crate) fn differential(arguments: &[String]) -> Done {
    let cases = match arguments {
        [] => "20000",
        [cases] if cases.parse::<u32>().is_ok() => cases,
        _ => return Err(Failure::new("usage: cargo xtask differential [MESSAGES]")),
    };
    let test = ["test", "--release", "--package", "dubhe-codecs", "--test", "differential"];
    let mut command = cargo(test);
    command.env(python::VARIABLE, python::prepare()?).env("CI", "true").env("DUBHE_CASES", cases);
    run(command.args(["--", "--nocapture"]))
}

pub(crate) fn tidy(arguments: &[String]) -> Done {
    run(cargo(["test", "--package", "dubhe", "--test", "tidy"]).args(arguments))
}

pub(crate) fn doc(arguments: &[String]) -> Done {
    let mut command = cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    run(command.args(arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

pub(crate) fn deny(arguments: &[String]) -> Done {
    if !has_deny() {
        return Err(Failure::new(
            "cargo-deny is not installed: run `cargo install --locked cargo-deny`",
        ));
    }
    run(cargo(["deny", "--all-features", "check"]).args(arguments))
}

/// What is missing in a manifest shows here. Without the network: what is built has been fetched.
pub(crate) fn package(arguments: &[String]) -> Done {
    let mut command =
        cargo(["package", "--workspace", "--no-verify", "--allow-dirty", "--offline"]);
    command.args(UNPUBLISHED.iter().flat_map(|name| ["--exclude", name]));
    run(command.args(arguments))
}

/// Whether `cargo deny` can be run here.
pub(crate) fn has_deny() -> bool {
    let answer = cargo(["deny", "--version"]).output();
    answer.is_ok_and(|answer| answer.status.success())
}

/// The harness is a workspace of its own, so that the crates we compare with cost users nothing.
pub(crate) fn bench(arguments: &[String]) -> Done {
    match arguments.split_first().map(|(first, rest)| (&**first, rest)) {
        Some(("cluster", rest)) => {
            let command = ["bench", "--package", "dubhe-cluster", "--bench", "cost", "--"];
            return run(cargo(command).args(rest));
        }
        Some(("codecs", rest)) => return codecs::bench(rest),
        Some(("messages", rest)) => return growth::bench(rest),
        Some(("registry", rest)) => {
            let mut command = cargo(["run", "--release", "--package", "dubhe-scale", "--", "run"]);
            if rest.iter().any(|argument| argument == "nacos") {
                command.env(nacos::VARIABLE, nacos::prepare()?);
            }
            return run(command.args(rest));
        }
        _ => {}
    }
    eprintln!("{FIRST_BUILD}");
    let command = ["run", "--release", "--manifest-path", "benches/Cargo.toml"];
    let mut command = cargo(command);
    run(command.args(["--", "run"]).args(arguments))
}

/// Whether that harness still compiles, with the versions of its lock file.
pub(crate) fn check_benches(arguments: &[String]) -> Done {
    let command = ["check", "--locked", "--all-targets", "--manifest-path", "benches/Cargo.toml"];
    run(cargo(command).args(arguments))
}

/// A simulation with a seed: the same files every time.
pub(crate) fn charts(arguments: &[String]) -> Done {
    for (package, example) in [("dubhe-cluster", "charts"), ("dubhe-protocols", "gate_chart")] {
        let command = ["run", "--package", package, "--example", example, "--"];
        run(cargo(command).args(arguments))?;
    }
    Ok(())
}

/// Breaks fleets of real processes and the registries they share; `cluster --list` and `registry --list`
/// name the checks.
pub(crate) fn chaos(arguments: &[String]) -> Done {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let mut command = cargo(["run", "--release", "--quiet", "--package", "dubhe-chaos", "--"]);
    if has("registry") && !has("--list") {
        servers::prepare()?;
        // A short run has no Nacos unless it is asked for.
        let names_nacos = has("nacos2") || has("nacos3");
        if names_nacos || !(has("--quick") || has("--registry")) {
            command.env(nacos::VARIABLE, nacos::prepare()?);
        }
    }
    eprintln!("{FIRST_BUILD}");
    run(command.args(arguments))
}
