//! What every provider executed, in files that outlive their processes.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Where a provider notes what it executes: reads apart from writes, as those may run twice.
#[derive(Debug)]
pub(crate) struct Ledger {
    reads: File,
    writes: File,
}

impl Ledger {
    /// The ledger of the provider `name` in `folder`.
    pub(crate) fn open(folder: &Path, name: &str) -> std::io::Result<Self> {
        let open = |ending| {
            let path = folder.join(name).with_extension(ending);
            OpenOptions::new().create(true).append(true).open(path)
        };
        Ok(Self { reads: open(READS)?, writes: open(WRITES)? })
    }

    pub(crate) fn note_read(&self, id: u64) -> std::io::Result<()> {
        note(&self.reads, id)
    }

    pub(crate) fn note_write(&self, id: u64) -> std::io::Result<()> {
        note(&self.writes, id)
    }
}

/// One write to the end, so that lines are whole also when the process dies between two.
fn note(mut file: &File, id: u64) -> std::io::Result<()> {
    file.write_all(format!("{id}\n").as_bytes())
}

const READS: &str = "reads";
const WRITES: &str = "writes";

/// Every execution of a read noted in the ledgers of `folder`.
pub(crate) fn reads(folder: &Path) -> std::io::Result<Vec<u64>> {
    noted(folder, READS)
}

/// Every execution of a write noted in the ledgers of `folder`.
pub(crate) fn writes(folder: &Path) -> std::io::Result<Vec<u64>> {
    noted(folder, WRITES)
}

fn noted(folder: &Path, kind: &str) -> std::io::Result<Vec<u64>> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == kind) {
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
