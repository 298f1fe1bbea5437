//! What every provider executed, in files that outlive their processes.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Where a provider notes what it executes.
#[derive(Debug)]
pub(crate) struct Ledger(File);

impl Ledger {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self(OpenOptions::new().create(true).append(true).open(path)?))
    }

    /// Notes that the call `id` is executed: one write to the end, so that lines are whole also
    /// when the process dies between two.
    pub(crate) fn note(&self, id: u64) -> std::io::Result<()> {
        (&self.0).write_all(format!("{id}\n").as_bytes())
    }
}

/// Every execution noted in the ledgers of `folder`.
pub(crate) fn read_all(folder: &Path) -> std::io::Result<Vec<u64>> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "ledger") {
            let text = std::fs::read_to_string(path)?;
            ids.extend(text.lines().filter_map(|line| line.parse::<u64>().ok()));
        }
    }
    Ok(ids)
}

/// How many of `ids` were executed more than once.
pub(crate) fn repeated(ids: &[u64]) -> usize {
    let mut seen = HashSet::new();
    ids.iter().filter(|id| !seen.insert(**id)).count()
}
