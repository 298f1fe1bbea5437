//! The one message of Nacos' gRPC: a kind, headers, and a body of JSON.

use std::collections::BTreeMap;

use bytes::Bytes;

/// A request or an answer.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Payload {
    #[prost(message, optional, tag = "2")]
    pub(super) metadata: Option<PayloadMetadata>,
    #[prost(message, optional, tag = "3")]
    pub(super) body: Option<PayloadBody>,
}

/// What it is, and whose.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PayloadMetadata {
    /// The name of the class that the body is read as, such as `InstanceRequest`.
    #[prost(string, tag = "3")]
    pub(super) kind: String,
    #[prost(btree_map = "string, string", tag = "7")]
    pub(super) headers: BTreeMap<String, String>,
    #[prost(string, tag = "8")]
    pub(super) client_ip: String,
}

/// Protobuf's `Any`, whose type is not given: the kind says it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PayloadBody {
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) json: Bytes,
}

impl Payload {
    pub(super) fn new(kind: &str, client_ip: &str, json: Vec<u8>) -> Self {
        let (kind, client_ip) = (kind.to_owned(), client_ip.to_owned());
        let metadata = PayloadMetadata { kind, client_ip, headers: BTreeMap::new() };
        Self { metadata: Some(metadata), body: Some(PayloadBody { json: json.into() }) }
    }

    pub(super) fn kind(&self) -> &str {
        self.metadata.as_ref().map_or("", |metadata| &metadata.kind)
    }

    /// It shares the memory of the message.
    pub(super) fn json(&self) -> Bytes {
        self.body.as_ref().map_or_else(Bytes::new, |body| body.json.clone())
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_published_message() {
        let mut payload = Payload::new("A", "b", b"{}".to_vec());
        let metadata = payload.metadata.as_mut().unwrap();
        metadata.headers.insert("k".to_owned(), "v".to_owned());
        let bytes = payload.encode_to_vec();
        let expected = b"\x12\x0e\x1a\x01A\x3a\x06\x0a\x01k\x12\x01v\x42\x01b\x1a\x04\x12\x02{}";
        assert_eq!(bytes, expected);
        let read = Payload::decode(&bytes[..]).unwrap();
        assert_eq!((read.kind(), &*read.json()), ("A", &b"{}"[..]));
    }
}
