//! What the two ends say to each other.

use std::collections::BTreeMap;

use dubhe::prelude::*;

/// A value of every kind of field.
#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Everything {
    pub(crate) flag: bool,
    pub(crate) small: i32,
    pub(crate) large: u64,
    pub(crate) negative: i64,
    pub(crate) ratio: f64,
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) maybe: Option<String>,
    pub(crate) list: Vec<u32>,
    pub(crate) texts: BTreeMap<String, i64>,
    pub(crate) nested: Option<Box<Self>>,
    pub(crate) choice: Choice,
}

/// An alternative with data and without.
#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Choice {
    Nothing,
    Number(i64),
    Pair { left: String, right: String },
}

/// An error that is a value.
#[dubhe::error]
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    #[rpc(code = "not_found", message = "there is no `{0}`")]
    Missing(String),
    #[rpc(message = "{what} lacks {by}")]
    Short { what: String, by: u64 },
    #[rpc(status)]
    Status(Status),
}

/// One method for each thing that travels.
#[dubhe::service(name = "peer.Probe")]
pub(crate) trait Probe {
    /// Returns what it was given.
    #[rpc(idempotent)]
    async fn echo(&self, everything: Everything) -> Result<Everything>;

    /// Returns a text of so many bytes.
    #[rpc(idempotent)]
    async fn text_of(&self, bytes: u32) -> Result<String>;

    /// Fails as a value.
    async fn refuse(&self, by: u64) -> Result<(), Refusal>;

    /// Fails with a status.
    async fn fail(&self) -> Result<()>;

    /// Fails because a call of its own did.
    async fn lean(&self, address: String) -> Result<()>;

    /// What came beside the arguments, as `key=value`.
    #[rpc(idempotent)]
    async fn beside(&self) -> Result<Vec<String>>;

    /// Has no answer.
    #[rpc(oneway)]
    async fn note(&self, text: String) -> Result<()>;

    /// The last text that was noted.
    #[rpc(idempotent)]
    async fn noted(&self) -> Result<Option<String>>;

    /// Does not end by itself.
    async fn hang(&self) -> Result<()>;
}
