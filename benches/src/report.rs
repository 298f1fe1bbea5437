//! The bench as a person reads it, and as a file for later comparison.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::goals::{Outcome, Verdict};
use crate::machine::Machine;
use crate::peers::BoxError;
use crate::plan::{Cell, Plan};
use crate::results::{self, Row, SUBJECT};

/// The rows of one cell, with the subject's multiple of each peer.
pub(crate) fn table(cell: Cell, rows: &[Row]) -> String {
    let mut text = format!(
        "\n{cell}\n{:<8}{:>10}{:>8}{:>10}{:>10}{:>10}{:>9}{:>9}{:>9}{:>9}{:>8}{:>14}{:>7}\n",
        "peer",
        "calls/s",
        "spread",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "cpu us",
        "client",
        "server",
        "slowest",
        "failed",
        "dubhe/peer",
        "cpu"
    );
    let subject = results::find(rows, cell, SUBJECT);
    for row in rows {
        line(&mut text, row, subject);
    }
    text
}

fn line(text: &mut String, row: &Row, subject: Option<&Row>) {
    let Row { peer, median, .. } = row;
    let against = |figure: fn(&Row) -> f64| match subject {
        Some(subject) => format!("{:.2}x", figure(subject) / figure(row)),
        None => "-".to_owned(),
    };
    let _ = writeln!(
        text,
        "{peer:<8}{:>10.0}{:>7.0}%{:>10.1}{:>10.1}{:>10.1}{:>9.2}{:>9.2}{:>9.2}{:>8.0}%{:>8}{:>14}{:>7}",
        median.calls_per_second,
        row.spread * 100.0,
        median.p50,
        median.p99,
        median.p999,
        row.cpu(),
        median.client_cpu,
        median.server_cpu,
        median.fairness * 100.0,
        median.failures,
        against(|row| row.median.calls_per_second),
        against(Row::cpu),
    );
    if let Some(failure) = &median.failure {
        let _ = writeln!(text, "        first failure: {failure}");
    }
}

/// How to read the tables.
pub(crate) fn legend(plan: &Plan) -> String {
    format!(
        "echo over one connection, closed loop; medians of {} runs of {} s; cpu: microseconds a \
         call, both sides; slowest: calls of the slowest caller, of the median one's; \
         dubhe/peer: ratios of medians\n",
        plan.runs, plan.seconds
    )
}

/// Each goal's verdict; the last line counts them.
pub(crate) fn verdicts(outcomes: &[Outcome]) -> String {
    let mut text = "\ngoals\n".to_owned();
    for outcome in outcomes {
        let _ = writeln!(text, "{outcome}");
    }
    let count = |is: fn(Verdict) -> bool| outcomes.iter().filter(|of| is(of.verdict)).count();
    let not_run = count(|verdict| verdict == Verdict::NotRun);
    if not_run > 0 {
        let _ = writeln!(text, "{not_run} not run: a peer or a cell is not in this selection");
    }
    let met = count(|verdict| matches!(verdict, Verdict::Met { .. }));
    let _ = writeln!(text, "bench: {met} of {} goals met", outcomes.len());
    text
}

/// Everything that was measured, every run of it, for [`write`].
#[derive(Debug, Serialize)]
pub(crate) struct History<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) seconds: f64,
    pub(crate) rows: &'a [Row],
    pub(crate) goals: &'a [Outcome],
}

/// Writes `history` to `path` as JSON.
pub(crate) fn write(path: &Path, history: &History<'_>) -> Result<(), BoxError> {
    std::fs::write(path, serde_json::to_vec_pretty(history)?)
        .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}
