//! tarpc: bincode in length-delimited frames, a task per request on the server as its readme has
//! it, the queues of both sides raised above the number of callers.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::StreamExt;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::{Framed, LengthDelimitedCodec};
use tarpc::{client, context, serde_transport, server};
use tokio::net::{TcpListener, TcpStream};

use super::{BoxError, Echo, IN_FLIGHT, LOOPBACK, Peer, announce};

pub(crate) struct Tarpc;

#[tarpc::service]
pub(crate) trait Service {
    async fn echo(body: Bytes) -> Bytes;
}

#[derive(Clone)]
struct Same;

impl Service for Same {
    async fn echo(self, _: context::Context, body: Bytes) -> Bytes {
        body
    }
}

impl Peer for Tarpc {
    const NAME: &'static str = "tarpc";
    const PACKAGE: &'static str = "tarpc";
    type Echo = ServiceClient;

    async fn serve() -> Result<(), BoxError> {
        let listener = TcpListener::bind(LOOPBACK).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            let transport = serde_transport::new(framed(stream)?, Bincode::default());
            let config = server::Config { pending_response_buffer: IN_FLIGHT };
            let requests = BaseChannel::new(config, transport).execute(Same.serve());
            tokio::spawn(requests.for_each(spawned));
        }
    }

    async fn connect(addr: SocketAddr) -> Result<Self::Echo, BoxError> {
        let transport =
            serde_transport::new(framed(TcpStream::connect(addr).await?)?, Bincode::default());
        let mut config = client::Config::default();
        config.max_in_flight_requests = IN_FLIGHT;
        config.pending_request_buffer = IN_FLIGHT;
        Ok(ServiceClient::new(config, transport).spawn())
    }
}

impl Echo for ServiceClient {
    async fn echo(&self, body: Bytes) -> Result<Bytes, BoxError> {
        Ok(Self::echo(self, context::current(), body).await?)
    }
}

/// The frames of tarpc's own TCP transport, without Nagle's delay.
fn framed(stream: TcpStream) -> Result<Framed<TcpStream, LengthDelimitedCodec>, BoxError> {
    stream.set_nodelay(true)?;
    Ok(Framed::new(stream, LengthDelimitedCodec::new()))
}

async fn spawned(request: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(request);
}
