//! tonic: protobuf over HTTP/2 without Nagle's delay, with flow control windows and a number of
//! streams that no load of the harness fills.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use self::stub::echo_client::EchoClient;
use self::stub::echo_server::{self, EchoServer};
use super::{BoxError, Echo, IN_FLIGHT, LOOPBACK, Peer, announce};

#[allow(private_interfaces, unreachable_pub, unused_qualifications, reason = "generated code")]
mod stub {
    include!(concat!(env!("OUT_DIR"), "/bench.Echo.rs"));
}

/// HTTP/2 flow control windows in bytes: per stream, per connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

pub(crate) struct Tonic;

/// The message of both directions, which the generated stub names.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    body: Bytes,
}

struct Same;

#[tonic::async_trait]
impl echo_server::Echo for Same {
    async fn echo(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

impl Peer for Tonic {
    const NAME: &'static str = "tonic";
    const PACKAGE: &'static str = "tonic";
    type Echo = EchoClient<Channel>;

    async fn serve() -> Result<(), BoxError> {
        let listener = TcpListener::bind(LOOPBACK).await?;
        announce(listener.local_addr()?);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(IN_FLIGHT as u32)
            .add_service(EchoServer::new(Same))
            .serve_with_incoming(incoming)
            .await?;
        Ok(())
    }

    async fn connect(addr: SocketAddr) -> Result<Self::Echo, BoxError> {
        let channel = Endpoint::from_shared(format!("http://{addr}"))?
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .buffer_size(IN_FLIGHT)
            .connect()
            .await?;
        Ok(EchoClient::new(channel))
    }
}

impl Echo for EchoClient<Channel> {
    async fn echo(&self, body: Bytes) -> Result<Bytes, BoxError> {
        // A channel is cloned per call: its calls take `&mut self`, and tonic documents the clone.
        Ok(Self::echo(&mut self.clone(), Payload { body }).await?.into_inner().body)
    }
}
