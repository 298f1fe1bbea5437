//! What the wire tests share: a message that is a text, a codec that writes it as it is, a service
//! of a few methods, and a provider and consumer on loopback.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a part of tests")]

pub mod pool;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dubhe_protocols::Connections;
use dubhe_protocols::{Server, TcpListen};
use rpc_core::client::ClientConfig;
use rpc_core::codec::CodecError;
use rpc_core::descriptor::{MessageType, MethodDescriptor, ServiceDescriptor};
use rpc_core::message::{Message, Read, Reader, Writer};
use rpc_core::server::{Dispatcher, Handler, ServerConfig};
use rpc_core::{
    Body, Channel, Codec, Codecs, Connector, Deadline, Instance, Invocation, Method, MethodKind,
    Metrics, Reply, ReplyFuture, ServiceKey, Status,
};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

/// A text as a message.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Text(pub String);

impl Message for Text {
    fn proto_len(&self) -> usize {
        self.0.len()
    }

    fn encode_proto(&self, buf: &mut BytesMut) -> Result<(), rpc_core::message::Problem> {
        buf.extend_from_slice(self.0.as_bytes());
        Ok(())
    }

    fn merge_proto(
        &mut self,
        bytes: Bytes,
        _: &mut rpc_core::codec::Limits,
    ) -> Result<(), rpc_core::message::DecodeError> {
        self.0 = String::from_utf8_lossy(&bytes).into_owned();
        Ok(())
    }

    fn write(&self, writer: &mut dyn Writer) {
        writer.str(None, &self.0);
    }

    fn read(&mut self, reader: &mut dyn Reader, _: &mut rpc_core::codec::Limits) -> Read {
        reader.string(&mut self.0)
    }
}

/// Writes a [`Text`] as it is.
#[derive(Debug)]
pub struct Plain;

impl Codec for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn content_subtype(&self) -> &'static str {
        "json"
    }

    fn dubbo_id(&self) -> u8 {
        13
    }

    fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
        message.encode_proto(buf).map_err(|error| CodecError::new("plain", error))
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut rpc_core::codec::Limits,
    ) -> Result<(), CodecError> {
        message.merge_proto(bytes, limits).map_err(|error| CodecError::new("plain", error))
    }
}

/// The methods of the test service, by index.
pub const ECHO: usize = 0;
pub const HANG: usize = 1;
pub const PANIC: usize = 2;
pub const FAIL: usize = 3;
pub const LARGE: usize = 4;
pub const SLOW_ECHO: usize = 5;
pub const LATE_LARGE: usize = 6;

const NAMES: [&str; 7] = ["echo", "hang", "panic", "fail", "large", "slow_echo", "late_large"];

fn no_type() -> MessageType {
    MessageType {
        id: None,
        name: "Text".into(),
        class: "",
        doc: "",
        fields: vec![],
        is_oneof: false,
        takes_unknown: false,
        reserved: vec![],
        length: None,
    }
}

static METHODS: [MethodDescriptor; 7] = [
    MethodDescriptor::new("echo", no_type, no_type),
    MethodDescriptor::new("hang", no_type, no_type),
    MethodDescriptor::new("panic", no_type, no_type),
    MethodDescriptor::new("fail", no_type, no_type),
    MethodDescriptor::new("large", no_type, no_type),
    MethodDescriptor::new("slow_echo", no_type, no_type),
    MethodDescriptor::new("late_large", no_type, no_type),
];

static DESCRIPTOR: ServiceDescriptor = ServiceDescriptor::new("Test", &METHODS);

/// Answers the test service and reports what happens inside of it.
pub struct TestHandler {
    pub events: mpsc::Sender<String>,
    pub release: Arc<Notify>,
}

struct Reporter(mpsc::Sender<String>, bool);

impl Drop for Reporter {
    fn drop(&mut self) {
        if !self.1 {
            let _ = self.0.try_send("dropped".into());
        }
    }
}

impl Handler for TestHandler {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &DESCRIPTOR
    }

    fn call(&self, index: usize, invocation: Invocation) -> ReplyFuture {
        let (events, release) = (self.events.clone(), self.release.clone());
        Box::pin(async move {
            let Text(text) = invocation.decode()?;
            match index {
                ECHO => Ok(Reply::new(Text(text))),
                HANG => {
                    let _ = events.try_send("started".into());
                    let mut reporter = Reporter(events, false);
                    release.notified().await;
                    reporter.1 = true;
                    Ok(Reply::new(Text(text)))
                }
                PANIC => panic!("as asked: {text}"),
                LARGE | LATE_LARGE => {
                    if index == LATE_LARGE {
                        tokio::task::yield_now().await;
                    }
                    let len = text.parse().map_err(|_| Status::invalid_argument("no number"))?;
                    Ok(Reply::new(Text("x".repeat(len))))
                }
                SLOW_ECHO => {
                    tokio::task::yield_now().await;
                    Ok(Reply::new(Text(text)))
                }
                _ => Err(Status::not_found(text)),
            }
        })
    }
}

