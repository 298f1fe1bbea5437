//! What the figures are held to, and the last line.

use std::process::ExitCode;

/// The most that something may be.
pub(crate) struct Limit {
    what: &'static str,
    most: f64,
    unit: &'static str,
}

pub(crate) const MEMORY: Limit =
    Limit { what: "memory that an instance takes", most: 1024.0, unit: "bytes" };
pub(crate) const IDLE: Limit =
    Limit { what: "CPU while nothing changes", most: 2.0, unit: "% of a core" };
pub(crate) const CHURN: Limit =
    Limit { what: "CPU while 1 % changes each second", most: 33.0, unit: "% of a core" };
pub(crate) const LAG: Limit =
    Limit { what: "from a change to the list, p99", most: 5_000.0, unit: "ms" };
pub(crate) const FAILED: Limit = Limit { what: "calls that failed", most: 0.0, unit: "in all" };
pub(crate) const DISTURBED: Limit =
    Limit { what: "p99 of calls beside a list that grows", most: 2.0, unit: "times as much" };
pub(crate) const REGISTERED: Limit =
    Limit { what: "until the last newcomer is registered", most: 60_000.0, unit: "ms" };
pub(crate) const LOST: Limit =
    Limit { what: "registrations that were lost", most: 0.0, unit: "in all" };
pub(crate) const LINEAR: Limit =
    Limit { what: "CPU for an instance of a list twice as long", most: 2.0, unit: "times as much" };

/// The limits that figures were held to.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    held: usize,
    missed: Vec<String>,
}

impl Limits {
    /// Holds a figure to its limit, and prints whether it keeps it. What is no number does not.
    pub(crate) fn hold(&mut self, limit: &Limit, figure: f64) {
        let Limit { what, most, unit } = limit;
        let told = format!("{what}: {figure:.2}, at most {most} {unit}");
        if figure <= *most {
            println!("  held   {told}");
            self.held += 1;
        } else {
            println!("  MISSED {told}");
            self.missed.push(told);
        }
    }

    /// Those that were missed once more, and the last line; a failure if there are any.
    pub(crate) fn close(self) -> ExitCode {
        self.missed.iter().for_each(|told| println!("missed: {told}"));
        let (held, missed) = (self.held, self.missed.len());
        println!("bench registry: {} limits, {missed} missed", held + missed);
        if missed == 0 && held > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_limit_that_is_missed_is_a_failure_and_so_is_none_at_all() {
        let close = |figures: &[f64]| {
            let mut limits = Limits::default();
            figures.iter().for_each(|figure| limits.hold(&MEMORY, *figure));
            format!("{:?}", limits.close())
        };
        let (passed, failed) = (ExitCode::SUCCESS, ExitCode::FAILURE);
        let (passed, failed) = (format!("{passed:?}"), format!("{failed:?}"));
        assert_eq!(close(&[0.0, 1024.0]), passed);
        for missed in [&[0.0, 1024.1][..], &[f64::NAN], &[]] {
            assert_eq!(close(missed), failed, "{missed:?}");
        }
    }
}
