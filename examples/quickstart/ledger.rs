//! What a provider did, in a file that survives its death: calls begun and calls ended.
//!
//! Each is written through to the kernel before the call goes on, so that the counts hold even
//! when the process is killed in the middle of one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The ledger of one life of a provider.
pub struct Ledger {
    file: File,
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Ledger {
    /// A new, empty ledger at `path`.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Self { file, begun: AtomicU64::new(0), ended: AtomicU64::new(0) })
    }

    /// Notes that a call has begun.
    pub fn begin(&self) -> io::Result<()> {
        self.note(&self.begun, 0)
    }

    /// Notes that a call has ended.
    pub fn end(&self) -> io::Result<()> {
        self.note(&self.ended, 1)
    }

    /// Adds one byte to the file's column of even or odd places: its length counts, and no two
    /// writers can overwrite each other.
    fn note(&self, count: &AtomicU64, column: u64) -> io::Result<()> {
        let place = count.fetch_add(1, Ordering::Relaxed);
        self.file.write_all_at(&[1], place * 2 + column)
    }
}

/// Calls begun and ended, as the ledger at `path` has them.
pub fn read(path: &Path) -> io::Result<(u64, u64)> {
    let bytes = std::fs::read(path)?;
    let count = |column| bytes.iter().skip(column).step_by(2).filter(|byte| **byte == 1).count();
    Ok((count(0) as u64, count(1) as u64))
}
