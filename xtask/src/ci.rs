//! Everything that must pass before a change is taken, in sequence; the first failure ends it.

#![allow(
    clippy::disallowed_types,
    reason = "how long a step takes is real time, there is no tokio here"
)]

use std::time::{Duration, Instant};

use crate::process::Failure;
use crate::{cost, examples, features, msrv, previous, tasks};

type Step = (&'static str, fn() -> Result<(), Failure>);

/// The cheap ones first, so that a slip is told soon.
const STEPS: [Step; 16] = [
    ("fmt", || tasks::fmt(&["--check".to_owned()])),
    ("lint", || tasks::lint(&[])),
    ("package", || tasks::package(&["--quiet".to_owned()])),
    ("features", || features::check(&[])),
    ("msrv", || msrv::check(&[])),
    ("doc", || tasks::doc(&[])),
    ("deny", deny),
    ("test", || tasks::test(&[])),
    // What a reader does must not depend on the optimiser.
    ("codecs", || tasks::test(&["--release", "-p", "dubhe-codecs"].map(str::to_owned))),
    ("examples", || examples::run(&[])),
    ("previous", || previous::check(&[])),
    ("benches", || tasks::check_benches(&[])),
    ("cost", || cost::check(&[])),
    ("cluster", || tasks::bench(&["cluster".to_owned(), "--quick".to_owned()])),
    ("chaos", || tasks::chaos(&["cluster", "--quick"].map(str::to_owned))),
    ("registry", || tasks::chaos(&["registry", "--quick"].map(str::to_owned))),
];

/// Runs every step.
pub(crate) fn run(_: &[String]) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut took: Vec<(&str, Duration)> = Vec::new();
    for (name, step) in STEPS {
        eprintln!("\n=== {name}");
        let start = Instant::now();
        let result = step();
        took.push((name, start.elapsed()));
        if let Err(failure) = result {
            summarise(&took, begin.elapsed());
            return Err(Failure::new(format!("step {name} failed: {failure}")));
        }
        eprintln!("=== {name} passed in {:.1} s", start.elapsed().as_secs_f64());
    }
    summarise(&took, begin.elapsed());
    eprintln!("ci: all {} steps passed", STEPS.len());
    Ok(())
}

fn summarise(took: &[(&str, Duration)], total: Duration) {
    eprintln!();
    for (name, duration) in took.iter().copied().chain([("total", total)]) {
        eprintln!("{name:<10} {:>7.1} s", duration.as_secs_f64());
    }
}

/// The one tool that a plain Rust installation lacks; whoever has it checks with it.
fn deny() -> Result<(), Failure> {
    if tasks::has_deny() {
        return tasks::deny(&[]);
    }
    eprintln!("cargo-deny is not installed, so advisories were NOT checked; licences are a test");
    Ok(())
}
