//! What was checked, what came of it, and the last line.

use std::process::ExitCode;

/// Findings in the order they were made, printed as they come.
#[derive(Debug, Default)]
pub(crate) struct Report {
    checks: usize,
    failed: Vec<String>,
    name: &'static str,
}

impl Report {
    pub(crate) fn begin(&mut self, name: &'static str, what: &str) {
        println!("{name}: {what}");
        self.name = name;
    }

    /// Notes one finding: what was held to what, the figure, whether it passed.
    pub(crate) fn note(&mut self, what: &str, figure: &str, passed: bool) {
        self.checks += 1;
        println!("  {} {what}: {figure}", if passed { "ok    " } else { "FAILED" });
        if !passed {
            self.failed.push(format!("{}: {what}: {figure}", self.name));
        }
    }

    /// Notes that a figure is at most `limit`.
    pub(crate) fn at_most<T: PartialOrd + std::fmt::Debug>(&mut self, what: &str, is: T, limit: T) {
        let passed = is <= limit;
        self.note(what, &format!("{is:?} (at most {limit:?})"), passed);
    }

    /// Notes that a figure is at least `limit`.
    pub(crate) fn at_least<T: PartialOrd + std::fmt::Debug>(
        &mut self,
        what: &str,
        is: T,
        limit: T,
    ) {
        let passed = is >= limit;
        self.note(what, &format!("{is:?} (at least {limit:?})"), passed);
    }

    /// The failed ones once more, and the last line.
    pub(crate) fn close(self) -> ExitCode {
        self.failed.iter().for_each(|failed| println!("failed: {failed}"));
        println!("chaos: {} checks, {} failed", self.checks, self.failed.len());
        // A harness that checked nothing has shown nothing.
        let passed = self.failed.is_empty() && self.checks > 0;
        if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
