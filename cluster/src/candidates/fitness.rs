//! The list and states that candidates were made from, and how they were separated from the rest.

use tokio::time::Instant;

/// Which list and which states of it candidates were made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MadeOf {
    /// Version of the list.
    pub(crate) version: u64,
    /// How many changes of states came before.
    pub(crate) changes: u64,
}

/// How candidates were separated from the rest of the list.
#[derive(Debug)]
pub(super) struct Fitness {
    pub(super) made_of: MadeOf,
    pub(super) made: Instant,
    /// Their rank.
    pub(super) best: u8,
    /// Whether ejections were ignored.
    pub(super) is_open: bool,
    /// When the first full endpoint of the list has room again.
    pub(super) full_until: Option<Instant>,
}
