//! volo: thrift in TTHeader frames (its default), multiplexed on both sides; it turns Nagle's
//! delay off by itself.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpListener;
use volo::net::Address;
use volo::net::incoming::DefaultIncoming;
use volo_thrift::ServerError;

use self::stub::volo_gen::bench::{EchoClient, EchoClientBuilder, EchoServer};
use super::{BoxError, Echo, LOOPBACK, Peer, announce};

#[allow(unsafe_code, reason = "generated code")]
mod stub {
    include!(concat!(env!("OUT_DIR"), "/volo_gen.rs"));
}

pub(crate) struct Volo;

struct Same;

impl stub::volo_gen::bench::Echo for Same {
    async fn echo(&self, body: Bytes) -> Result<Bytes, ServerError> {
        Ok(body)
    }
}

impl Peer for Volo {
    const NAME: &'static str = "volo";
    const PACKAGE: &'static str = "volo-thrift";
    type Echo = EchoClient;

    async fn serve() -> Result<(), BoxError> {
        let listener = TcpListener::bind(LOOPBACK).await?;
        announce(listener.local_addr()?);
        EchoServer::new(Same).multiplex(true).run(DefaultIncoming::from(listener)).await
    }

    async fn connect(addr: SocketAddr) -> Result<Self::Echo, BoxError> {
        Ok(EchoClientBuilder::new("bench").multiplex(true).address(Address::Ip(addr)).build())
    }
}

impl Echo for EchoClient {
    async fn echo(&self, body: Bytes) -> Result<Bytes, BoxError> {
        Ok(Self::echo(self, body).await?)
    }
}
