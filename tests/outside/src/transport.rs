//! Listeners and dials of one's own: a Unix socket, and a network in memory.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use dubhe::TransportAddr;
use dubhe::extend::{AcceptedStream, BoxTransport, Dial, DialFuture, Listen};
use dubhe::prelude::*;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::shop::{self, Shop, Stock, StockClient, StockServer};

/// Accepts on a Unix socket.
#[derive(Debug)]
struct UnixListen {
    inner: UnixListener,
    path: PathBuf,
}

impl Listen for UnixListen {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<AcceptedStream>> {
        let (stream, _) = ready!(self.inner.poll_accept(cx))?;
        Poll::Ready(Ok((Box::new(stream), TransportAddr::Named("a local process".into()))))
    }

    fn local_addr(&self) -> TransportAddr {
        TransportAddr::Named(self.path.display().to_string().into())
    }
}

/// Dials the same Unix socket, whatever the address.
#[derive(Debug)]
struct UnixDial(PathBuf);

impl Dial for UnixDial {
    fn dial<'a>(&'a self, _: &'a str) -> DialFuture<'a> {
        Box::pin(async { Ok(Box::new(UnixStream::connect(&self.0).await?) as BoxTransport) })
    }
}

/// Tells who calls, as the handler sees it.
#[dubhe::service]
trait Who {
    async fn calls(&self) -> Result<String>;
}

struct Me;

impl Who for Me {
    async fn calls(&self) -> Result<String> {
        let call = CallContext::current().unwrap();
        let peer = call.peer().unwrap();
        Ok(format!("{peer} by {}, {:?}", peer.protocol(), peer.identity()))
    }
}

#[tokio::test]
async fn a_provider_listens_on_a_unix_socket_besides_its_port() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListen { inner: UnixListener::bind(&path).unwrap(), path: path.clone() };
    let url = "memory://unix";
    let provider = shop::provider(url).listen(listener).serve(WhoServer::new(Me));
    let running = provider.start().await.unwrap();

    let over_unix = shop::consumer(url).dial(UnixDial(path.clone())).build().unwrap();
    let who: WhoClient = over_unix.client().await.unwrap();
    assert_eq!(who.calls().await.unwrap(), "a local process by dubbo, None");
    let over_tcp: WhoClient = shop::consumer(url).build().unwrap().client().await.unwrap();
    let told = over_tcp.calls().await.unwrap();
    assert!(told.starts_with("127.0.0.1:") && told.ends_with(" by dubbo, None"), "{told}");

    running.shutdown().await;
    let refused = UnixStream::connect(&path).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "closed with the provider");
}

/// Streams that were dialled and wait to be accepted.
#[derive(Debug)]
struct MemoryListen(mpsc::Receiver<BoxedStream>);

#[derive(Debug)]
struct MemoryDial(mpsc::Sender<BoxedStream>, Arc<Mutex<Vec<String>>>);

type BoxedStream = tokio::io::DuplexStream;

impl Listen for MemoryListen {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<AcceptedStream>> {
        let stream = ready!(self.0.poll_recv(cx)).ok_or(io::ErrorKind::BrokenPipe)?;
        Poll::Ready(Ok((Box::new(stream), TransportAddr::Named("memory".into()))))
    }

    fn local_addr(&self) -> TransportAddr {
        TransportAddr::Named("memory".into())
    }
}

impl Dial for MemoryDial {
    fn dial<'a>(&'a self, address: &'a str) -> DialFuture<'a> {
        Box::pin(async move {
            self.1.lock().unwrap().push(address.to_owned());
            let (near, far) = tokio::io::duplex(4096);
            self.0.send(far).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(near) as BoxTransport)
        })
    }
}

#[tokio::test]
async fn calls_go_over_a_network_in_memory_as_over_any_other() {
    let (sender, receiver) = mpsc::channel(8);
    let dialled = Arc::new(Mutex::new(Vec::new()));
    let desk = Shop::new("a");
    let url = "memory://network";
    let provider = shop::provider(url)
        .listen(MemoryListen(receiver))
        .serve(StockServer::from_arc(desk.clone()));
    let running = provider.start().await.unwrap();
    let dial = MemoryDial(sender, dialled.clone());
    let consumer = shop::consumer(url).dial(dial).build().unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    for article in 0..100 {
        assert_eq!(stock.count(article).await.unwrap(), format!("a {article}"));
    }
    assert_eq!(*dialled.lock().unwrap(), [running.address()], "one connection, of its address");
    running.shutdown().await;
}
