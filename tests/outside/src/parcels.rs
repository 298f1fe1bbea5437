//! Whether a codec of one's own is treated as the others are: values, errors, limits, HTTP.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use dubhe::extend::{
    BuildContext, Codec, CodecError, Extension, Limits, Message, NoConfig, read_with_serde,
    write_with_serde,
};
use dubhe::prelude::*;
use dubhe::{Code, Error, Extensions, RunningProvider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::format::Marked;
use crate::shop;

/// JSON with line breaks, by serde.
#[derive(Debug)]
struct Quiet;

impl Extension<dyn Codec> for Quiet {
    const NAME: &'static str = "quiet";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> std::result::Result<Arc<dyn Codec>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Codec for Quiet {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn content_subtype(&self) -> &'static str {
        "quiet+json"
    }

    fn dubbo_id(&self) -> u8 {
        26
    }

    fn encode(
        &self,
        message: &dyn Message,
        buf: &mut BytesMut,
    ) -> std::result::Result<(), CodecError> {
        let mut json = serde_json::Serializer::pretty(buf.writer());
        write_with_serde(message, &mut json).map_err(|error| CodecError::new(Self::NAME, error))
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> std::result::Result<(), CodecError> {
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        json.disable_recursion_limit();
        read_with_serde(&mut json, message, limits)
            .and_then(|()| json.end())
            .map_err(|error| CodecError::new(Self::NAME, error))
    }
}

/// As an order is, and smaller ones in it.
#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct Parcel {
    id: u64,
    label: Option<String>,
    data: Vec<u8>,
    inner: Vec<Self>,
}

#[dubhe::error]
#[derive(Debug, PartialEq)]
enum Refusal {
    #[rpc(code = "not_found")]
    Unknown { id: u64 },
    #[rpc(status)]
    Status(Status),
}

#[dubhe::service(name = "shop.Parcels")]
trait Parcels {
    async fn turn(&self, parcels: Vec<Parcel>) -> Result<Vec<Parcel>>;
    async fn open(&self, parcel: Parcel) -> std::result::Result<Parcel, Refusal>;
    async fn many(&self, count: u32) -> Result<Vec<Parcel>>;
}

struct Hall;

impl Parcels for Hall {
    async fn turn(&self, mut parcels: Vec<Parcel>) -> Result<Vec<Parcel>> {
        parcels.reverse();
        Ok(parcels)
    }

    async fn open(&self, parcel: Parcel) -> std::result::Result<Parcel, Refusal> {
        let none = Refusal::Unknown { id: parcel.id };
        parcel.inner.into_iter().next().ok_or(none)
    }

    async fn many(&self, count: u32) -> Result<Vec<Parcel>> {
        Ok(vec![Parcel::default(); count as usize])
    }
}

/// A provider of parcels, and a client in a codec of this program's.
async fn parcels<C: Extension<dyn Codec>>(url: &str) -> (RunningProvider, ParcelsClient) {
    let with = || Extensions::default().with_codec::<C>();
    let provider = shop::provider(url).extensions(with()).serve(ParcelsServer::new(Hall));
    let running = provider.set("provider.limits.decoded", "1MiB").start().await.unwrap();
    let consumer = shop::consumer(url).extensions(with()).set("consumer.codec", C::NAME);
    let consumer = consumer.set("consumer.limits.decoded", "1MiB").build().unwrap();
    (running, consumer.client().await.unwrap())
}

fn parcel(id: u64, inner: Vec<Parcel>) -> Parcel {
    Parcel { id, label: Some("\u{1}é".to_owned()), data: vec![0, 255], inner }
}

async fn carries_values_and_typed_errors<C: Extension<dyn Codec>>(url: &str) {
    let (running, client) = parcels::<C>(url).await;
    let first = parcel(u64::MAX, vec![parcel(1, vec![])]);
    let turned = client.turn(vec![first.clone(), Parcel::default()]).await.unwrap();
    assert_eq!(turned, [Parcel::default(), first.clone()]);
    assert_eq!(client.open(first).await.unwrap(), parcel(1, vec![]));
    let refused = client.open(parcel(7, vec![])).await.unwrap_err();
    assert_eq!(refused, Refusal::Unknown { id: 7 });
    running.shutdown().await;
}

#[tokio::test]
async fn an_own_codec_carries_values_and_typed_errors() {
    carries_values_and_typed_errors::<Quiet>("memory://own-codec-values").await;
    carries_values_and_typed_errors::<Marked>("memory://own-format-values").await;
}

async fn keeps_the_limits<C: Extension<dyn Codec>>(url: &str) {
    let (running, client) = parcels::<C>(url).await;
    let status = client.turn(vec![Parcel::default(); 20_000]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("provider.limits.decoded"), "{status}");
    let status = client.many(20_000).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("consumer.limits.decoded"), "{status}");

    let deep = (0..100).fold(Parcel::default(), |inner, _| parcel(1, vec![inner]));
    let status = client.turn(vec![deep]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("deeper than the limit of 64"), "{status}");
    assert_eq!(client.many(1).await.unwrap().len(), 1, "the connection is whole");
    running.shutdown().await;
}

#[tokio::test]
async fn an_own_codec_is_held_to_the_limits_of_the_others() {
    keeps_the_limits::<Quiet>("memory://own-codec-limits").await;
    keeps_the_limits::<Marked>("memory://own-format-limits").await;
}

#[tokio::test]
async fn an_own_codec_is_spoken_over_http_under_its_content_type() {
    let (running, _) = parcels::<Quiet>("memory://own-codec-http").await;
    let ask = async |content_type: &str, body: &str| {
        let mut stream = TcpStream::connect(running.local_addr()).await.unwrap();
        let len = body.len();
        let request = format!(
            "POST /shop.Parcels/open HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: {content_type}\r\ncontent-length: {len}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = ask("application/quiet+json", r#"{"inner":[{"id":"3"}]}"#).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("content-type: application/quiet+json"), "{answer}");
    assert!(answer.contains("  \"id\": \"3\""), "{answer}");
    let answer = ask("application/quiet+json", r#"{"id":"7"}"#).await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains(r#""id":"7""#), "{answer}");
    let answer = ask("application/x-none", "{}").await;
    assert!(
        answer.contains("available: application/") && answer.contains("quiet+json"),
        "{answer}"
    );
    running.shutdown().await;
}
