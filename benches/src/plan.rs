//! What is measured: every peer at every placement, size and number of callers, several times.
//!
//! Peers take turns within a cell, so that a machine that slows down slows all of them, and each
//! run has a server and a client of its own, so that none inherits another's state.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::load::Sample;
use crate::peers::{BoxError, Entry};
use crate::process::Process;
use crate::results::Row;

/// Cores of the server and of the client when they are pinned.
const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;

/// Time a child has beyond its own work to start, connect and sum up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where server and client run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Placement {
    /// Each on one core of its own.
    Pinned,
    /// Wherever the kernel puts them.
    Free,
}

/// One point of the plan, at which all peers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Cell {
    pub(crate) placement: Placement,
    /// Bytes of a body.
    pub(crate) size: usize,
    pub(crate) callers: usize,
}

/// A whole bench.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) peers: Vec<Entry>,
    pub(crate) placements: Vec<Placement>,
    pub(crate) sizes: Vec<usize>,
    pub(crate) callers: Vec<usize>,
    /// Runs of each peer in each cell.
    pub(crate) runs: usize,
    /// Measured seconds of a run; a third of them comes before as warm-up.
    pub(crate) seconds: f64,
}

impl Plan {
    /// Every point of the plan.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &placement in &self.placements {
            for &size in &self.sizes {
                cells.extend(self.callers.iter().map(|&callers| Cell { placement, size, callers }));
            }
        }
        cells
    }

    /// Runs all peers at `cell`.
    ///
    /// # Errors
    /// When a server or a client cannot be started or does not come to its end; failed calls are
    /// part of the rows.
    pub(crate) fn measure(&self, cell: Cell) -> Result<Vec<Row>, BoxError> {
        let mut runs = vec![Vec::with_capacity(self.runs); self.peers.len()];
        for _ in 0..self.runs {
            for (peer, samples) in self.peers.iter().zip(&mut runs) {
                let sample = self.run(*peer, cell);
                samples.push(sample.map_err(|error| format!("{} at {cell}: {error}", peer.name))?);
            }
        }
        Ok(self.peers.iter().zip(runs).map(|(peer, runs)| Row::of(cell, peer.name, runs)).collect())
    }

    fn run(&self, peer: Entry, cell: Cell) -> Result<Sample, BoxError> {
        let server =
            Process::start(cell.core(SERVER_CORE), &words(["server", "--peer", peer.name]))?;
        let addr = server.line(PATIENCE)?;
        let mut args = words(["client", "--peer", peer.name, "--addr", &addr]);
        args.extend(["--server".to_owned(), server.id().to_string()]);
        args.extend(["--callers".to_owned(), cell.callers.to_string()]);
        args.extend(["--size".to_owned(), cell.size.to_string()]);
        args.extend(["--seconds".to_owned(), self.seconds.to_string()]);
        let client = Process::start(cell.core(CLIENT_CORE), &args)?;
        let work = Duration::from_secs_f64(self.seconds) + warm_up(self.seconds);
        Ok(serde_json::from_str(&client.line(work + PATIENCE)?)?)
    }
}

impl Cell {
    fn core(self, core: usize) -> Option<usize> {
        (self.placement == Placement::Pinned).then_some(core)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let placement = match self.placement {
            Placement::Pinned => "pinned",
            Placement::Free => "free",
        };
        let callers = if self.callers == 1 { "caller" } else { "callers" };
        write!(f, "{placement}, {} B, {} {callers}", self.size, self.callers)
    }
}

/// Time under load before `seconds` are measured.
pub(crate) fn warm_up(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds / 3.0)
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}
