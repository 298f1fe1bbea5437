//! A codec of one's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use dubhe::extend::{
    BuildContext, Codec, CodecError, Extension, Limits, Message, NoConfig, read_with_serde,
    write_with_serde,
};
use dubhe::{Error, Extensions};

use crate::shop::{self, Shop, Stock, StockClient};

/// JSON with line breaks, for people who read traffic. Counts what it writes and reads.
#[derive(Debug)]
struct Pretty;

static WRITTEN: AtomicU64 = AtomicU64::new(0);
static READ: AtomicU64 = AtomicU64::new(0);

impl Extension<dyn Codec> for Pretty {
    const NAME: &'static str = "pretty";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Codec>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Codec for Pretty {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn content_subtype(&self) -> &'static str {
        "pretty+json"
    }

    fn dubbo_id(&self) -> u8 {
        31
    }

    fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
        WRITTEN.fetch_add(1, Ordering::AcqRel);
        let mut json = serde_json::Serializer::pretty(buf.writer());
        write_with_serde(message, &mut json).map_err(|error| CodecError::new(Self::NAME, error))
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> Result<(), CodecError> {
        READ.fetch_add(1, Ordering::AcqRel);
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        json.disable_recursion_limit();
        read_with_serde(&mut json, message, limits)
            .and_then(|()| json.end())
            .map_err(|error| CodecError::new(Self::NAME, error))
    }
}

/// A second codec of a program's own, under an id that is taken or impossible.
#[derive(Debug)]
struct Strange<const ID: u8>;

impl<const ID: u8> Extension<dyn Codec> for Strange<ID> {
    const NAME: &'static str = "strange";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Codec>, Error> {
        Ok(Arc::new(Self))
    }
}

impl<const ID: u8> Codec for Strange<ID> {
    fn name(&self) -> &'static str {
        "strange"
    }

    fn content_subtype(&self) -> &'static str {
        if ID == 30 { "Strange" } else { "strange" }
    }

    fn dubbo_id(&self) -> u8 {
        ID
    }

    fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
        Pretty.encode(message, buf)
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> Result<(), CodecError> {
        Pretty.decode(bytes, message, limits)
    }
}

#[tokio::test]
async fn codecs_that_nobody_could_tell_apart_on_the_wire_are_refused_by_name() {
    let url = "memory://strange-codec";
    let with = || Extensions::default().with_codec::<Pretty>();
    let same = with().with_codec::<Strange<31>>();
    let refused = shop::consumer(url).extensions(same).build().unwrap_err().to_string();
    assert!(refused.contains("pretty and strange have the same serialization id 31"), "{refused}");
    let upper = with().with_codec::<Strange<30>>();
    let refused = shop::consumer(url).extensions(upper).build().unwrap_err().to_string();
    assert!(refused.contains("strange has the content subtype \"Strange\""), "{refused}");
    let large = with().with_codec::<Strange<32>>();
    let server = shop::StockServer::from_arc(Shop::new("a"));
    let started = shop::provider(url).extensions(large).serve(server).start().await;
    let refused = started.map(drop).unwrap_err().to_string();
    assert!(refused.contains("strange has the serialization id 32"), "{refused}");
}

#[tokio::test]
async fn an_own_codec_is_chosen_by_name_and_used_at_both_ends() {
    let url = "memory://own-codec";
    let with = || Extensions::default().with_codec::<Pretty>();
    let server = shop::StockServer::from_arc(Shop::new("a"));
    let running = shop::provider(url).extensions(with()).serve(server).start().await.unwrap();
    let consumer = shop::consumer(url).extensions(with()).set("consumer.codec", "pretty");
    let stock: StockClient = consumer.build().unwrap().client().await.unwrap();
    assert_eq!(stock.count(7).await.unwrap(), "a 7");
    let figures = || (WRITTEN.load(Ordering::Acquire), READ.load(Ordering::Acquire));
    assert_eq!(figures(), (2, 2), "request and reply");

    // Who lacks it meets the provider in another codec.
    let stock: StockClient = shop::consumer(url).build().unwrap().client().await.unwrap();
    assert_eq!(stock.count(8).await.unwrap(), "a 8");
    assert_eq!(figures(), (2, 2));
    running.shutdown().await;
}
