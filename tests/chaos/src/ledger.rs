//! What every provider executed, in files that outlive their processes.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// What is executed; each kind has a file of its own at each provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// May be executed twice.
    Read,
    /// May be executed twice, but not twice by one provider.
    Mark,
    /// Must not be executed twice.
    Write,
    /// Must be executed once by every provider.
    Tell,
}

const KINDS: [Kind; 4] = [Kind::Read, Kind::Mark, Kind::Write, Kind::Tell];

impl Kind {
    const fn ending(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::Mark => "marks",
            Self::Write => "writes",
            Self::Tell => "tells",
        }
    }
}

/// Where a provider notes what it executes.
#[derive(Debug)]
pub(crate) struct Ledger([File; 4]);

impl Ledger {
    /// The ledger of the provider `name` in `folder`.
    pub(crate) fn open(folder: &Path, name: &str) -> std::io::Result<Self> {
        let open = |kind: Kind| {
            let path = folder.join(name).with_extension(kind.ending());
            OpenOptions::new().create(true).append(true).open(path)
        };
        let [read, mark, write, tell] = KINDS.map(open);
        Ok(Self([read?, mark?, write?, tell?]))
    }

    /// One write to the end, so that lines are whole also when the process dies between two.
    pub(crate) fn note(&self, kind: Kind, id: u64) -> std::io::Result<()> {
        let mut file = &self.0[kind as usize];
        file.write_all(format!("{id}\n").as_bytes())
    }
}

/// What was executed, by the name of the provider.
pub(crate) type Executed = BTreeMap<String, Vec<u64>>;

/// Every execution of this kind noted in the ledgers of `folder`.
pub(crate) fn executed(folder: &Path, kind: Kind) -> std::io::Result<Executed> {
    let mut executed = Executed::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == kind.ending()) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(path)?;
            let ids = text.lines().filter_map(|line| line.parse::<u64>().ok()).collect();
            executed.insert(name, ids);
        }
    }
    Ok(executed)
}

/// The same, wherever they were.
pub(crate) fn all(folder: &Path, kind: Kind) -> std::io::Result<Vec<u64>> {
    Ok(executed(folder, kind)?.into_values().flatten().collect())
}

/// How many of `ids` were executed more than once.
pub(crate) fn repeated(ids: &[u64]) -> usize {
    let mut seen = HashSet::new();
    ids.iter().filter(|id| !seen.insert(**id)).count()
}
