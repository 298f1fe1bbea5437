//! The list of a service as a server sends it, with as much read of it as says which it is: of lists that follow
//! each other quickly the newest alone is read.

use bytes::Bytes;

use super::messages::{ListHead, MessageHead, NacosService, WholeList, read_json, without_group};
use crate::dubbo::TreeMark;

/// Bytes of a host that tells little of itself. Whoever provides a service of Dubbo takes several times as many; the
/// fewest with which one can be read are about 75.
const BYTES_OF_ONE: usize = 128;

/// A list that was not read yet. It holds the message that it came in.
#[derive(Debug, Clone)]
pub(super) struct UnreadList {
    head: ListHead,
    json: Bytes,
}

impl UnreadList {
    /// The list of an answer, which is there as text, too.
    ///
    /// # Errors
    /// It has none, which is not one without hosts.
    pub(super) fn new(head: MessageHead, json: Bytes) -> Result<Self, String> {
        Ok(Self { head: head.service_info.ok_or("it has no list")?, json })
    }

    /// A pushed list, and the id of its push.
    ///
    /// # Errors
    /// It is of another form.
    pub(super) fn pushed(json: Bytes) -> Result<(Self, Option<String>), String> {
        let mut push: MessageHead = read_json(&json)?;
        let id = push.request_id.take();
        Ok((Self::new(push, json)?, id))
    }

    /// The name of its service, without the group.
    pub(super) fn service(&self) -> &str {
        without_group(self.head.name.as_deref().unwrap_or_default())
    }

    /// When the server made it, in milliseconds by its clock.
    pub(super) fn made_ms(&self) -> i64 {
        self.head.last_ref_time
    }

    /// Another list has another one: it is of the text of the hosts, without what changes each time.
    pub(super) fn mark(&self) -> Option<TreeMark> {
        self.head.hosts
    }

    /// How many hosts it has, if they tell little of themselves.
    pub(super) fn len(&self) -> usize {
        hosts_in(&self.json)
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is of another form.
    pub(super) fn read(&self) -> Result<NacosService, String> {
        let list: WholeList = read_json(&self.json)?;
        Ok(list.service_info.unwrap_or_default())
    }
}

/// How many hosts a message has, if they tell little of themselves.
pub(super) fn hosts_in(json: &[u8]) -> usize {
    json.len() / BYTES_OF_ONE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(list: &str) -> Option<TreeMark> {
        let push = format!(r#"{{"requestId":"7","serviceInfo":{list}}}"#);
        UnreadList::pushed(push.into()).unwrap().0.mark()
    }

    #[test]
    fn a_list_has_the_mark_of_its_hosts_whenever_it_was_made() {
        let first = marked(r#"{"name":"a","lastRefTime":1,"hosts":[{"ip":"10.0.0.1","port":1}]}"#);
        assert!(first.is_some());
        for (same, list) in [
            (true, r#"{"hosts":[{"ip":"10.0.0.1","port":1}],"lastRefTime":2,"checksum":"x"}"#),
            (false, r#"{"name":"a","lastRefTime":1,"hosts":[{"ip":"10.0.0.1","port":2}]}"#),
            (false, r#"{"name":"a","lastRefTime":1,"hosts":[]}"#),
            (false, r#"{"name":"a","lastRefTime":1,"hosts":null}"#),
            (false, r#"{"name":"a","lastRefTime":1}"#),
        ] {
            assert_eq!(marked(list) == first, same, "{list}");
        }
    }
}
