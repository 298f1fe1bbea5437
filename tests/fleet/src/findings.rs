//! What was checked and what came of it, printed as it comes, and the last line.

use std::process::ExitCode;

/// The checks of all registries.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    checks: usize,
    failed: Vec<String>,
    registry: &'static str,
    step: String,
}

impl Findings {
    /// Goes on with another registry.
    pub(crate) fn begin(&mut self, registry: &'static str) {
        println!("{registry}");
        self.registry = registry;
    }

    /// Goes on with another step: what is done to the fleet, before it is looked at again.
    pub(crate) fn step(&mut self, step: &str) {
        println!("  {step}");
        step.clone_into(&mut self.step);
    }

    /// Notes a finding: what was held to what, what was seen, and whether that is right.
    pub(crate) fn note(&mut self, what: &str, seen: &str, passed: bool) {
        self.checks += 1;
        println!("    {} {what}: {seen}", if passed { "ok    " } else { "FAILED" });
        if !passed {
            self.failed.push(format!("{}: {}: {what}: {seen}", self.registry, self.step));
        }
    }

    /// Tells what was seen where nothing is held to it.
    pub(crate) fn tell(&self, what: &str) {
        println!("    seen   {what}");
    }

    /// What failed once more, and the last line.
    pub(crate) fn close(self) -> ExitCode {
        self.failed.iter().for_each(|failed| println!("failed: {failed}"));
        println!("fleet: {} checks, {} failed", self.checks, self.failed.len());
        // Who checked nothing has shown nothing.
        let passed = self.failed.is_empty() && self.checks > 0;
        if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
