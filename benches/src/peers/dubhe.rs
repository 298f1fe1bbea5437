//! Dubhe by its full path: typed stub, cluster with failover and p2c, `static://` registry, metrics
//! and spans at their defaults. Once with protobuf bodies and once with msgpack.

use std::net::SocketAddr;

use bytes::Bytes;
use dubhe::prelude::*;

use super::{BoxError, Peer, announce};

/// Gives back what it gets.
#[dubhe::service]
pub(crate) trait Mirror {
    #[rpc(idempotent)]
    async fn echo(&self, body: Bytes) -> Result<Bytes>;
}

struct Same;

impl Mirror for Same {
    async fn echo(&self, body: Bytes) -> Result<Bytes> {
        Ok(body)
    }
}

/// With protobuf, the default.
pub(crate) struct Dubhe;

/// With msgpack.
pub(crate) struct DubheMsgpack;

impl Peer for Dubhe {
    const NAME: &'static str = "dubhe";
    const PACKAGE: &'static str = "dubhe";
    type Echo = MirrorClient;

    async fn serve() -> Result<(), BoxError> {
        serve().await
    }

    async fn connect(addr: SocketAddr) -> Result<MirrorClient, BoxError> {
        connect(addr, "protobuf").await
    }
}

impl Peer for DubheMsgpack {
    const NAME: &'static str = "dubhe-msgpack";
    const PACKAGE: &'static str = "dubhe";
    type Echo = MirrorClient;

    async fn serve() -> Result<(), BoxError> {
        serve().await
    }

    async fn connect(addr: SocketAddr) -> Result<MirrorClient, BoxError> {
        connect(addr, "msgpack").await
    }
}

impl super::Echo for MirrorClient {
    async fn echo(&self, body: Bytes) -> Result<Bytes, BoxError> {
        Ok(Mirror::echo(self, body).await?)
    }
}

async fn serve() -> Result<(), BoxError> {
    let provider = Provider::new("memory://bench").set("provider.port", 0);
    let running = provider.serve(MirrorServer::new(Same)).start().await?;
    announce(running.local_addr());
    running.run().await?;
    Ok(())
}

async fn connect(addr: SocketAddr, codec: &str) -> Result<MirrorClient, BoxError> {
    let consumer = Consumer::new(&format!("static://{addr}")).set("consumer.codec", codec);
    Ok(consumer.build()?.client().await?)
}
