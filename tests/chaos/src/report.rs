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
    /// Whether something may be left out: a whole run shows what it says or fails.
    is_short: bool,
    /// Lines that are kept back, as others print at the same time.
    kept: Option<Vec<String>>,
}

impl Report {
    /// That of a short run, or of a whole one.
    pub(crate) fn of(is_short: bool) -> Self {
        Self { is_short, ..Self::default() }
    }

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

    /// Notes what was not looked at: a failure in a whole run, and where nobody reads a warning.
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

    /// What was left out and what failed once more, and the last line.
    pub(crate) fn close(self) -> ExitCode {
        self.left_out.iter().for_each(|what| println!("not checked: {what}"));
        self.failed.iter().for_each(|failed| println!("failed: {failed}"));
        println!("{}", self.last_line());
        if self.has_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn last_line(&self) -> String {
        let (checks, failed, left_out) = (self.checks, self.failed.len(), self.left_out.len());
        let left_out = match left_out {
            0 => String::new(),
            _ => format!(", {left_out} left out"),
        };
        format!("chaos: {checks} checks, {failed} failed{left_out}")
    }

    /// A harness that checked nothing has shown nothing.
    fn has_passed(&self) -> bool {
        let is_complete = self.is_short || self.left_out.is_empty();
        self.failed.is_empty() && self.checks > 0 && is_complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_in_the_last_line_and_fails_a_whole_run() {
        let closed = |is_short, checks, left_out: &[&str]| {
            let left_out = left_out.iter().map(|what| (*what).to_owned()).collect();
            let report = Report { checks, left_out, ..Report::of(is_short) };
            (report.last_line(), report.has_passed())
        };
        let all = "chaos: 7 checks, 0 failed".to_owned();
        assert_eq!(closed(false, 7, &[]), (all.clone(), true));
        assert_eq!(closed(true, 7, &[]), (all.clone(), true));
        let some = format!("{all}, 1 left out");
        assert_eq!(closed(false, 7, &["nacos3"]), (some.clone(), false));
        assert_eq!(closed(true, 7, &["nacos3"]), (some, true));
        assert!(!closed(true, 0, &[]).1);
    }
}
