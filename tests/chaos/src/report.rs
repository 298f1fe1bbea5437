//! What was checked, what came of it, and the last line.

use std::process::ExitCode;
use std::time::Duration;

/// Findings in the order they were made, printed as they come.
#[derive(Debug, Default)]
pub(crate) struct Report {
    checks: usize,
    failed: Vec<String>,
    name: String,
    left_out: Vec<String>,
    /// Lines that are kept back, as others print at the same time.
    kept: Option<Vec<String>>,
}

impl Report {
    /// One that prints nothing until it is told to, or added to another.
    pub(crate) fn kept() -> Self {
        Self { kept: Some(Vec::new()), ..Self::default() }
    }

    /// Begins a check, as `NAME: WHAT`.
    pub(crate) fn begin(&mut self, title: &str) {
        self.line(title.to_owned());
        self.name = title.split(':').next().unwrap_or_default().to_owned();
    }

    /// Notes one finding: what was held to what, the figure, whether it passed.
    pub(crate) fn note(&mut self, what: &str, figure: &str, passed: bool) {
        self.checks += 1;
        self.line(format!("  {} {what}: {figure}", if passed { "ok    " } else { "FAILED" }));
        if !passed {
            self.failed.push(format!("{}: {what}: {figure}", self.name));
        }
    }

    /// How many findings have failed so far.
    pub(crate) fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Notes what is no finding.
    pub(crate) fn remark(&mut self, what: &str) {
        self.line(format!("  {what}"));
    }

    /// Notes how long a check took.
    pub(crate) fn took(&mut self, time: Duration) {
        self.remark(&format!("took {:.0} s", time.as_secs_f64()));
    }

    /// Notes what was not looked at: a failure where nobody reads a warning.
    pub(crate) fn left_out(&mut self, what: &str) {
        if servers::is_ci() {
            return self.note("looked at", what, false);
        }
        self.line(format!("!!! NOT CHECKED: {what}"));
        self.left_out.push(what.to_owned());
    }

    /// Prints what it has kept back so far, as one.
    pub(crate) fn print_kept(&mut self) {
        let lines: Vec<_> = self.kept.iter_mut().flat_map(std::mem::take).collect();
        if !lines.is_empty() {
            println!("{}", lines.join("\n"));
        }
    }

    /// Adds another, and prints what it kept back.
    pub(crate) fn add(&mut self, mut other: Self) {
        other.print_kept();
        self.checks += other.checks;
        self.failed.extend(other.failed);
        self.left_out.extend(other.left_out);
    }

    fn line(&mut self, line: String) {
        match &mut self.kept {
            Some(kept) => kept.push(line),
            None => println!("{line}"),
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
        self.left_out.iter().for_each(|what| println!("not checked: {what}"));
        self.failed.iter().for_each(|failed| println!("failed: {failed}"));
        println!("chaos: {} checks, {} failed", self.checks, self.failed.len());
        // A harness that checked nothing has shown nothing.
        let passed = self.failed.is_empty() && self.checks > 0;
        if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