/// A provider on loopback and what its handlers report.
pub struct Provider {
    pub server: Server,
    pub address: SocketAddr,
    pub events: mpsc::Receiver<String>,
    pub release: Arc<Notify>,
}

pub async fn provider(config: ServerConfig) -> Provider {
    provider_at("127.0.0.1:0".parse().unwrap(), config).await
}

pub async fn provider_at(address: SocketAddr, config: ServerConfig) -> Provider {
    let (sender, events) = mpsc::channel(1000);
    let release = Arc::new(Notify::new());
    let handler = TestHandler { events: sender, release: release.clone() };
    let mut dispatcher =
        Dispatcher::new(codecs(), Metrics::new("provider")).with_machine_load(|| Some(12.5));
    dispatcher.add(ServiceKey::new("Test"), Arc::new(handler), |_, invoker| invoker).unwrap();
    let (server, address) = serve(address, dispatcher, config);
    Provider { server, address, events, release }
}

/// Serves `dispatcher` in every protocol there is.
pub fn serve(
    address: SocketAddr,
    dispatcher: Dispatcher,
    config: ServerConfig,
) -> (Server, SocketAddr) {
    let listener = TcpListen::bind(address).unwrap();
    let address = listener.socket_addr();
    let protocols = dubhe_protocols::table().unwrap();
    (Server::new(vec![Box::new(listener)], Arc::new(dispatcher), protocols, config), address)
}

pub fn codecs() -> Codecs {
    Codecs::new(Arc::new(Plain), [])
}

pub fn connector(config: ClientConfig) -> Connections {
    Connections::new(&dubhe_protocols::table().unwrap(), config).unwrap()
}

pub fn channel(connector: &Connections, address: SocketAddr) -> Arc<dyn Channel> {
    let key = ServiceKey::new("Test");
    connector.channel(&Instance::new(key, &address.to_string(), "1"))
}

pub fn invocation(index: usize, text: &str, timeout: Duration) -> Invocation {
    let key = ServiceKey::new("Test");
    let method = Arc::new(Method::new(key, NAMES[index], MethodKind::Unary, true));
    let body = Body::typed(Text(text.into()));
    let mut invocation = Invocation::new(method, body, Deadline::after(timeout));
    invocation.codecs = Some(codecs());
    invocation
}

/// The frame of a two-way request of our own, or of a one-way one, with 60 s to live.
pub fn frame(id: u64, one_way: bool, index: usize, text: &str) -> Vec<u8> {
    let path = format!("Test/{}", NAMES[index]);
    // Flags, path, 60,000,000 microseconds.
    let head = [&[1, path.len() as u8][..], path.as_bytes(), &[0x80, 0x8e, 0xce, 0x1c]].concat();
    let body = [&head, text.as_bytes()].concat();
    let flags = if one_way { 0x8d } else { 0xcd };
    let length = (body.len() as u32).to_be_bytes();
    [&[0xda, 0xbb, flags, 0][..], &id.to_be_bytes(), &length, &body].concat()
}

/// Status byte, id and body of the next frame.
pub async fn answer(peer: &mut TcpStream) -> (u8, u64, Vec<u8>) {
    let mut head = [0; 16];
    peer.read_exact(&mut head).await.unwrap();
    let [_, _, _, status, a, b, c, d, e, f, g, h, i, j, k, l] = head;
    let mut body = vec![0; u32::from_be_bytes([i, j, k, l]) as usize];
    peer.read_exact(&mut body).await.unwrap();
    (status, u64::from_be_bytes([a, b, c, d, e, f, g, h]), body)
}

pub async fn call(
    channel: &Arc<dyn Channel>,
    index: usize,
    text: &str,
    timeout: Duration,
) -> Result<String, Status> {
    let reply = channel.invoke(invocation(index, text, timeout)).await?;
    Ok(reply.body.decode::<Text>().unwrap().0)
}

/// The test service as data, for handlers of a test's own.
pub fn descriptor() -> &'static ServiceDescriptor {
    &DESCRIPTOR
}
