//! What the bench holds Dubhe to, and whether it was reached.

use std::fmt;

use serde::Serialize;

use crate::plan::{Cell, Placement};
use crate::results::{self, Row, SUBJECT};

/// A multiple of a rival's calls per second to reach.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Goal {
    #[serde(flatten)]
    cell: Cell,
    rival: &'static str,
    at_least: f64,
}

/// How a goal came out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Reached, with this ratio.
    Met { ratio: f64 },
    /// Not reached, or reached with failed calls.
    Missed { ratio: f64 },
    /// One of the two was not measured there.
    NotRun,
}

/// A goal and how it came out.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    #[serde(flatten)]
    goal: Goal,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
}

const GOALS: [Goal; 5] = [
    pinned(1, "tarpc", 1.0),
    pinned(64, "tarpc", 2.0),
    pinned(64, "tonic", 3.0),
    pinned(512, "tarpc", 2.0),
    pinned(512, "tonic", 3.0),
];

const fn pinned(callers: usize, rival: &'static str, at_least: f64) -> Goal {
    Goal { cell: Cell { placement: Placement::Pinned, size: 64, callers }, rival, at_least }
}

/// Judges every goal by the rows there are.
pub(crate) fn judge(rows: &[Row]) -> Vec<Outcome> {
    GOALS.iter().map(|&goal| Outcome { goal, verdict: goal.verdict(rows) }).collect()
}

impl Goal {
    fn verdict(self, rows: &[Row]) -> Verdict {
        let measured = |peer| results::find(rows, self.cell, peer).map(|row| &row.median);
        let (Some(ours), Some(theirs)) = (measured(SUBJECT), measured(self.rival)) else {
            return Verdict::NotRun;
        };
        let ratio = ours.calls_per_second / theirs.calls_per_second;
        if ratio >= self.at_least && ours.failures == 0 {
            Verdict::Met { ratio }
        } else {
            Verdict::Missed { ratio }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verdict, ratio) = match self.verdict {
            Verdict::Met { ratio } => ("met", format!("{ratio:.2}x")),
            Verdict::Missed { ratio } => ("missed", format!("{ratio:.2}x")),
            Verdict::NotRun => ("not run", "-".to_owned()),
        };
        let Goal { cell, rival, at_least } = self.goal;
        write!(f, "{verdict:<7} {ratio:>6}  {cell}: at least {at_least}x the calls/s of {rival}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Sample;
    use crate::results::tests::run;

    const CELL: Cell = pinned(64, "tarpc", 2.0).cell;

    fn verdict(rows: &[Row]) -> Verdict {
        pinned(64, "tarpc", 2.0).verdict(rows)
    }

    #[test]
    fn a_goal_is_met_by_the_ratio_of_the_medians() {
        let rival = || Row::of(CELL, "tarpc", vec![run(100.0)]);
        let rows = [rival(), Row::of(CELL, SUBJECT, vec![run(200.0)])];
        assert_eq!(verdict(&rows), Verdict::Met { ratio: 2.0 });
        let rows = [rival(), Row::of(CELL, SUBJECT, vec![run(150.0)])];
        assert_eq!(verdict(&rows), Verdict::Missed { ratio: 1.5 });
    }

    #[test]
    fn a_goal_without_one_of_its_two_peers_was_not_run() {
        assert_eq!(verdict(&[Row::of(CELL, SUBJECT, vec![run(1.0)])]), Verdict::NotRun);
    }

    #[test]
    fn failed_calls_miss_a_goal_however_fast_the_others_were() {
        let failing = Sample { failures: 1, ..run(900.0) };
        let rows =
            [Row::of(CELL, "tarpc", vec![run(100.0)]), Row::of(CELL, SUBJECT, vec![failing])];
        assert_eq!(verdict(&rows), Verdict::Missed { ratio: 9.0 });
    }
}
