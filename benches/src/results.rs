//! The medians of several runs, and one framework's place among the others.

use serde::Serialize;

use crate::load::Sample;
use crate::plan::Cell;

/// The peer whose place is asked for.
pub(crate) const SUBJECT: &str = "dubhe";

/// What one peer showed in one cell.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) cell: Cell,
    pub(crate) peer: &'static str,
    /// Each figure's own median over the runs; failures are those of all runs.
    pub(crate) median: Sample,
    /// Distance of the fastest from the slowest run, as a share of the median calls per second.
    pub(crate) spread: f64,
    pub(crate) runs: Vec<Sample>,
}

impl Row {
    /// Sums up `runs`, of which there is at least one.
    pub(crate) fn of(cell: Cell, peer: &'static str, runs: Vec<Sample>) -> Self {
        let median = Sample {
            calls_per_second: median(&runs, |run| run.calls_per_second),
            p50: median(&runs, |run| run.p50),
            p99: median(&runs, |run| run.p99),
            p999: median(&runs, |run| run.p999),
            client_cpu: median(&runs, |run| run.client_cpu),
            server_cpu: median(&runs, |run| run.server_cpu),
            fairness: median(&runs, |run| run.fairness),
            failures: runs.iter().map(|run| run.failures).sum(),
            failure: runs.iter().find_map(|run| run.failure.clone()),
        };
        let speeds = || runs.iter().map(|run| run.calls_per_second);
        let distance = speeds().fold(0.0, f64::max) - speeds().fold(f64::INFINITY, f64::min);
        Self { cell, peer, spread: distance / median.calls_per_second, median, runs }
    }

    /// CPU microseconds a call on both sides together.
    pub(crate) fn cpu(&self) -> f64 {
        self.median.client_cpu + self.median.server_cpu
    }
}

/// The row of `peer` in `cell`, if it was measured.
pub(crate) fn find<'a>(rows: &'a [Row], cell: Cell, peer: &str) -> Option<&'a Row> {
    rows.iter().find(|row| row.cell == cell && row.peer == peer)
}

/// The upper of two middle values when the number of runs is even.
fn median(runs: &[Sample], figure: fn(&Sample) -> f64) -> f64 {
    let mut figures: Vec<_> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run that shows nothing but its speed.
    pub(crate) fn run(calls_per_second: f64) -> Sample {
        Sample {
            calls_per_second,
            p50: 1.0,
            p99: 2.0,
            p999: 3.0,
            client_cpu: 4.0,
            server_cpu: 5.0,
            fairness: 1.0,
            failures: 0,
            failure: None,
        }
    }

    #[test]
    fn a_row_shows_the_median_run_and_how_far_the_others_were_apart() {
        let cell = Cell { placement: crate::plan::Placement::Free, size: 64, callers: 1 };
        let row = Row::of(cell, "x", [90.0, 300.0, 100.0].map(run).into());
        assert_eq!((row.median.calls_per_second, row.spread, row.cpu()), (100.0, 2.1, 9.0));
    }
}
