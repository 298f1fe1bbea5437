//! Holds the worked example of `docs/wire.md` against what the code writes and reads.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rpc_core::Metadata;
use rpc_core::codec::{Codec, CodecError, Codecs, Limits};
use rpc_core::message::{Message, Returned};
use rpc_core::status::{Code, Delivery, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::respond;
use super::server::turn_away::turn_away;
use super::wire::compact;
use super::wire::envelope::ParsedAnswer;
use super::wire::header::{self, Header, status};

const PAGE: &str = include_str!("../../../docs/wire.md");

/// The bytes of the block that begins with "```hex" and `name`.
fn hex(name: &str) -> Vec<u8> {
    let (_, rest) = PAGE.split_once(&format!("```hex {name}\n")).expect("the page has the block");
    let (block, _) = rest.split_once("```").unwrap();
    let code = block.lines().filter_map(|line| line.split('#').next());
    let bytes = code.flat_map(str::split_whitespace);
    bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// One string as field 1: the form of a list of one string, and of a result that is one.
fn field_one(buf: &mut BytesMut, text: &str) {
    Returned(text.to_owned()).encode_proto(buf).unwrap();
}

fn put_request_body(buf: &mut BytesMut, metadata: &Metadata) {
    compact::put_request_head(buf, "Greeter/hello", 1_000_000, 5_000_000, metadata);
    field_one(buf, "bob");
}

/// A codec by its id alone: a status without a business error has nothing else of it.
#[derive(Debug)]
struct ById(u8, &'static str);

impl Codec for ById {
    fn name(&self) -> &'static str {
        self.1
    }

    fn content_subtype(&self) -> &'static str {
        self.1
    }

    fn dubbo_id(&self) -> u8 {
        self.0
    }

    fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
        message.encode_proto(buf).map_err(|error| CodecError::new("protobuf", error))
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> Result<(), CodecError> {
        message.merge_proto(bytes, limits).map_err(|error| CodecError::new("protobuf", error))
    }
}

#[test]
fn the_request_of_the_page_is_what_is_written() {
    let mut buf = BytesMut::new();
    Header::request(13, true, 0).put(&mut buf);
    put_request_body(&mut buf, &Metadata::new());
    header::finish(&mut buf, 0, 0, 1024).unwrap();
    assert_eq!(buf[..], hex("request"));

    let mut body = BytesMut::new();
    put_request_body(&mut body, &Metadata::from_iter([("trace", "1")]));
    assert_eq!(body[..], hex("request-with-metadata"));
}

#[test]
fn the_answer_of_the_page_is_what_is_written() {
    let mut buf = BytesMut::new();
    Header::response(13, status::OK, 0).put(&mut buf);
    compact::put_value_head(&mut buf, &Metadata::new());
    field_one(&mut buf, "hi bob");
    header::finish(&mut buf, 0, 0, 1024).unwrap();
    assert_eq!(buf[..], hex("answer"));
}

#[test]
fn the_refusal_of_the_page_is_what_is_read_and_written() {
    let bytes = Bytes::from(hex("refusal"));
    let header = Header::parse(&bytes).unwrap().unwrap();
    assert_eq!((header.status, header.serialization()), (status::SERVICE_NOT_FOUND, 13));
    assert_eq!(header.body_len as usize, bytes.len() - header::LEN);
    let ParsedAnswer::Status { status, details: None } =
        compact::parse_answer(bytes.slice(header::LEN..)).unwrap()
    else {
        panic!("the page shows a status without details");
    };
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "gone"));
    assert_eq!((status.delivery(), status.is_service_missing()), (Delivery::Refused, true));

    let mut buf = BytesMut::new();
    respond::put_status(&mut buf, 0, status::SERVICE_NOT_FOUND, &ById(13, "protobuf"), &status);
    assert_eq!(buf[..], bytes[..]);
}

/// What is said to a peer whose first frame is an event in serialization `id`.
async fn turned_away(codecs: &Codecs, id: u8) -> Vec<u8> {
    let why = Status::resource_exhausted("full").with_delivery(Delivery::Refused);
    let (mut peer, io) = tokio::io::duplex(1024);
    let mut heartbeat = BytesMut::new();
    Header::event(id, true, 7).put(&mut heartbeat);
    let told = async {
        peer.write_all(&heartbeat).await.unwrap();
        let mut said = Vec::new();
        peer.read_to_end(&mut said).await.unwrap();
        drop(peer);
        said
    };
    let (said, done) = tokio::join!(told, turn_away(Box::new(io), BytesMut::new(), codecs, &why));
    done.unwrap();
    said
}

#[tokio::test]
async fn a_peer_that_is_turned_away_gets_the_refusal_of_the_page() {
    let codecs = Codecs::new(Arc::new(ById(13, "protobuf")), []);
    assert_eq!(turned_away(&codecs, 13).await, hex("connection-refusal"));
    assert!(turned_away(&codecs, 2).await.is_empty(), "other peers would not understand it");
}

#[tokio::test]
async fn a_peer_with_a_codec_of_a_programs_own_is_told_as_well() {
    let own: Arc<dyn Codec> = Arc::new(ById(31, "own"));
    let codecs = Codecs::new(Arc::new(ById(13, "protobuf")), [own]);
    assert_eq!(turned_away(&codecs, 31).await, hex("connection-refusal"));
    let without = Codecs::new(Arc::new(ById(13, "protobuf")), []);
    assert!(turned_away(&without, 31).await.is_empty());
}
