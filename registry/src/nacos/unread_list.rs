//! The list of a service as a server sends it, with as much read of it as says which it is: of lists that follow
//! each other quickly the newest alone is read.

use bytes::Bytes;

use super::messages::{ListHead, NacosService, ServiceAnswer, WholeList};

/// No host takes fewer bytes, if it can be one.
const BYTES_OF_ONE: usize = 128;

/// A list that was not read yet. It holds the message that it came in.
#[derive(Debug, Clone)]
pub(super) struct UnreadList {
    head: ListHead,
    json: Bytes,
}

impl UnreadList {
    /// The list of an answer, which is there as text, too.
    pub(super) fn new(answer: ServiceAnswer, json: Bytes) -> Self {
        Self { head: answer.service_info.unwrap_or_default(), json }
    }

    /// A pushed list.
    ///
    /// # Errors
    /// It is of another form.
    pub(super) fn pushed(json: Bytes) -> Result<Self, String> {
        let push: ServiceAnswer =
            serde_json::from_slice(&json).map_err(|error| error.to_string())?;
        let head = push.service_info.ok_or("it has no list")?;
        Ok(Self { head, json })
    }

    /// The name of its service, without the group.
    pub(super) fn service(&self) -> &str {
        let name = self.head.name.as_deref().unwrap_or_default();
        name.split_once("@@").map_or(name, |(_, name)| name)
    }

    /// When the server made it, in milliseconds by its clock.
    pub(super) fn made_ms(&self) -> i64 {
        self.head.last_ref_time
    }

    /// How many hosts it has at most, about.
    pub(super) fn len(&self) -> usize {
        hosts_in(&self.json)
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is of another form.
    pub(super) fn read(&self) -> Result<NacosService, String> {
        let list: WholeList = serde_json::from_slice(&self.json)
            .map_err(|error| format!("it sent a list of another form: {error}"))?;
        Ok(list.service_info.unwrap_or_default())
    }
}

/// How many hosts a message has at most, about.
pub(super) fn hosts_in(json: &[u8]) -> usize {
    json.len() / BYTES_OF_ONE
}
