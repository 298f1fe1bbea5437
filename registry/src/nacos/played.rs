//! What a test needs to play a server of Nacos: the two ports, and requests and answers of its gRPC.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::net::TcpListener;

use super::connection::GRPC_OFFSET;
use super::payload::Payload;

/// An answer of gRPC.
pub(super) type PlayedAnswer =
    Response<StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

/// Two listeners, one 1000 above the other.
pub(super) async fn listen() -> (TcpListener, TcpListener) {
    loop {
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let Some(above) = http.local_addr().unwrap().port().checked_add(GRPC_OFFSET) else {
            continue;
        };
        if let Ok(grpc) = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], above))).await {
            return (http, grpc);
        }
    }
}

/// That a request has succeeded.
pub(super) const DONE: &str = r#"{"resultCode":200}"#;

/// Takes one connection, and answers each kind of request with what `answer` has for it; without that never.
pub(super) async fn play(
    listener: TcpListener,
    answer: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static,
) {
    let (stream, _) = listener.accept().await.unwrap();
    let answer = Arc::new(answer);
    let service = service_fn(move |request| {
        let answer = Arc::clone(&answer);
        async move {
            let asked = asked(request).await;
            let json = asked.as_ref().and_then(|asked| answer(asked.kind()));
            Ok::<_, Infallible>(answered(json))
        }
    });
    let server = http2::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// What is asked; `None` is the stream of pushes.
pub(super) async fn asked(request: Request<Incoming>) -> Option<Payload> {
    if request.uri().path() != "/Request/request" {
        return None;
    }
    let message = request.into_body().collect().await.unwrap().to_bytes();
    Some(Payload::decode(&message[5..]).unwrap())
}

/// An answer of this JSON, or one that never comes.
pub(super) fn answered(json: Option<&str>) -> PlayedAnswer {
    let head = Response::builder().header("content-type", "application/grpc");
    let Some(json) = json else {
        return head.body(StreamBody::new(stream::pending().boxed())).unwrap();
    };
    let message = Payload::new("Answer", "", json.into()).encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(&message);
    let ok =
        HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
    let frames = [Ok(Frame::data(frame.freeze())), Ok(Frame::trailers(ok))];
    head.body(StreamBody::new(stream::iter(frames).boxed())).unwrap()
}
